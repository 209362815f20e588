"""The origin of results: configuration, versions and machine, written next to them."""

import dataclasses
import json
import os
import platform
import zlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..data import Dataset
from ..errors import ConfigError
from ..version import __version__

PACKAGES = ("jax", "jaxlib", "equinox", "optax", "numpy")


def describe(value: Any) -> Any:
    """A configuration object as plain data: its type and its fields."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: describe(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, tuple | list):
        return [describe(entry) for entry in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return float(value) if getattr(value, "ndim", None) == 0 else repr(value)


def describe_recipes(recipes: Sequence[Any]) -> Any:
    """The recipe as plain data, or a list with that of each member if they differ."""
    described = [describe(recipe) for recipe in recipes]
    return described[0] if all(entry == described[0] for entry in described) else described


def environment() -> dict:
    """Versions and machine."""
    return {
        "versions": {
            "targetprop": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in PACKAGES},
        },
        "machine": {
            "device": jax.devices()[0].device_kind,
            "backend": jax.default_backend(),
            "processor": processor(),
            "cores": os.cpu_count(),
            "system": platform.system(),
        },
    }


def processor() -> str:
    """The name of the processor, if the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def describe_data(dataset: Dataset) -> dict:
    """The name of a data set, its sizes, and a checksum of its arrays."""
    arrays = (dataset.train_x, dataset.train_y, dataset.test_x, dataset.test_y)
    checksum = 0
    for array in arrays:
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return {"name": dataset.name, "train": len(arrays[0]), "test": len(arrays[2]), "crc32": f"{checksum:08x}"}


def same_settings(before: Any, now: Any) -> bool:
    """Whether a stored configuration equals the present one. New fields are ignored."""
    if isinstance(before, dict) and isinstance(now, dict):
        return all(key in now and same_settings(value, now[key]) for key, value in before.items())
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(same_settings(one, other) for one, other in zip(before, now, strict=True))
    return before == now


def write_config(folder: Path, recipes: Sequence[Any], seeds: list[int], dataset: Dataset, resume: bool) -> None:
    """Write `config.json`: one recipe, or a list of recipes if they differ.

    With `resume`, first check that the run in the folder is the same or a shorter one.

    **Raises:** `ConfigError` if it is not, with the first difference, or if the file is damaged.
    """
    path = folder / "config.json"
    config = {
        "recipe": describe_recipes(recipes),
        "seeds": seeds,
        "data": describe_data(dataset),
        **environment(),
    }
    if resume and path.exists():
        before = _read_config(path)
        for name in ("recipe", "seeds", "data"):
            difference = first_difference(before.get(name), json.loads(json.dumps(config[name])), name, longer=True)
            if difference:
                raise ConfigError(f"Cannot resume in {folder}: {difference}. Use the same settings, or another `out`.")
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(config, indent=1) + "\n")
    os.replace(partial, path)


def _read_config(path: Path) -> dict:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, TypeError, ValueError) as error:
        advice = "replace the run with `overwrite`, or use another `out`"
        raise ConfigError(f"{path} is damaged ({error}): {advice}.") from error


def first_difference(before: Any, now: Any, where: str, *, longer: bool = False) -> str | None:
    """The first difference of two described configurations.

    **Arguments:**

    - `before`, `now`: the configurations as plain data.
    - `where`: their name, with which the names of their fields begin.
    - `longer`: whether more epochs are no difference.

    **Returns:** a sentence that names the field, or `None` if there is no difference.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = [(f"{where}.{key}", before.get(key), now.get(key)) for key in {**before, **now}]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = [(f"{where}[{i}]", *pair) for i, pair in enumerate(zip(before, now, strict=True))]
    elif longer and where.endswith(".epochs") and isinstance(before, int) and isinstance(now, int) and now >= before:
        return None
    else:
        return None if before == now else f"{where} was {before!r} and is now {now!r}"
    differences = (first_difference(before, now, where, longer=longer) for where, before, now in pairs)
    return next((difference for difference in differences if difference), None)
