"""Student-teacher regression: the outputs of a random network."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, final

import numpy as np

from targetprop.data.dataset import Dataset
from targetprop.data.errors import DataError
from targetprop.data.source import Card, Check, Source

_SIZES = (6, 1000, 1000, 1000, 1000, 2)
_TRAIN = 1000
_TEST = 1000
_GAIN = 3.0
_CARD = Card(
    name="teacher",
    train=_TRAIN,
    test=_TEST,
    shape=(_SIZES[0],),
    classes=None,
    licence="none needed: computed here",
    validation=_TRAIN // 10,
)


def make_teacher(*, sizes: tuple[int, ...] = _SIZES, train: int = _TRAIN, test: int = _TEST, seed: int = 0) -> Dataset:
    """Inputs drawn from a standard normal distribution, and what a random ReLU network answers to them.

    - `sizes`: widths of the teacher from its input to its output; at least these two.
    - `train`, `test`: numbers of examples, each at least 1.
    - `seed`: of the weights and the inputs; the weights do not depend on `train` or `test`.

    The hidden layers are ReLU, the output is linear, and there are no biases. A weight of a layer from m to n
    units is normal with standard deviation `3 sqrt(2 / (m + n))` (Xavier's, with gain 3). The targets of both
    parts are divided by one number, the standard deviation of all training targets together, so that losses
    are of order 1; their mean is left as it is. So the gain has no effect on the targets: without biases it
    only scales what the teacher answers.

    Raises `DataError` if an option is out of range.

    Source: Meulemans et al. 2020, supplement B.3, "Synthetic regression dataset" (4 hidden layers of 1000).
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise DataError(f"teacher: sizes is {sizes}, expected two or more widths of at least 1, input first")
    if train < 1 or test < 1:
        raise DataError(f"teacher: train is {train} and test is {test}, expected at least 1 of each")
    if seed < 0:
        raise DataError(f"teacher: seed is {seed}, expected a number of at least 0")
    streams = np.random.SeedSequence(seed).spawn(3)
    weights_rng, train_rng, test_rng = (np.random.default_rng(stream) for stream in streams)
    weights = [weights_rng.standard_normal((m, n)) * (_GAIN * np.sqrt(2.0 / (m + n))) for m, n in pairwise(sizes)]
    train_x = train_rng.standard_normal((train, sizes[0]))
    test_x = test_rng.standard_normal((test, sizes[0]))
    train_y, test_y = _answer(weights, train_x), _answer(weights, test_x)
    scale = train_y.std()
    if scale == 0.0:
        raise DataError(
            f"teacher: all {train_y.size} training targets are equal and cannot be standardised; "
            f"raise train or widen sizes {sizes}"
        )
    return Dataset(
        "teacher",
        train_x.astype(np.float32),
        (train_y / scale).astype(np.float32),
        test_x.astype(np.float32),
        (test_y / scale).astype(np.float32),
        (sizes[0],),
        None,
    )


def _answer(weights: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    h = x
    for w in weights[:-1]:
        h = np.maximum(h @ w, 0.0)
    return h @ weights[-1]


@final
class Teacher(Source):
    """Student-teacher regression (`make_teacher`); its options are `sizes`, `train`, `test` and `seed`."""

    @property
    def card(self) -> Card:
        return _CARD

    def load(self, **options: Any) -> Dataset:
        known = ("sizes", "train", "test", "seed")
        if unknown := sorted(set(options) - set(known)):
            raise DataError(f"teacher has no option {', '.join(unknown)}; it has {', '.join(known)}")
        return make_teacher(**options)

    def where(self) -> str:
        return "computed"

    def verify(self) -> list[Check]:
        return []

    def fetch(self, folder: Path, *, progress: bool) -> Path:
        raise DataError("teacher is computed: there is nothing to fetch")
