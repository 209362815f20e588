"""Everything that `targetprop reproduce` can make, by paper."""

import importlib
from typing import Any

from ..errors import ConfigError
from ..experiments import Item
from . import PAPERS as SOURCES


def title(source: str) -> str:
    """The title and the authors of a paper."""
    return (importlib.import_module(f".{source}", __package__).__doc__ or "").replace("*", "").rstrip(".")


def items(source: str) -> dict[str, Item[Any]]:
    """The items of a paper by name. Raises `ConfigError` for an unknown paper."""
    if source not in SOURCES:
        raise ConfigError(f"There is no paper {source!r}; there are items of {', '.join(SOURCES)}.")
    return {item.name: item for item in importlib.import_module(f".{source}.items", __package__).ITEMS}


def item(source: str, name: str) -> Item[Any]:
    """An item of a paper.

    **Arguments:**

    - `source`: the short name of the paper.
    - `name`: the name of the item.

    **Raises:** `ConfigError` for an unknown one.
    """
    known = items(source)
    if name not in known:
        raise ConfigError(f"{source} has no item {name!r}; it has {', '.join(known)}.")
    return known[name]


def all_items() -> tuple[Item[Any], ...]:
    """The items of all papers."""
    return tuple(item for source in SOURCES for item in items(source).values())
