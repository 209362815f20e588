"""Data sets by name: load, fetch, verify, describe."""

import dataclasses
from pathlib import Path
from typing import Any, final

from .._cache import cache
from .catalog import SOURCES
from .dataset import Dataset
from .errors import DataError
from .source import Check, DataSource


@final
@dataclasses.dataclass(frozen=True)
class Record:
    """What is known of a data set, and where it is.

    - `name`: the name of the set.
    - `train`, `test`: the numbers of training and of test samples.
    - `shape`: the shape of one input.
    - `classes`: the number of classes, or `None` for regression.
    - `license`: the terms under which the data may be used.
    - `here`: whether the set is on this machine.
    - `where`: the folder it would be read from, "built in", "computed", or the command that
      downloads it.
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
    """Read a data set. Nothing is downloaded.

    Files are searched in the folder that the variable TARGETPROP_DATA names, then in the cache.
    The folders of the sets there are `MNIST/raw`, `FashionMNIST/raw`, `KMNIST/raw` (plain or
    gzipped files), and `cifar-10-batches-bin` or `cifar-10-batches-py`. Loading checks the
    structure of the files; `verify` compares checksums.

    **Arguments:**

    - `name`: the name of the set, one of `names()`. `NAME:unit` is the set with inputs from 0 to
      1.
    - `options`: for a set that is computed, `seed`. `teacher` also has `sizes`, `train` and
      `test`.

    **Returns:** the set in memory.

    **Raises:** `DataError` if the name is unknown, or a file is missing or damaged. `ConfigError`
    for an unknown option or an invalid value.
    """
    base, _, scaling = name.partition(":")
    dataset = _source(base if scaling == "unit" else name).load(**options)
    return dataset.in_unit_range() if scaling == "unit" else dataset


def fetch(name: str, *, folder: str | Path | None = None, progress: bool = True) -> Path:
    """Download a data set.

    The MD5 of each file is checked. Files that are there already are kept, and an interrupted
    download continues where it stopped. The variable TARGETPROP_MIRROR=URL replaces the official
    mirror by `URL/NAME/`.

    **Arguments:**

    - `name`: the name of the set, one of `names()`.
    - `folder`: the set gets its own folder below this one. `None` is the cache.
    - `progress`: whether bars are shown on standard error.

    **Returns:** the folder of its files.

    **Raises:** `DataError` if the name is unknown, the set has no files, or the download fails.
    """
    return _source(name).fetch(cache() if folder is None else Path(folder).expanduser(), progress=progress)


def verify(name: str) -> list[Check]:
    """Compare each file that `load` would read with its MD5.

    If the set is complete nowhere, the files of the folder that lacks the fewest are compared.

    **Arguments:**

    - `name`: the name of the set, one of `names()`.

    **Returns:** the state of each file. Empty for `digits` and computed sets, which have no files.

    **Raises:** `DataError` for an unknown name.
    """
    return _source(name).verify()


def describe() -> list[Record]:
    """What is known of each data set, and where it is."""
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
