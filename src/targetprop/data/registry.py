"""Data sets by name: load, fetch, verify, describe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from targetprop.data.catalog import SOURCES
from targetprop.data.dataset import Dataset
from targetprop.data.errors import DataError
from targetprop.data.layout import cache
from targetprop.data.source import Check, DataSource


@final
@dataclass(frozen=True)
class Record:
    """One line of the list of data sets.

    `where` is the folder that the set would be read from, "built in" or "computed", or, if `here` is false,
    the command that brings it.
    """

    name: str
    train: int
    test: int
    shape: tuple[int, ...]
    classes: int | None
    license: str
    here: bool
    where: str


def names() -> tuple[str, ...]:
    """The names of all data sets."""
    return tuple(SOURCES)


def load(name: str, **options: Any) -> Dataset:
    """Read the data set `name`; nothing is downloaded. `NAME:unit` is that set with inputs from 0 to 1.

    Files are looked for below the folder that the variable TARGETPROP_DATA names, as `MNIST/raw`,
    `FashionMNIST/raw`, `KMNIST/raw` (plain or .gz), `cifar-10-batches-bin` or `cifar-10-batches-py`, then in
    the same way below the cache. Computed sets have options: `seed`, and `teacher` also
    `sizes`, `train` and `test`.

    Raises `DataError` if the name is unknown, an option is wrong, or a file is missing or damaged. Loading
    checks the structure of files; `verify` compares checksums.
    """
    base, _, scaling = name.partition(":")
    dataset = _source(base if scaling == "unit" else name).load(**options)
    return dataset.in_unit_range() if scaling == "unit" else dataset


def fetch(name: str, *, folder: str | Path | None = None, progress: bool = True) -> Path:
    """Download the data set `name` below `folder` (the cache if None) and give the folder of its files.

    Each file's MD5 is checked; what is there already and right is kept; an interrupted download goes on where
    it stopped. The variable TARGETPROP_MIRROR=URL takes the files from `URL/name/` in place of the official
    mirror. `progress` shows bars on standard error.

    Raises `DataError` if the name is unknown, the set has no files, or the download fails.
    """
    return _source(name).fetch(cache() if folder is None else Path(folder).expanduser(), progress=progress)


def verify(name: str) -> list[Check]:
    """Compare each file that `load` would read with its MD5; if the set is complete nowhere, the files of the
    place that lacks fewest. Empty for `digits` and the computed sets, which have no files.

    Raises `DataError` for an unknown name.
    """
    return _source(name).verify()


def describe() -> list[Record]:
    """A record of each data set: name, sizes, shape, license, and where it is."""
    return [_record(source) for source in SOURCES.values()]


def _record(source: DataSource) -> Record:
    card, where = source.card, source.where()
    return Record(
        card.name,
        card.train,
        card.test,
        card.shape,
        card.classes,
        card.license,
        here=where is not None,
        where=where or f"not here: targetprop data fetch {card.name}",
    )


def _source(name: str) -> DataSource:
    if name not in SOURCES:
        raise DataError(f"there is no data set {name!r}; there are {', '.join(SOURCES)}")
    return SOURCES[name]
