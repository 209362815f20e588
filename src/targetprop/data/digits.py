"""The handwritten digits of scikit-learn: a small set that needs no download."""

from pathlib import Path
from typing import Any, final

import numpy as np

from .dataset import Dataset
from .errors import DataError
from .source import Card, Check, DataSource, check_options

_SPLIT_SEED = 0


@final
class Digits(DataSource):
    """The 1,797 digits of 8 x 8 pixels that come with scikit-learn
    (`sklearn.datasets.load_digits`).

    There is no published split. One fixed permutation (PCG64 of NumPy, seed 0) makes the first
    1,437 the training set and the other 360 the test set. Pixels are divided by 16. They are then
    standardized with the mean and the standard deviation of all training pixels.
    """

    card = Card(
        name="digits",
        train=1437,
        test=360,
        shape=(1, 8, 8),
        classes=10,
        license="CC BY 4.0 (Alpaydin, Kaynak: Optical Recognition of Handwritten Digits, UCI)",
        validation=300,
    )

    def load(self, **options: Any) -> Dataset:
        check_options(self.card.name, options)
        from sklearn.datasets import load_digits  # takes a second to import

        card = self.card
        pixels, labels = map(np.asarray, load_digits(return_X_y=True))
        order = np.random.default_rng(_SPLIT_SEED).permutation(len(labels))
        train, test = order[: card.train], order[card.train :]
        x = pixels / 16.0
        x = ((x - x[train].mean()) / x[train].std()).astype(np.float32)
        y = labels.astype(np.int32)
        return Dataset(card.name, x[train], y[train], x[test], y[test], card.shape, card.classes, card.validation)

    def where(self) -> str:
        return "built in"

    def verify(self) -> list[Check]:
        return []

    def fetch(self, folder: Path, *, progress: bool) -> Path:
        raise DataError("digits comes with scikit-learn: there is nothing to fetch")
