"""Where results come from: configuration, versions and machine, written beside them."""

import dataclasses
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

PACKAGES = ("targetprop", "jax", "jaxlib", "equinox", "optax", "numpy")


class ConfigError(ValueError):
    """A folder that holds another run than the one asked for."""


def describe(value: Any) -> Any:
    """A JSON-able description of a configuration object: its type and its fields."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: describe(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, tuple | list):
        return [describe(entry) for entry in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return float(value) if getattr(value, "ndim", None) == 0 else repr(value)


def environment() -> dict:
    """Versions and machine."""
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "machine": {
            "device": jax.devices()[0].device_kind,
            "backend": jax.default_backend(),
            "processor": processor(),
            "cores": os.cpu_count(),
            "system": platform.system(),
        },
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def write_config(folder: Path, recipe: Any, seeds: list[int], resume: bool) -> None:
    """Write `config.json`. With `resume`, first check that the folder's run is the same but for its number of epochs;
    raises `ConfigError` naming the first difference."""
    path = folder / "config.json"
    config = {"recipe": describe(recipe), "seeds": seeds, **environment()}
    if resume and path.exists():
        before = json.loads(path.read_text())
        for name in ("recipe", "seeds"):
            difference = _first_difference(before[name], json.loads(json.dumps(config[name])), name)
            if difference:
                raise ConfigError(
                    f"Cannot resume in {folder}: {difference}. Use the same settings, or another --out folder."
                )
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(config, indent=1) + "\n")
    os.replace(partial, path)


def _first_difference(before: Any, now: Any, where: str) -> str | None:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before.keys() | now.keys():
            if key != "epochs" and (found := _first_difference(before.get(key), now.get(key), f"{where}.{key}")):
                return found
        return None
    return None if before == now else f"{where} was {before!r} and is now {now!r}"
