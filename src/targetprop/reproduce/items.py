"""Everything that `targetprop reproduce` can make."""

from typing import Any

from ..errors import ConfigError
from . import farias2018, gait2020, thesis2019
from .item import Item
from .meulemans2020.alignment import MAIN, AlignmentFigure
from .meulemans2020.damping import DampingTable
from .meulemans2020.null_space import NullSpaceFigure
from .meulemans2020.output_space import OutputSpaceFigure
from .published import tables
from .tables import TableItem

ITEMS: tuple[Item[Any], ...] = (
    *(TableItem(table) for table in tables("meulemans2020").values()),
    NullSpaceFigure(),
    OutputSpaceFigure(),
    AlignmentFigure("fig4", "fashion-mnist", "Fig. 4", shown=MAIN, layers=(5,), damped=False),
    AlignmentFigure("fig-s3", "fashion-mnist", "Fig. S3"),
    AlignmentFigure("fig-s4", "mnist", "Fig. S4"),
    AlignmentFigure("fig-s5", "cifar10", "Fig. S5"),
    DampingTable(),
    *thesis2019.ITEMS,
    *gait2020.ITEMS,
    *farias2018.ITEMS,
)

SOURCES = tuple(dict.fromkeys(item.source for item in ITEMS))


def items(source: str) -> dict[str, Item[Any]]:
    """The items of a source by name. Raises `ConfigError` for an unknown source."""
    if source not in SOURCES:
        raise ConfigError(f"Nothing is known of {source!r}; there are items of {', '.join(SOURCES)}.")
    return {item.name: item for item in ITEMS if item.source == source}


def item(source: str, name: str) -> Item[Any]:
    """An item by source and name. Raises `ConfigError` for an unknown one."""
    known = items(source)
    if name not in known:
        raise ConfigError(f"{source} has no item {name!r}; it has {', '.join(known)}.")
    return known[name]
