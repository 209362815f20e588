"""Regression tasks that are computed: a student learns the outputs of a random network, the
teacher.
"""

import abc
import dataclasses
from itertools import pairwise
from typing import NamedTuple, final

import numpy as np

from .._checks import check_fields
from .._memory import check_memory
from ..errors import ConfigError, check_not_negative, check_positive
from .dataset import Dataset
from .errors import DataError
from .random_matrices import robust_at_distance, robust_gaussian

_GAIN = 3.0


class SyntheticTask(abc.ABC):
    """A task that is computed from a few numbers."""

    @abc.abstractmethod
    def dataset(self) -> Dataset:
        """Compute the samples of the task."""


@final
@dataclasses.dataclass(frozen=True)
class TeacherTask(SyntheticTask):
    """Standard normal inputs, and the outputs of a random ReLU network.

    The hidden layers of the teacher are ReLU, its output is linear, and there are no biases. The
    weights from `m` to `n` units are normal with standard deviation `3 sqrt(2 / (m + n))`, those
    of Xavier with a gain of 3. All targets are divided by one number, the standard deviation of
    all training targets, so that losses are of order 1. Their mean is not changed. The gain
    therefore has no effect on the targets.

    **Arguments:**

    - `sizes`: widths of the teacher from the input to the output, two or more.
    - `train`, `test`: the numbers of training and of test samples.
    - `seed`: the seed of the weights and of the inputs. The weights depend on nothing else.

    **Raises:** `ConfigError` for invalid values. `dataset` raises `DataError` if all targets are
    equal.

    Source: Meulemans et al. 2020, supplement B.3, "Synthetic regression dataset" (4 hidden layers
    of 1000).
    """

    sizes: tuple[int, ...] = (6, 1000, 1000, 1000, 1000, 2)
    train: int = 1000
    test: int = 1000
    seed: int = 0

    def __post_init__(self):
        _check_sizes(self, self.sizes)

    def dataset(self) -> Dataset:
        sizes = self.sizes
        weights_rng, train_rng, test_rng = (
            np.random.default_rng(stream) for stream in np.random.SeedSequence(self.seed).spawn(3)
        )
        weights = [weights_rng.standard_normal((m, n)) * (_GAIN * np.sqrt(2.0 / (m + n))) for m, n in pairwise(sizes)]
        train_x = train_rng.standard_normal((self.train, sizes[0]))
        test_x = test_rng.standard_normal((self.test, sizes[0]))
        train_y, test_y = _outputs(weights, train_x), _outputs(weights, test_x)
        scale = train_y.std()
        if scale == 0.0:
            raise DataError(
                f"teacher: all {train_y.size} training targets are equal and cannot be standardized; "
                f"raise train or widen sizes {sizes}"
            )
        x, y, x_test, y_test = (a.astype(np.float32) for a in (train_x, train_y / scale, test_x, test_y / scale))
        return Dataset("teacher", x, y, x_test, y_test, (sizes[0],), None)


@final
class StudentTeacher(NamedTuple):
    """A regression task, and the weights with which its student starts.

    `weights[i - 1]` is `W_i` of the student, shape `(outputs, inputs)`.
    """

    data: Dataset
    weights: tuple[np.ndarray, ...]


@final
@dataclasses.dataclass(frozen=True)
class StudentTeacherTask(SyntheticTask):
    """Standard normal inputs, the outputs of a random leaky-ReLU network, and a student close to
    it.

    All weights are standard normal and safe to invert (`robust_gaussian`). The output is linear,
    there are no biases, and the targets are not scaled. The weights of the student lie on the line
    from those of the teacher to another draw. They are drawn until they are safe to invert too.

    **Arguments:**

    - `sizes`: widths of both networks from the input to the output, two or more.
    - `train`, `test`: the numbers of training and of test samples.
    - `seed`: the seed of weights and inputs.
    - `negative_slope`: the slope of the leaky ReLU for negative values.
    - `distance`: the Frobenius distance between student and teacher in each layer.

    **Raises:** `ConfigError` for invalid values.

    Source: Meulemans 2019, sections 5.1.3 and 5.2.2.
    """

    sizes: tuple[int, ...] = (6, 6, 6)
    train: int = 1920
    test: int = 1000
    seed: int = 0
    negative_slope: float = 0.35
    distance: float = 8.0

    def __post_init__(self):
        _check_sizes(self, self.sizes)
        check_positive(self, "distance")

    def dataset(self) -> Dataset:
        return self.draw().data

    def draw(self) -> StudentTeacher:
        """Compute the samples, and the weights with which the student starts."""
        rng, slope = np.random.default_rng(self.seed), self.negative_slope
        teacher = [robust_gaussian(rng, n, m) for m, n in pairwise(self.sizes)]
        student = tuple(robust_at_distance(rng, w, self.distance) for w in teacher)
        train_x, test_x = rng.standard_normal((self.train, self.sizes[0])), rng.standard_normal((self.test, self.sizes[0]))
        train_y, test_y = (_outputs([w.T for w in teacher], x, slope) for x in (train_x, test_x))
        x, y, x_test, y_test = (array.astype(np.float32) for array in (train_x, train_y, test_x, test_y))
        return StudentTeacher(Dataset("student-teacher", x, y, x_test, y_test, (self.sizes[0],), None), student)


def _check_sizes(task: TeacherTask | StudentTeacherTask, sizes: tuple[int, ...]) -> None:
    check_fields(task)
    if len(sizes) < 2:
        raise ConfigError(f"{type(task).__name__} takes no sizes = {sizes}: give two or more widths, the input first.")
    check_positive(task, "sizes", "train", "test")
    check_not_negative(task, "seed")
    numbers = (task.train + task.test) * (sizes[0] + sizes[-1]) + sum(m * n for m, n in pairwise(sizes))
    check_memory(8 * numbers, f"{type(task).__name__} with train = {task.train}, test = {task.test} and sizes = {sizes}")


def _outputs(weights: list[np.ndarray], x: np.ndarray, negative_slope: float = 0.0) -> np.ndarray:
    h = x
    for w in weights[:-1]:
        a = h @ w
        h = np.maximum(a, negative_slope * a)
    return h @ weights[-1]
