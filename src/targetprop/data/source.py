"""What every source of data does: the contract of the data room."""

import abc
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, final

from ..errors import ConfigError
from .dataset import Dataset


@final
@dataclasses.dataclass(frozen=True)
class Card:
    """What is known of a data set before it is read.

    **Arguments:**

    - `name`: the name of the set.
    - `train`, `test`: the numbers of training and of test samples.
    - `shape`: the shape of one input.
    - `classes`: the number of classes, or `None` for regression.
    - `license`: the terms under which the data may be used.
    - `validation`: how many training samples are held out by default.
    """

    name: str
    train: int
    test: int
    shape: tuple[int, ...]
    classes: int | None
    license: str
    validation: int


@final
class Check(NamedTuple):
    """The state of one file.

    - `file`: its name.
    - `status`: "ok", "missing" or "wrong checksum".
    - `where`: its path.
    """

    file: str
    status: str
    where: str


class DataSource(abc.ABC):
    """A place that a data set comes from. `card` says what is known of the set."""

    card: Card

    @abc.abstractmethod
    def load(self, **options: Any) -> Dataset:
        """Read or compute the set.

        **Arguments:**

        - `options`: the options of a set that is computed. The other sets take none.

        **Returns:** the set in memory.

        **Raises:** `DataError` if it is not on this machine or is damaged, `ConfigError` for an
        unknown option or an invalid value.
        """

    @abc.abstractmethod
    def where(self) -> str | None:
        """Where the set would be read from, or `None` if it is not on this machine."""

    @abc.abstractmethod
    def verify(self) -> list[Check]:
        """The state of each file by its MD5. Empty for a set without files."""

    @abc.abstractmethod
    def fetch(self, folder: Path, *, progress: bool) -> Path:
        """Download the set.

        **Arguments:**

        - `folder`: the set gets its own folder below this one.
        - `progress`: whether a bar is shown on standard error.

        **Returns:** the folder of its files.

        **Raises:** `DataError` if the download fails, or if there is nothing to download.
        """


def check_options(name: str, options: Mapping[str, Any], known: tuple[str, ...] = ()) -> None:
    """Check the names of the options of a data set.

    **Arguments:**

    - `name`: the name of the set.
    - `options`: the options that were given.
    - `known`: the names of the options that the set has.

    **Raises:** `ConfigError` if an option is not among them.
    """
    unknown = ", ".join(sorted(set(options) - set(known)))
    if unknown and not known:
        raise ConfigError(f"{name} takes no options: leave out {unknown}")
    if unknown:
        raise ConfigError(f"{name} has no option {unknown}; it has {', '.join(known)}")
