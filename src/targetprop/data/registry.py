"""Data sets by name: load, fetch, verify, describe."""

import dataclasses
import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

from .._cache import cache
from .._checks import check_is
from .catalog import SOURCES
from .dataset import Dataset
from .errors import DataError
from .openml import PREFIX, OpenML
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
    """Read a data set. Nothing is downloaded, unless it is a set of openml.org that is not in the
    cache.

    Files are searched in the folder that the variable TARGETPROP_DATA names, then in the cache.
    The folders of the sets there are `MNIST/raw`, `FashionMNIST/raw`, `KMNIST/raw` (plain or
    gzipped files), and `cifar-10-batches-bin` or `cifar-10-batches-py`. Loading checks the
    structure of the files; `verify` compares checksums.

    **Arguments:**

    - `name`: the name of the set, one of `names()`, in any spelling of its case: `MNIST`,
      `FashionMNIST`. `NAME:unit` is the set with inputs from 0 to 1, `NAME:standard` the one with
      inputs of mean 0 and standard deviation 1. `openml:NAME` is a set of openml.org.
    - `options`: for a set that is computed, `seed`. `teacher` also has `sizes`, `train` and
      `test`. For a set of openml.org, `version`.

    **Returns:** the set in memory.

    **Raises:** `DataError` if the name is unknown, or a file is missing or damaged. `ConfigError`
    for an unknown option or an invalid value.
    """
    check_is("name", name, str, "give the name of a data set")
    base, scaling = _split(name)
    dataset = _source(base).load(**options)
    return SCALINGS[scaling](dataset) if scaling else dataset


def canonical(name: str) -> str:
    """The name of a data set as it is listed: `fashion-mnist:unit` for `FashionMNIST:unit`.

    An unknown name stays as it is.
    """
    check_is("dataset", name, str, "give the name of a data set")
    base, scaling = _split(name)
    found = NAMES.get(_plain(base), base)
    return f"{found}:{scaling}" if scaling else found


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


def _source(name: str) -> DataSource | OpenML:
    if name.startswith(PREFIX):
        return OpenML(name.removeprefix(PREFIX))
    known = SOURCES.get(NAMES.get(_plain(name), name))
    if known is not None:
        return known
    close = difflib.get_close_matches(_plain(name), NAMES, n=1)
    hint = f"did you mean {NAMES[close[0]]}? There" if close else "there"
    raise DataError(f"there is no data set {name!r}; {hint} are {', '.join(SOURCES)}")


def _split(name: str) -> tuple[str, str]:
    """A name without its scaling, and the scaling."""
    base, _, scaling = name.rpartition(":")
    return (base, scaling) if base and scaling in SCALINGS else (name, "")


def _plain(name: str) -> str:
    """A name in lower case, without what separates its parts."""
    return re.sub(r"[-_ ]", "", name.lower())


NAMES = {_plain(name): name for name in SOURCES}
SCALINGS: dict[str, Callable[[Dataset], Dataset]] = {"unit": Dataset.in_unit_range, "standard": Dataset.standardized}
