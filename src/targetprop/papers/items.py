"""Everything that `targetprop reproduce` can make, by paper."""

import importlib
from typing import Any

from ..errors import ConfigError
from ..experiments.item import Item

SOURCES = ("meulemans2020", "thesis2019", "gait2020", "farias2018")


def items(source: str) -> dict[str, Item[Any]]:
    """The items of a source by name. Raises `ConfigError` for an unknown source."""
    if source not in SOURCES:
        raise ConfigError(f"Nothing is known of {source!r}; there are items of {', '.join(SOURCES)}.")
    return {item.name: item for item in importlib.import_module(f".{source}.items", __package__).ITEMS}


def item(source: str, name: str) -> Item[Any]:
    """An item by source and name. Raises `ConfigError` for an unknown one."""
    known = items(source)
    if name not in known:
        raise ConfigError(f"{source} has no item {name!r}; it has {', '.join(known)}.")
    return known[name]


def all_items() -> tuple[Item[Any], ...]:
    """The items of all sources."""
    return tuple(item for source in SOURCES for item in items(source).values())
