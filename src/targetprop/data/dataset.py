"""A data set in memory."""

import dataclasses
import math
from typing import Any, Unpack, final

import numpy as np

from .._checks import whole
from .._html import html_table
from .arrays import ArrayOptions, assemble
from .errors import DataError


@final
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Training and test samples. Each input is flattened to a row.

    **Arguments:**

    - `name`: the name of the set.
    - `train_x`, `test_x`: inputs, float32, shape `(N, n_0)`.
    - `train_y`, `test_y`: labels from 0 to `classes - 1`, int32, shape `(N,)`. For regression they
      are targets, float32, shape `(N, n_L)`.
    - `shape`: the shape of one input before it is flattened, `(channels, rows, columns)` for
      images.
    - `classes`: the number of classes, or `None` for regression.
    - `validation`: how many training samples are held out by default. -1 stands for a tenth.
    - `labels`: what each class is called, for example `("cat", "dog")`. Default: unknown.

    **Raises:** `DataError` if the arrays do not fit each other, are not finite, or are empty.
    """

    name: str
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    shape: tuple[int, ...]
    classes: int | None
    validation: int = -1
    labels: tuple[Any, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise DataError(f"`name` is {self.name!r}, expected a string")
        if not isinstance(self.shape, tuple | list):
            raise DataError(f"{self.name}: shape is {self.shape}, expected a tuple, for example ({self.shape},)")
        for part in ("train_x", "train_y", "test_x", "test_y"):
            if not hasattr(array := getattr(self, part), "dtype"):
                raise DataError(f"{self.name}: {part} is a {type(array).__name__}, expected an array: use numpy.asarray")
        if any((whole(size) or 0) < 1 for size in self.shape):
            raise DataError(f"{self.name}: shape is {self.shape}, expected whole numbers above 0")
        if self.classes is not None and (whole(self.classes) or 0) < 1:
            raise DataError(f"{self.name}: classes is {self.classes!r}, expected a whole number, or None for regression")
        if whole(self.validation) is None or self.validation > len(self.train_x):
            raise DataError(f"{self.name}: validation is {self.validation!r}, expected a number of training samples")
        if self.labels is not None and not isinstance(self.labels, tuple | list):
            raise DataError(f"{self.name}: labels is {self.labels!r}, expected a tuple, one for each class")
        if self.validation < 0:
            object.__setattr__(self, "validation", len(self.train_x) // 10)
        for part, x, y in (("train", self.train_x, self.train_y), ("test", self.test_x, self.test_y)):
            expected = (len(y), math.prod(self.shape))
            if x.dtype != np.float32 or x.shape != expected:
                raise DataError(
                    f"{self.name}: {part}_x is {x.dtype} {x.shape}, expected float32 {expected}: "
                    f"flatten each input of shape {self.shape} to one row, one row for each of {part}_y"
                )
            if not len(y):
                raise DataError(
                    f"{self.name}: {part}_x has no samples: give at least one, for example one of the other part"
                )
            self._check_finite(f"{part}_x", x)
            if self.classes is None:
                self._check_targets(part, y)
            else:
                self._check_labels(part, y, self.classes)
        if self.labels is not None and len(self.labels) != self.classes:
            raise DataError(
                f"{self.name}: there are {len(self.labels)} labels, expected one for each of {self.classes} classes"
            )
        if self.classes is None and self.train_y.shape[1] != self.test_y.shape[1]:
            raise DataError(
                f"{self.name}: train_y is {self.train_y.shape} and test_y {self.test_y.shape}, "
                f"expected equal numbers of outputs"
            )

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any,
        *,
        test: tuple[Any, Any] | None = None,
        test_size: float | None = None,
        **options: Unpack[ArrayOptions],
    ) -> "Dataset":
        """A data set of arrays, lists or data frames as they are.

        - **Inputs** are numbers of any type, and become float32. They are not scaled: the pixels
          of uint8 images stay 0 to 255. `in_unit_range` and `standardized` scale them.
        - **The shape of a sample** follows from `x`: `(n, inputs)` are rows, `(n, rows, columns)`
          images with one channel, `(n, channels, rows, columns)` and `(n, rows, columns,
          channels)` images with several. They are stored with the channels first.
        - **Labels** are whole numbers, truth values, strings or other values that can be sorted.
          The classes are these values in their order, and `labels` keeps them.
        - **Targets** of a regression are real numbers, `(n,)` or `(n, outputs)`.

        **Arguments:**

        - `x`, `y`: inputs and labels or targets, one sample along the first axis.
        - `test`: inputs and labels of the test set. Default: a part of the samples.
        - `test_size`: the number of test samples, or their share, with the same share of every
          class. Default: a fifth. Only without `test`.
        - `options`: `name`, `seed` of the split, `validation`, `channels` and `classify`, as
          described at `ArrayOptions`.

        **Returns:** the data set.

        **Raises:** `DataError` if the arrays do not fit: different lengths, no samples, missing
        or infinite values, a single class, channels on an unknown axis. `ConfigError` for an
        unknown option or an invalid value.
        """
        return cls(**assemble((x, y), test, test_size, options))

    def _check_finite(self, part: str, array: np.ndarray) -> None:
        if not (math.isfinite(array.min()) and math.isfinite(array.max())):
            rows = np.flatnonzero(~np.isfinite(array).all(axis=1))
            raise DataError(
                f"{self.name}: {len(rows)} of the {len(array)} rows of {part} are not finite, the first is row {rows[0]}: "
                "correct or remove these samples"
            )

    def _check_targets(self, part: str, y: np.ndarray) -> None:
        if y.dtype != np.float32 or y.ndim != 2:
            raise DataError(
                f"{self.name}: {part}_y is {y.dtype} {y.shape}, expected float32 (N, n_L) for regression; "
                f"for classification give the number of classes"
            )
        self._check_finite(f"{part}_y", y)

    def _check_labels(self, part: str, y: np.ndarray, classes: int) -> None:
        if y.dtype != np.int32 or y.ndim != 1:
            raise DataError(
                f"{self.name}: {part}_y is {y.dtype} {y.shape}, expected int32 labels (N,); "
                f"for regression set classes to None"
            )
        if not (y.min() >= 0 and y.max() < classes):
            raise DataError(f"{self.name}: {part}_y runs from {y.min()} to {y.max()}, expected labels 0 to {classes - 1}")

    def __repr__(self) -> str:
        kind = f"{self.outputs} targets" if self.classes is None else f"{self.classes} classes"
        sizes = f"{len(self.train_x):,} training and {len(self.test_x):,} test samples"
        return f"Dataset {self.name}: {sizes} of shape {self.shape}, {kind}"

    def _repr_html_(self) -> str:
        parts = (("training", self.train_x, self.train_y), ("test", self.test_x, self.test_y))
        rows = [[part, f"{len(x):,}", f"{x.min():.3g} to {x.max():.3g}", self._targets(y)] for part, x, y in parts]
        return html_table(("", "samples", "inputs", "labels" if self.classes else "targets"), rows, repr(self))

    def _targets(self, y: np.ndarray) -> str:
        if self.classes is None:
            return f"{y.min():.3g} to {y.max():.3g}"
        counts = np.bincount(y, minlength=self.classes)
        return f"{counts.min():,} to {counts.max():,} per class"

    @property
    def inputs(self) -> int:
        """The number of inputs, n_0."""
        return math.prod(self.shape)

    @property
    def outputs(self) -> int:
        """The number of outputs, n_L: the classes, or the width of the regression targets."""
        return self.train_y.shape[1] if self.classes is None else self.classes

    def standardized(self) -> "Dataset":
        """The same set, named `NAME:standard`, with each input shifted and scaled such that its
        training values have mean 0 and standard deviation 1.

        An input that is the same in all training samples is only shifted.
        """
        mean, sd = self.train_x.mean(axis=0, dtype=np.float64), self.train_x.std(axis=0, dtype=np.float64)
        scale = np.where(sd == 0, 1.0, sd)
        train_x, test_x = (((x - mean) / scale).astype(np.float32) for x in (self.train_x, self.test_x))
        return dataclasses.replace(self, name=f"{self.name}:standard", train_x=train_x, test_x=test_x)

    def in_unit_range(self) -> "Dataset":
        """The same set, named `NAME:unit`, with its inputs scaled so that the training inputs span
        0 to 1.

        For images these are the pixels divided by the brightest one.

        **Raises:** `DataError` if all inputs are equal.
        """
        low, high = self.train_x.min(), self.train_x.max()
        if low == high:
            raise DataError(f"{self.name}: all inputs are {low}, so there is no range to scale: load the set as it is")
        train_x, test_x = ((x - low) / (high - low) for x in (self.train_x, self.test_x))
        return dataclasses.replace(self, name=f"{self.name}:unit", train_x=train_x, test_x=test_x)
