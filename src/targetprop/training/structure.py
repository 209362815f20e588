"""How a network or its feedback is built, as plain data, with its arrays beside it by name.

A structure is built again from classes of targetprop alone, those of `networks`, `feedback` and
`rules`. It names no other code.
"""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ConfigError

ROOMS = ("networks", "feedback", "rules")
Arrays = Mapping[str, np.ndarray]


class UnknownTypeError(ConfigError):
    """A structure holds an object that is not of targetprop."""


def named_arrays(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The arrays of a pytree by their place: `layers.0.weight`."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_join(prefix, _name(path)): leaf for path, leaf in leaves if _is_array(leaf)}


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _join(*parts: Any) -> str:
    return ".".join(str(part) for part in parts if part != "")


def fill(like: Any, arrays: Arrays, prefix: str = "") -> Any:
    """A copy of `like` with the arrays of these names.

    **Raises:** `ConfigError` if one is missing, is left over, or has another shape or type.
    """
    expected = {name: (leaf.shape, str(leaf.dtype)) for name, leaf in named_arrays(like, prefix).items()}
    found = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    for name in {**expected, **found}:
        if expected.get(name) != found.get(name):
            there, here = (side.get(name, "nothing") for side in (found, expected))
            raise ConfigError(f"The file holds {there} for {name}, and `like` has {here}: give the same structure.")

    def pick(path, leaf):
        return jnp.asarray(arrays[_join(prefix, _name(path))]) if _is_array(leaf) else leaf

    return jax.tree_util.tree_map_with_path(pick, like)


def encode(tree: Any, prefix: str = "") -> Any:
    """The structure of a tree as plain data. Arrays are mentioned by the names of `named_arrays`."""
    names, types = named_arrays(tree, prefix).keys(), known_types()

    def of(value: Any, name: str) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if _is_array(value) and name in names:
            return {"array": name}
        if isinstance(value, dict):
            return {"dict": {key: of(entry, _join(name, key)) for key, entry in value.items()}}
        if type(value) in (tuple, list):
            return {type(value).__name__: [of(entry, _join(name, i)) for i, entry in enumerate(value)]}
        kind = type(value)
        if types.get(kind.__name__) is not kind:
            return {"type": f"{kind.__module__}.{kind.__qualname__}"}
        return {
            "type": kind.__name__,
            "fields": {part: of(getattr(value, part), _join(name, part)) for part in _fields(kind)},
        }

    return of(tree, prefix)


def _fields(kind: Any) -> tuple[str, ...]:
    names = getattr(kind, "_fields", None)  # of a named tuple
    return names if names is not None else tuple(field.name for field in dataclasses.fields(kind))


def decode(structure: Any, arrays: Arrays) -> Any:
    """The tree that `encode` described.

    **Raises:** `UnknownTypeError` for an object that is not of targetprop. `KeyError`, `TypeError`
    or `ValueError` if the structure is damaged.
    """
    if not isinstance(structure, dict):
        return structure
    if "array" in structure:
        return jnp.asarray(arrays[structure["array"]])
    if "type" in structure:
        kind = known_types().get(structure["type"])
        if kind is None:
            raise UnknownTypeError(structure["type"])
        return kind(**{name: decode(part, arrays) for name, part in structure["fields"].items()})
    ((kind, parts),) = structure.items()
    if kind == "dict":
        return {key: decode(part, arrays) for key, part in parts.items()}
    return {"tuple": tuple, "list": list}[kind](decode(part, arrays) for part in parts)


def known_types() -> dict[str, type]:
    """The classes that a structure may name: the modules and the named tuples of some rooms."""
    root = __name__.split(".")[0]
    found = {}
    for room in ROOMS:
        package = importlib.import_module(f"{root}.{room}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for one in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(one) and one.__module__ == module.name and _holds_arrays(one):
                    found[one.__name__] = one
    return found


def _holds_arrays(kind: type) -> bool:
    named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return named_tuple or (issubclass(kind, eqx.Module) and not inspect.isabstract(kind))
