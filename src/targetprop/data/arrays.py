"""Arrays of any common type as the arrays of a data set: inputs, labels, targets, and a split."""

from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np

from ..errors import ConfigError
from .errors import DataError

TEST_SIZE = 0.2
CHANNELS = (1, 2, 3, 4)
"""Numbers of channels by which an axis of channels is recognized."""


class ArrayOptions(TypedDict, total=False):
    """The options of `Dataset.from_arrays`.

    - `name`: the name of the set. Default: `arrays`.
    - `seed`: the seed of the split. Default: 0.
    - `validation`: how many training samples are held out by default: a number, or a share.
      Default: a tenth.
    - `channels`: where images of shape `(n, ., ., .)` have their channels: `first` or `last`.
      Default: on the first or last axis, whichever has 1 to 4 entries.
    - `classify`: whether `y` holds labels. Default: unless `y` holds floating-point numbers.
    """

    name: str
    seed: int
    validation: float | None
    channels: Literal["first", "last"] | None
    classify: bool | None


class Chosen(NamedTuple):
    """All options, with their defaults."""

    name: str = "arrays"
    seed: int = 0
    validation: float | None = None
    channels: Literal["first", "last"] | None = None
    classify: bool | None = None


def checked_options(given: ArrayOptions) -> Chosen:
    """All options.

    **Raises:** `ConfigError` for an unknown option or an invalid value.
    """
    unknown = ", ".join(f"`{name}`" for name in given if name not in Chosen._fields)
    if unknown:
        raise ConfigError(f"from_arrays has no option {unknown}: the options are {', '.join(Chosen._fields)}.")
    chosen = Chosen(**given)
    if chosen.channels not in (None, "first", "last"):
        raise ConfigError(f'`channels` is {chosen.channels!r}: use "first" or "last".')
    if not isinstance(chosen.seed, int | np.integer) or chosen.seed < 0:
        raise ConfigError(f"`seed` is {chosen.seed!r}: use a whole number from 0 on.")
    if not isinstance(chosen.name, str) or not chosen.name:
        raise ConfigError(f"`name` is {chosen.name!r}: use a string.")
    if chosen.classify not in (None, True, False):
        raise ConfigError(f"`classify` is {chosen.classify!r}: use True or False.")
    return chosen


def share(name: str, value: Any, total: int) -> int:
    """The number of samples that a whole number, or a share below 1, stands for.

    **Raises:** `ConfigError` if there are not so many.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole and not (isinstance(value, float | np.floating) and 0 <= value < 1):
        raise ConfigError(f"`{name}` is {value!r}: give a number of samples, or a share from 0 to below 1.")
    found = int(value) if whole else round(float(value) * total)
    if not 0 <= found < total:
        raise ConfigError(f"`{name}` is {value}, but there are {total} samples: use a number from 0 to {total - 1}.")
    return found


# --- inputs ---------------------------------------------------------------------------------------------------------


class SampleRows(NamedTuple):
    """Samples as rows of float32, and the shape of one sample."""

    rows: np.ndarray
    shape: tuple[int, ...]


def inputs(what: str, x: Any, channels: Literal["first", "last"] | None) -> SampleRows:
    """Samples as rows of float32. Their values are not scaled.

    - `(n,)` is one number for each sample.
    - `(n, rows, columns)` are images with one channel.
    - `(n, ., ., .)` are images with channels, on the first or on the last axis. The rows have the
      channels first.

    **Raises:** `DataError` if the array does not hold finite numbers, is empty, or has channels on
    an unknown axis.
    """
    array = _array(what, x)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} holds {array.dtype} values: give numbers, with categories encoded as numbers")
    if array.ndim == 0 or array.size == 0:
        raise DataError(f"{what} is empty, of shape {array.shape}: give at least one sample, one along the first axis")
    if channels and array.ndim != 4:
        raise DataError(f"{what} has the shape {array.shape}, and no axis of channels: leave out `channels`")
    if array.ndim == 4 and (channels or _axis_of_channels(what, array.shape)) == "last":
        array = np.moveaxis(array, -1, 1)
    shape = (1, *array.shape[1:]) if array.ndim == 3 else array.shape[1:] or (1,)
    rows = array.reshape(len(array), -1)
    check_finite(what, rows)
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(rows, np.float32)
    if not np.isfinite(single).all():
        raise DataError(f"{what} holds values up to {np.abs(rows).max():.3g}, too large for float32: scale them")
    return SampleRows(single, shape)


def _array(what: str, values: Any) -> np.ndarray:
    """An array of any kind of array, list, data frame or sparse matrix."""
    if np.ma.is_masked(values):
        raise DataError(f"{what} is a masked array with {np.ma.count_masked(values)} missing values: remove these samples")
    try:
        return np.asarray(values.toarray() if hasattr(values, "toarray") else values)
    except ValueError as error:
        raise DataError(f"{what} is no array ({error}): give all samples the same shape") from error


def _axis_of_channels(what: str, shape: tuple[int, ...]) -> Literal["first", "last"]:
    first, last = (shape[axis] in CHANNELS for axis in (1, -1))
    if first == last:
        raise DataError(
            f"{what} has the shape {shape}, and its channels may be the axis of {shape[1]} or of {shape[-1]}: "
            'say which, channels="first" or channels="last"'
        )
    return "first" if first else "last"


def check_finite(what: str, rows: np.ndarray) -> None:
    """Raises `DataError` if a row holds `nan` or an infinite number."""
    bad = [] if rows.dtype.kind != "f" else np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise DataError(
            f"{what}: {len(bad)} of {len(rows)} samples are not finite, the first is sample {bad[0]}: "
            "fill in, correct or remove them"
        )


# --- labels and targets ---------------------------------------------------------------------------------------------


class Answers(NamedTuple):
    """What the network shall answer.

    **Arguments:**

    - `y`: labels from 0 as int32, or targets as rows of float32.
    - `labels`: the original label of each class, in their order. `None` for targets.
    """

    y: np.ndarray
    labels: tuple[Any, ...] | None


def answers(what: str, y: Any, classify: bool | None) -> Answers:
    """Labels of any type, or targets.

    **Raises:** `DataError` if values are missing, or if it is not clear whether `y` holds labels.
    """
    array = _array(what, y)
    if not array.size:
        raise DataError(f"{what} is empty: give one label or target for each sample")
    if not (_is_label(what, array) if classify is None else classify):
        return Answers(_targets(what, array), None)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(
            f"{what} has the shape {array.shape}, expected one label for each sample: "
            "for one-hot rows give numpy.argmax(y, axis=1), for targets classify=False"
        )
    _check_no_label_missing(what, array)
    try:
        labels, classes = np.unique(array, return_inverse=True)
    except TypeError as error:
        raise DataError(f"{what} mixes labels that cannot be sorted ({error}): give all of them one type") from error
    return Answers(classes.astype(np.int32), tuple(labels.tolist()))


def _is_label(what: str, array: np.ndarray) -> bool:
    if array.dtype.kind != "f":
        return True
    values = np.unique(array) if array.ndim == 1 or array.shape[1] == 1 else ()
    if 0 < len(values) <= 20 and np.all(values == np.round(values)):
        raise DataError(
            f"{what} holds {len(values)} different whole numbers as {array.dtype}: "
            "say whether they are labels, classify=True, or targets, classify=False"
        )
    return False


def _targets(what: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} holds {array.dtype} values, expected numbers as targets: for labels give classify=True")
    if array.ndim > 2:
        raise DataError(f"{what} has the shape {array.shape}, expected targets (n,) or (n, outputs)")
    rows = array.reshape(len(array), -1)
    check_finite(what, rows)
    return np.ascontiguousarray(rows, np.float32)


def _check_no_label_missing(what: str, array: np.ndarray) -> None:
    missing = [i for i, label in enumerate(array.tolist()) if label is None or not _equals_itself(label)]
    if missing:
        raise DataError(f"{what}: {len(missing)} labels are missing, the first is that of sample {missing[0]}: remove these")


def _equals_itself(label: Any) -> bool:
    """Whether a label is a value: `nan` and the missing values of pandas do not equal themselves."""
    try:
        return bool(label == label)
    except TypeError:
        return False


def same_labels(what: str, test: Answers, train: Answers) -> np.ndarray:
    """The test labels by the classes of the training labels.

    **Raises:** `DataError` if a label is none of these.
    """
    if train.labels is None or test.labels is None:
        return test.y
    unseen = [label for label in test.labels if label not in train.labels]
    if unseen:
        raise DataError(f"{what}: no training sample has the label {unseen[0]!r}: add some, or remove these test samples")
    classes = np.array([train.labels.index(label) for label in test.labels], np.int32)
    return classes[test.y]


# --- the parts of a data set ----------------------------------------------------------------------------------------


def assemble(
    given: tuple[Any, Any], test: tuple[Any, Any] | None, test_size: float | None, options: ArrayOptions
) -> dict[str, Any]:
    """The fields of the `Dataset` that `Dataset.from_arrays` makes. The arguments are its own."""
    chosen = checked_options(options)
    name = chosen.name
    x, y = _samples(name, given, chosen.channels, chosen.classify)
    if y.labels is not None and len(y.labels) < 2:
        raise DataError(f"{name}: all labels are {', '.join(map(repr, y.labels))}, expected at least two classes")
    if test is None:
        apart = test_samples(y, _test_size(test_size, len(y.y)), chosen.seed)
        (train_x, train_y), (test_x, test_y) = ((x.rows[part], y.y[part]) for part in (~apart, apart))
    elif test_size is not None:
        raise ConfigError("There is a `test` set, and a `test_size` too: give one of them.")
    else:
        other_x, other_y = _samples(f"{name}, test set", test, chosen.channels, y.labels is not None)
        if other_x.shape != x.shape:
            raise DataError(f"{name}: test samples have the shape {other_x.shape}, and training samples {x.shape}")
        train_x, train_y, test_x, test_y = x.rows, y.y, other_x.rows, same_labels(f"{name}, test set", other_y, y)
    return {
        "name": name,
        "train_x": train_x,
        "train_y": train_y,
        "test_x": test_x,
        "test_y": test_y,
        "shape": x.shape,
        "classes": None if y.labels is None else len(y.labels),
        "validation": -1 if chosen.validation is None else share("validation", chosen.validation, len(train_y)),
        "labels": y.labels,
    }


def _samples(name: str, given: tuple[Any, Any], channels: Any, classify: bool | None) -> tuple[SampleRows, Answers]:
    x, y = inputs(f"{name}: x", given[0], channels), answers(f"{name}: y", given[1], classify)
    if len(x.rows) != len(y.y):
        raise DataError(f"{name}: x has {len(x.rows)} samples and y {len(y.y)}: give one of y for each of x")
    return x, y


def _test_size(given: float | None, total: int) -> int:
    size = share("test_size", TEST_SIZE if given is None else given, total)
    if given == 0:
        raise ConfigError("`test_size` is 0: give at least one sample, or a `test` set.")
    return max(size, 1)


def test_samples(y: Answers, size: int, seed: int) -> np.ndarray:
    """Which samples are the test set, as an array of truth values.

    Every class gives the same share of its samples, up to rounding, but never all of them. Targets
    are split by chance alone.
    """
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(y.y), bool)
    if y.labels is None:
        chosen[rng.permutation(len(y.y))[:size]] = True
        return chosen
    counts = np.bincount(y.y)
    quotas = counts * (size / len(y.y))
    sizes = np.minimum(np.floor(quotas).astype(int), counts - 1)
    for kind in np.argsort(sizes - quotas, kind="stable"):  # the largest remainders first
        if sizes.sum() < size and sizes[kind] < counts[kind] - 1:
            sizes[kind] += 1
    if not sizes.any():
        raise DataError("No class has a sample for training and one for the test: give a `test` set")
    for kind, count in enumerate(sizes):
        chosen[rng.permutation(np.flatnonzero(y.y == kind))[:count]] = True
    return chosen
