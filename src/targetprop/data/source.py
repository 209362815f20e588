"""What every source of data answers: the contract of the data room."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, final

from targetprop.data.dataset import Dataset


@final
@dataclass(frozen=True)
class Card:
    """What is known of a data set before it is read.

    - `name`: what it is called.
    - `train`, `test`: numbers of examples.
    - `shape`: the shape of one input.
    - `classes`: the number of classes, or None for regression.
    - `license`: under which terms the data may be used.
    - `validation`: how many training examples are held out by default.
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
    """The state of one file: `status` is "ok", "missing" or "wrong checksum"; `where` is its path."""

    file: str
    status: str
    where: str


class DataSource(ABC):
    """A place that a data set comes from."""

    @property
    @abstractmethod
    def card(self) -> Card:
        """What is known of the set before it is read."""

    @abstractmethod
    def load(self, **options: Any) -> Dataset:
        """Read or make the set. Raises `DataError` if it is not here, is damaged, or an option is wrong."""

    @abstractmethod
    def where(self) -> str | None:
        """Where the set would be read from, or None if it is not on this machine."""

    @abstractmethod
    def verify(self) -> list[Check]:
        """The state of each file by its MD5; empty for a set without files."""

    @abstractmethod
    def fetch(self, folder: Path, *, progress: bool) -> Path:
        """Download the set below `folder` and give the folder of its files. Raises `DataError`."""
