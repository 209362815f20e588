"""Read and change the fields of a recipe by dotted name, such as `optimizer.learning_rate`.

The entries of a dictionary count as its fields.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any


def has_value(tree: Any, name: str) -> bool:
    """Whether `tree` has a field with this dotted name."""
    try:
        get_value(tree, name)
    except (AttributeError, KeyError):
        return False
    return True


def get_value(tree: Any, name: str) -> Any:
    """The value of the field with this dotted name.

    **Raises:** `AttributeError` or `KeyError` if there is none.
    """
    return functools.reduce(_get, name.split("."), tree)


def set_values(tree: Any, values: Mapping[str, Any]) -> Any:
    """A copy of a dataclass with some fields changed, by their dotted names.

    **Raises:** `AttributeError` or `KeyError` for an unknown name.
    """
    for name, value in values.items():
        tree = _set(tree, name.split("."), value)
    return tree


def _set(tree: Any, path: list[str], value: Any) -> Any:
    head, *rest = path
    inner = _get(tree, head)
    changed = _set(inner, rest, value) if rest else value
    return {**tree, head: changed} if isinstance(tree, Mapping) else dataclasses.replace(tree, **{head: changed})


def _get(tree: Any, field: str) -> Any:
    return tree[field] if isinstance(tree, Mapping) else getattr(tree, field)
