"""Read and change the fields of a recipe by dotted name, such as `optimizer.learning_rate`."""

import dataclasses
import operator
from collections.abc import Mapping
from typing import Any


def has_value(tree: Any, name: str) -> bool:
    """Whether `tree` has a field with this dotted name."""
    for part in name.split("."):
        if not hasattr(tree, part):
            return False
        tree = getattr(tree, part)
    return True


def get_value(tree: Any, name: str) -> Any:
    """The value of the field with this dotted name. Raises `AttributeError` if there is none."""
    return operator.attrgetter(name)(tree)


def set_values(tree: Any, values: Mapping[str, Any]) -> Any:
    """A copy of a dataclass with some fields changed, by their dotted names.

    **Raises:** `AttributeError` for an unknown name.
    """
    for name, value in values.items():
        tree = _set(tree, name.split("."), value)
    return tree


def _set(tree: Any, path: list[str], value: Any) -> Any:
    head, *rest = path
    inner = getattr(tree, head)
    return dataclasses.replace(tree, **{head: _set(inner, rest, value) if rest else value})
