"""The origin of results: configuration, versions and machine, written next to them."""

import dataclasses
import functools
import math
import os
import platform
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from ..data import Dataset
from ..networks.network import Network
from ..version import __version__

SOURCE = Path(__file__).parent.parent
RANDOM = ("jax_default_prng_impl", "jax_threefry_partitionable", "jax_random_seed_offset")
"""The settings of JAX on which its random numbers depend."""
JAX_SETTINGS = ("jax_enable_x64", "jax_default_matmul_precision", "jax_platforms", *RANDOM)
INSTRUCTIONS = ("avx", "fma", "amx", "asimd", "sve")
"""The beginnings of the names of instruction sets on which the order of sums depends."""
PACKAGES = ("jax", "jaxlib", "equinox", "optax", "numpy")


def describe(value: Any) -> Any:
    """A configuration object as plain data: its type and its fields. A function is its name."""
    if isinstance(value, Network):
        return describe_network(value)
    if dataclasses.is_dataclass(value):
        fields = {field.name: describe(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {name: describe(entry) for name, entry in value.items()}
    if isinstance(value, functools.partial):
        return {
            "type": "partial",
            "function": describe(value.func),
            "args": describe(value.args),
            **describe(value.keywords),
        }
    name = getattr(value, "__qualname__", None)
    if name is not None:
        return f"{value.__module__}.{name}"
    if isinstance(value, tuple | list):
        return [describe(entry) for entry in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return float(value) if getattr(value, "ndim", None) == 0 else repr(value)


def describe_recipes(recipes: Sequence[Any]) -> Any:
    """The recipe as plain data, or a list with that of each member if they differ."""
    described = [describe(recipe) for recipe in recipes]
    return described[0] if all(entry == described[0] for entry in described) else described


def describe_network(network: Network) -> dict:
    """A network as plain data: its layers, with shapes in place of arrays, and a checksum of these."""
    arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(network) if eqx.is_array(leaf)]
    return {
        "type": type(network).__name__,
        "input_shape": list(network.input_shape),
        "layers": [_describe_layer(layer) for layer in network.layers],
        "crc32": _checksum(arrays),
    }


def _describe_layer(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = {field.name: _describe_layer(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, tuple | list):
        return [_describe_layer(entry) for entry in value]
    if eqx.is_array(value):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no infinity
    return getattr(value, "__qualname__", type(value).__name__) if callable(value) else describe(value)


def _checksum(arrays: Sequence[np.ndarray]) -> str:
    checksum = 0
    for array in arrays:
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return f"{checksum:08x}"


def environment() -> dict:
    """Versions, machine, and the settings of JAX."""
    return {
        "commit": commit(),
        "versions": {
            "targetprop": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in PACKAGES},
        },
        "machine": {
            "device": jax.devices()[0].device_kind,
            "backend": jax.default_backend(),
            "processor": processor(),
            "instructions": instructions(),
            "cores": os.cpu_count(),
            "system": platform.system(),
        },
        "jax": {name: getattr(jax.config, name) for name in JAX_SETTINGS} | {"XLA_FLAGS": os.environ.get("XLA_FLAGS")},
    }


@functools.cache
def commit() -> str | None:
    """The git commit of the source tree that the package runs from.

    It ends with `-dirty` if the package was changed since. `None` if the package does not run from
    a source tree, or without git.
    """

    def git(*args: str) -> str:
        command = ["git", "-C", str(SOURCE), *args]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        if not git("ls-files", "version.py"):
            return None  # the package is in an environment, within the repository of another project
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "-s", "-uno", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def processor() -> str:
    """The name of the processor, if the system gives it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def instructions() -> str | None:
    """The instruction sets of the processor for arithmetic on vectors, if the system gives them.

    The compiler uses them, so the last digits of sums depend on them.
    """
    found = (_cpuinfo("flags") or _cpuinfo("Features") or "").split()
    return " ".join(sorted(name for name in found if name.startswith(INSTRUCTIONS))) or None


def _cpuinfo(name: str) -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.split(":")[0].strip() == name), None)


def describe_data(dataset: Dataset) -> dict:
    """The name of a data set, its sizes, and a checksum of its arrays."""
    arrays = (dataset.train_x, dataset.train_y, dataset.test_x, dataset.test_y)
    return {"name": dataset.name, "train": len(arrays[0]), "test": len(arrays[2]), "crc32": _checksum(arrays)}


def same_settings(before: Any, now: Any) -> bool:
    """Whether a stored configuration equals the present one. New fields are ignored."""
    if isinstance(before, dict) and isinstance(now, dict):
        return all(key in now and same_settings(value, now[key]) for key, value in before.items())
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(same_settings(one, other) for one, other in zip(before, now, strict=True))
    return before == now


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


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """The differences of two origins: sentences by the name of the field.

    A field that `before` does not have is no difference.
    """
    found: dict[str, str] = {}
    for name, value in before.items():
        if isinstance(value, Mapping) and isinstance(now.get(name), Mapping):
            found |= differences(value, now[name])
        elif name in now and value != now[name]:
            found[name] = f"{name} was {value!r} and is now {now[name]!r}"
    return found
