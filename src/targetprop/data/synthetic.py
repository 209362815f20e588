"""Student-teacher regression: the outputs of a random network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np

from targetprop.data.dataset import Dataset
from targetprop.data.errors import DataError
from targetprop.data.source import Card, Check, DataSource

_SIZES = (6, 1000, 1000, 1000, 1000, 2)
_TRAIN = 1000
_TEST = 1000
_GAIN = 3.0
_ROBUST = 0.4
_CARD = Card(
    name="teacher",
    train=_TRAIN,
    test=_TEST,
    shape=(_SIZES[0],),
    classes=None,
    license="none needed: computed here",
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
            f"teacher: all {train_y.size} training targets are equal and cannot be standardized; "
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


class StudentTeacher(NamedTuple):
    """A regression task and where its student begins: `weights[i - 1]` is the student's `W_i`, shape `(outputs, inputs)`."""

    data: Dataset
    weights: tuple[np.ndarray, ...]


def make_student_teacher(
    *,
    sizes: tuple[int, ...] = (6, 6, 6),
    train: int = 1920,
    test: int = 1000,
    seed: int = 0,
    negative_slope: float = 0.35,
    distance: float = 8.0,
) -> StudentTeacher:
    """What a random leaky-ReLU network answers to standard normal inputs, and a student at a given distance from it.

    All weights are standard normal and robust against inversion (`robust_gaussian`); the output is linear, there are no
    biases, and the targets stay as they are. The student's weights lie on the line from the teacher's to another
    draw, at a Frobenius distance of `distance` in each layer; they are drawn until they are robust too.

    Raises `DataError` if an option is out of range.

    Source: Meulemans 2019, sections 5.1.3 and 5.2.2.
    """
    if len(sizes) < 2 or min(sizes) < 1 or train < 1 or test < 1 or seed < 0 or not distance > 0:
        raise DataError(
            f"student and teacher: sizes {sizes}, train {train}, test {test}, seed {seed}, distance {distance}; expected "
            "two or more widths of at least 1, at least 1 example of each, a seed of at least 0 and a positive distance"
        )
    rng = np.random.default_rng(seed)
    teacher = [robust_gaussian(rng, n, m) for m, n in pairwise(sizes)]
    student = tuple(_robust(lambda w=w: _at_distance(rng, w, distance)) for w in teacher)
    train_x, test_x = rng.standard_normal((train, sizes[0])), rng.standard_normal((test, sizes[0]))
    train_y, test_y = (_answer([w.T for w in teacher], x, negative_slope) for x in (train_x, test_x))
    x, y, x_test, y_test = (array.astype(np.float32) for array in (train_x, train_y, test_x, test_y))
    return StudentTeacher(Dataset("student-teacher", x, y, x_test, y_test, (sizes[0],), None), student)


def robust_gaussian(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """A standard normal matrix, drawn until the product of its smallest and largest singular value is above 0.4
    (Meulemans 2019, section 5.1.3)."""
    return _robust(lambda: rng.standard_normal((rows, columns)))


def robust_diagonal(rng: np.random.Generator, size: int) -> np.ndarray:
    """The diagonal, of standard normal numbers, of a matrix that is robust in the same way."""
    return np.diag(_robust(lambda: np.diag(rng.standard_normal(size))))


def _robust(draw: Callable[[], np.ndarray]) -> np.ndarray:
    while True:
        matrix = draw()
        s = np.linalg.svd(matrix, compute_uv=False)
        if s[0] * s[-1] > _ROBUST:
            return matrix


def _at_distance(rng: np.random.Generator, teacher: np.ndarray, distance: float) -> np.ndarray:
    away = rng.standard_normal(teacher.shape) - teacher
    return teacher + distance * away / np.linalg.norm(away)


def _answer(weights: list[np.ndarray], x: np.ndarray, negative_slope: float = 0.0) -> np.ndarray:
    h = x
    for w in weights[:-1]:
        a = h @ w
        h = np.maximum(a, negative_slope * a)
    return h @ weights[-1]


@final
@dataclass(frozen=True)
class Computed(DataSource):
    """A set that is computed by `make`, a function of the named options."""

    kind: Card
    make: Callable[..., Dataset]
    options: tuple[str, ...]

    @property
    def card(self) -> Card:
        return self.kind

    def load(self, **options: Any) -> Dataset:
        if unknown := sorted(set(options) - set(self.options)):
            raise DataError(f"{self.kind.name} has no option {', '.join(unknown)}; it has {', '.join(self.options)}")
        return self.make(**options)

    def where(self) -> str:
        return "computed"

    def verify(self) -> list[Check]:
        return []

    def fetch(self, folder: Path, *, progress: bool) -> Path:
        raise DataError(f"{self.kind.name} is computed: there is nothing to fetch")


def _student_teacher(name: str, sizes: tuple[int, ...], train: int) -> Computed:
    test = 1000

    def make(seed: int = 0) -> Dataset:
        return replace(make_student_teacher(sizes=sizes, train=train, test=test, seed=seed).data, name=name)

    return Computed(Card(name, train, test, sizes[:1], None, _CARD.license, train // 10), make, ("seed",))


COMPUTED = (
    Computed(_CARD, make_teacher, ("sizes", "train", "test", "seed")),
    _student_teacher("student-teacher", (6, 6, 6), 1920),
    _student_teacher("student-teacher-contracting", (6, 6, 4), 1920),
    _student_teacher("student-teacher-deep", (6,) * 6, 3840),
)
