"""Data sets that lie in files and are published on a mirror."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np

from targetprop.data.dataset import Dataset
from targetprop.data.errors import DataError
from targetprop.data.layout import DATA_VARIABLE, Layout, LocatedFile, roots
from targetprop.data.remote import Remote
from targetprop.data.source import Card, Check, DataSource


@final
class Parts(NamedTuple):
    """What the files hold: images as uint8, one or more dimensions after the first, and labels as int32."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


@final
@dataclass(frozen=True)
class Holding:
    """A layout together with the reader of its files; `read` gets the paths in the layout's order."""

    layout: Layout
    read: Callable[[tuple[Path, ...]], Parts]


@final
@dataclass(frozen=True)
class PublishedSet(DataSource):
    """Images in files. A pixel p of 0 to 255 becomes `(p / 255 - mean) / std`.

    - `facts`: the set's card.
    - `holdings`: the layouts it is accepted in, the preferred first.
    - `remote`: what the mirror offers.
    - `mean`, `std`: of the scaling, in units of the brightest pixel.
    """

    facts: Card
    holdings: tuple[Holding, ...]
    remote: Remote
    mean: float
    std: float

    @property
    def card(self) -> Card:
        return self.facts

    def load(self, **options: Any) -> Dataset:
        if options:
            raise DataError(f"{self.facts.name} takes no options: leave out {', '.join(sorted(options))}")
        place = self._complete()
        if place is None:
            raise DataError(self._absence())
        holding, found = place
        try:
            parts = holding.read(tuple(item.path for item in found))
        except DataError as error:
            raise DataError(f"{error}; remove that file, then run `targetprop data fetch {self.facts.name}`") from error
        return Dataset(
            self.facts.name,
            self._scaled(parts.train_x),
            parts.train_y,
            self._scaled(parts.test_x),
            parts.test_y,
            self.facts.shape,
            self.facts.classes,
            self.facts.validation,
        )

    def where(self) -> str | None:
        place = self._complete()
        return str(place[1][0].path.parent) if place else None

    def verify(self) -> list[Check]:
        place = self._complete()
        found = place[1] if place else self._best()
        return [Check(item.path.name, item.status(), str(item.path)) for item in found]

    def fetch(self, folder: Path, *, progress: bool) -> Path:
        return self.remote.fetch(folder, progress=progress)

    def _scaled(self, images: np.ndarray) -> np.ndarray:
        x = images.reshape(len(images), -1).astype(np.float32)
        x /= 255.0
        x -= self.mean
        x /= self.std
        return x

    def _candidates(self) -> list[tuple[Holding, tuple[LocatedFile, ...]]]:
        return [(holding, holding.layout.find(root)) for root in roots() for holding in self.holdings]

    def _complete(self) -> tuple[Holding, tuple[LocatedFile, ...]] | None:
        """The first place that has every file."""
        return next((place for place in self._candidates() if all(item.present for item in place[1])), None)

    def _best(self) -> tuple[LocatedFile, ...]:
        """The place that lacks the fewest files, the first of equals."""
        return max((found for _, found in self._candidates()), key=lambda f: sum(item.present for item in f))

    def _absence(self) -> str:
        name, best = self.facts.name, self._best()
        missing = [item.path.name for item in best if not item.present]
        if len(missing) < len(best):
            problem = f"{best[0].path.parent} lacks {', '.join(missing)}"
        else:
            folders = dict.fromkeys(str(found[0].path.parent) for _, found in self._candidates())
            problem = f"not found in {' or '.join(folders)}"
        named = os.environ.get(DATA_VARIABLE)
        if named and not Path(named).expanduser().is_dir():
            problem += f" ({DATA_VARIABLE} is {named}, which is no folder)"
        return (
            f"{name}: {problem}, expected its {len(best)} files; set {DATA_VARIABLE} to the folder above "
            f"{self.holdings[0].layout.folder}, or run `targetprop data fetch {name}`"
        )
