"""Data sets that lie in files and are published on a mirror."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np

from .dataset import Dataset
from .errors import DataError
from .folders import DATA_VARIABLE, roots
from .layout import Layout, LocatedFile
from .remote import Remote
from .source import Card, Check, DataSource, check_options


@final
class Parts(NamedTuple):
    """What the files hold.

    Images are uint8, with one or more dimensions after the first. Labels are int32.
    """

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


@final
@dataclasses.dataclass(frozen=True)
class Holding:
    """A layout with the reader of its files. `read` gets the paths in the order of the layout."""

    layout: Layout
    read: Callable[[tuple[Path, ...]], Parts]


@final
@dataclasses.dataclass(frozen=True)
class PublishedSet(DataSource):
    """Images in files. A pixel `p` from 0 to 255 becomes `(p / 255 - mean) / std`.

    **Arguments:**

    - `card`: what is known of the set.
    - `holdings`: the layouts in which it is accepted, the preferred one first.
    - `remote`: what the mirror offers.
    - `mean`, `std`: the numbers of the scaling, in units of the brightest pixel.
    """

    card: Card
    holdings: tuple[Holding, ...]
    remote: Remote
    mean: float
    std: float

    def load(self, **options: Any) -> Dataset:
        card = self.card
        check_options(card.name, options)
        place = self._complete()
        if place is None:
            raise DataError(self._absence())
        holding, found = place
        try:
            parts = holding.read(tuple(item.path for item in found))
        except DataError as error:
            raise DataError(f"{error}; remove that file, then run `targetprop data fetch {card.name}`") from error
        train_x, test_x = self._scaled(parts.train_x), self._scaled(parts.test_x)
        return Dataset(card.name, train_x, parts.train_y, test_x, parts.test_y, card.shape, card.classes, card.validation)

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
        """The place that lacks the fewest files, the first of several."""
        return max((found for _, found in self._candidates()), key=lambda f: sum(item.present for item in f))

    def _absence(self) -> str:
        name, best = self.card.name, self._best()
        missing = [item.path.name for item in best if not item.present]
        if len(missing) < len(best):
            problem = f"{best[0].path.parent} lacks {', '.join(missing)}"
        else:
            folders = dict.fromkeys(str(found[0].path.parent) for _, found in self._candidates())
            problem = f"not found in {' or '.join(folders)}"
        named = os.environ.get(DATA_VARIABLE)
        if named and not Path(named).expanduser().is_dir():
            problem += f" ({DATA_VARIABLE} is {named}, which is not a folder)"
        return (
            f"{name}: {problem}, expected its {len(best)} files; set {DATA_VARIABLE} to the folder above "
            f"{self.holdings[0].layout.folder}, or run `targetprop data fetch {name}`"
        )
