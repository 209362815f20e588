"""Scikit-learn's handwritten digits: small, and there without a download."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np

from targetprop.data.dataset import Dataset
from targetprop.data.errors import DataError
from targetprop.data.source import Card, Check, DataSource

_SPLIT_SEED = 0
_CARD = Card(
    name="digits",
    train=1437,
    test=360,
    shape=(1, 8, 8),
    classes=10,
    license="CC BY 4.0 (Alpaydin, Kaynak: Optical Recognition of Handwritten Digits, UCI)",
    validation=300,
)


@final
class Digits(DataSource):
    """The 1,797 digits of 8 x 8 pixels that scikit-learn carries (`sklearn.datasets.load_digits`).

    They have no published split. One fixed permutation (NumPy's PCG64, seed 0) sends the first 1,437 to
    training and the other 360 to test. Pixels are divided by 16 and then standardized with one mean and one
    standard deviation, those of all training pixels together.
    """

    @property
    def card(self) -> Card:
        return _CARD

    def load(self, **options: Any) -> Dataset:
        if options:
            raise DataError(f"digits takes no options: leave out {', '.join(sorted(options))}")
        # Scikit-learn takes a second to import; nothing else here needs it.
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(_SPLIT_SEED).permutation(len(labels))
        train, test = order[: _CARD.train], order[_CARD.train :]
        x = pixels / 16.0
        x = ((x - x[train].mean()) / x[train].std()).astype(np.float32)
        y = labels.astype(np.int32)
        return Dataset("digits", x[train], y[train], x[test], y[test], _CARD.shape, _CARD.classes, _CARD.validation)

    def where(self) -> str:
        return "built in"

    def verify(self) -> list[Check]:
        return []

    def fetch(self, folder: Path, *, progress: bool) -> Path:
        raise DataError("digits comes with scikit-learn: there is nothing to fetch")
