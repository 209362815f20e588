"""Data sets from arrays of any common type. The oracle is scikit-learn where it does the same."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

import targetprop as tp
from targetprop.data import DataError, Dataset

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6))
Y = np.arange(40) % 4


def rows(data: Dataset) -> np.ndarray:
    """All inputs, in any order."""
    together = np.concatenate([data.train_x, data.test_x])
    return together[np.lexsort(together.T)]


def test_inputs_and_labels_become_what_training_takes():
    data = Dataset.from_arrays(X, Y)
    assert (data.name, data.shape, data.classes, data.labels) == ("arrays", (6,), 4, (0, 1, 2, 3))
    assert (len(data.train_x), len(data.test_x), data.validation) == (32, 8, 3)
    expected = X.astype(np.float32)
    np.testing.assert_array_equal(rows(data), expected[np.lexsort(expected.T)])
    pairs = {tuple(x): y for x, y in zip(expected, Y, strict=True)}
    for part, labels in ((data.train_x, data.train_y), (data.test_x, data.test_y)):
        assert [pairs[tuple(x)] for x in part] == labels.tolist()


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        (["cat", "dog"] * 20, ("cat", "dog")),
        (np.array(["cat", "dog"] * 20, object), ("cat", "dog")),
        ([True, False] * 20, (False, True)),
        ([7, -3, 100, 7] * 10, (-3, 7, 100)),
        (np.array([200, 3] * 20, np.uint8), (3, 200)),
        (np.array([200, 3] * 20).reshape(40, 1), (3, 200)),
        ([(b"y"), (b"n")] * 20, (b"n", b"y")),
    ],
    ids=["list of strings", "objects", "truth values", "gaps", "uint8", "one column", "bytes"],
)
def test_labels_of_any_type_are_classes_in_their_order(y, labels):
    data = Dataset.from_arrays(X, y, test_size=10)
    assert data.labels == labels
    assert [type(label) for label in data.labels] == [type(label) for label in labels]
    assert data.classes == len(labels)
    values = {tuple(x): value for x, value in zip(X.astype(np.float32), np.ravel(y).tolist(), strict=True)}
    assert [data.labels[k] for k in data.test_y] == [values[tuple(x)] for x in data.test_x]


@pytest.mark.parametrize("y", [X[:, 0], X[:, :1], X[:, 0].tolist(), X[:, :3].astype(np.float32)])
def test_real_numbers_are_targets(y):
    data = Dataset.from_arrays(X, y)
    assert (data.classes, data.labels) == (None, None)
    assert data.outputs == (1 if np.ndim(y) == 1 else np.shape(y)[1])
    width = data.outputs
    np.testing.assert_allclose(data.train_y, data.train_x[:, :width], rtol=1e-6)
    np.testing.assert_allclose(data.test_y, data.test_x[:, :width], rtol=1e-6)


def test_whole_numbers_as_targets_only_if_one_says_so():
    assert Dataset.from_arrays(X, Y, classify=False).outputs == 1
    assert Dataset.from_arrays(X, Y.astype(float), classify=True).labels == (0.0, 1.0, 2.0, 3.0)
    assert Dataset.from_arrays(X, Y.astype(float), classify=False).classes is None
    with pytest.raises(DataError, match=r"y holds 4 different whole numbers as float64: say whether .*classify=True"):
        Dataset.from_arrays(X, Y.astype(float))
    assert Dataset.from_arrays(X, np.arange(40.0)).classes is None


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((8, 5), {}, (1, 8, 5)),
        ((3, 8, 5), {}, (3, 8, 5)),
        ((8, 5, 3), {}, (3, 8, 5)),
        ((8, 5, 1), {}, (1, 8, 5)),
        ((7, 8, 5), {"channels": "first"}, (7, 8, 5)),
        ((8, 5, 7), {"channels": "last"}, (7, 8, 5)),
        ((3, 5, 3), {"channels": "last"}, (3, 3, 5)),
        ((), {}, (1,)),
        ((2, 3, 4, 5), {}, (2, 3, 4, 5)),
    ],
)
def test_the_shape_of_a_sample_follows_from_the_array(shape, options, expected):
    x = RNG.integers(0, 256, (20, *shape)).astype(np.uint8)
    data = Dataset.from_arrays(x, Y[:20], **options)
    assert data.shape == expected
    images = data.train_x.reshape(-1, *expected)
    moved = options.get("channels") == "last" or (len(shape) == 3 and expected != shape)
    first = x if not moved else np.transpose(x, (0, 3, 1, 2))
    originals = {image.tobytes() for image in first.reshape(20, *expected).astype(np.float32)}
    assert all(image.tobytes() in originals for image in images)
    assert data.train_x.dtype == np.float32


def test_pixels_are_scaled_only_if_one_asks():
    x = RNG.integers(0, 256, (30, 4, 4)).astype(np.uint8)
    x[:, 0, 0] = np.arange(30) % 2 * 255
    data = Dataset.from_arrays(x, np.arange(30) % 2)
    assert (data.train_x.min(), data.train_x.max()) == (0, 255)
    np.testing.assert_allclose(data.in_unit_range().train_x, data.train_x / 255, rtol=1e-6)


@pytest.mark.parametrize("size", [0.25, 13])
def test_every_class_gives_its_share_to_the_test(size):
    y = np.repeat(["a", "b", "c"], [60, 30, 10])
    x = np.arange(100.0)[:, None]
    data = Dataset.from_arrays(x, y, test_size=size, seed=3)
    other = train_test_split(y, test_size=size, stratify=y, random_state=0)[1]
    found = np.bincount(data.test_y)
    assert found.sum() == len(other)
    assert np.abs(found - np.unique(other, return_counts=True)[1]).max() <= 1
    again, fresh = (Dataset.from_arrays(x, y, test_size=size, seed=seed) for seed in (3, 4))
    np.testing.assert_array_equal(again.test_x, data.test_x)
    assert not np.array_equal(fresh.test_x, data.test_x)


def test_a_class_with_one_sample_stays_in_the_training_set():
    data = Dataset.from_arrays(X, [0] * 38 + [1, 2], test_size=0.5)
    assert np.bincount(data.test_y).tolist() == [20]
    assert np.bincount(data.train_y).tolist() == [18, 1, 1]


def test_a_test_set_of_one_s_own():
    y = np.array(["b", "a"] * 20)
    data = Dataset.from_arrays(X, y, test=(X[:3].tolist(), ["b", "b", "b"]), name="mine", validation=0.25)
    assert (data.name, data.validation, data.labels) == ("mine", 10, ("a", "b"))
    np.testing.assert_array_equal(data.train_x, X.astype(np.float32))
    np.testing.assert_array_equal(data.test_x, X[:3].astype(np.float32))
    np.testing.assert_array_equal(data.train_y, [1, 0] * 20)
    np.testing.assert_array_equal(data.test_y, [1, 1, 1])


class Sparse:
    """What sparse matrices offer."""

    def toarray(self):
        return X


def test_sparse_matrices_are_filled_in():
    np.testing.assert_array_equal(rows(Dataset.from_arrays(Sparse(), Y)), rows(Dataset.from_arrays(X, Y)))


class NotAvailable:
    """Like the missing value of pandas: a comparison has no truth value."""

    def __eq__(self, other):
        return self

    def __hash__(self):
        return 0

    def __bool__(self):
        raise TypeError


def with_nan(array: np.ndarray, *where: int) -> np.ndarray:
    changed = array.astype(float)
    changed[where] = np.nan
    return changed


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (X, Y[:-1], {}, "x has 40 samples and y 39: give one of y for each of x"),
        (X, X[:-2, 0], {}, "x has 40 samples and y 38"),
        (with_nan(X, 5, 2), Y, {}, "x: 1 of 40 samples are not finite, the first is sample 5"),
        (np.where(X > 2, np.inf, X), Y, {}, "x: .* are not finite"),
        (X * 1e300, Y, {}, "too large for float32: scale them"),
        (X[:0], Y[:0], {}, r"x is empty, of shape \(0, 6\)"),
        (X, [], {}, "y is empty"),
        (3.0, Y, {}, "x is empty"),
        ([[1, 2], [3]], [0, 1], {}, "x is no array .*the same shape"),
        ([["a"], ["b"]], [0, 1], {}, "x holds <U1 values: give numbers"),
        (X, np.ones(40, int), {}, "all labels are 1, expected at least two classes"),
        (X, np.eye(4, dtype=int)[Y], {}, r"y has the shape \(40, 4\), .*argmax"),
        (X, with_nan(X[:, 0], 7), {}, "y: 1 of 40 samples are not finite, the first is sample 7"),
        (X, with_nan(Y, 7), {"classify": True}, "y: 1 labels are missing, the first is that of sample 7"),
        (X, ["a", None] * 20, {}, "y: 20 labels are missing, the first is that of sample 1"),
        (X, ["a", NotAvailable()] * 20, {}, "y: 20 labels are missing, the first is that of sample 1"),
        (X, np.array(["a", 1] * 20, object), {}, "y mixes labels that cannot be sorted"),
        (X, ["a", "b"] * 20, {"classify": False}, "y holds <U1 values, expected numbers as targets"),
        (X, X.reshape(40, 2, 3), {}, r"y has the shape \(40, 2, 3\), expected targets"),
        (np.ones((40, 3, 5, 3)), Y, {}, r"channels may be the axis of 3 or of 3: say which, channels="),
        (np.ones((40, 8, 5, 7)), Y, {}, r"channels may be the axis of 8 or of 7"),
        (X, Y, {"channels": "last"}, r"x has the shape \(40, 6\), and no axis of channels"),
        (X[:2], [0, 1], {}, "No class has a sample for training and one for the test"),
        (X, Y, {"test": (X[:, :5], Y)}, r"test samples have the shape \(5,\), and training samples \(6,\)"),
        (X, Y, {"test": (X, Y[:-1])}, "test set: x has 40 samples and y 39"),
        (X, Y % 2, {"test": (X, Y)}, "no training sample has the label 2"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(x, y, options, message):
    with pytest.raises(DataError, match=f"(?s){message}"):
        Dataset.from_arrays(x, y, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_size": 40}, "`test_size` is 40, but there are 40 samples: use a number from 0 to 39"),
        ({"test_size": 0}, "`test_size` is 0: give at least one sample"),
        ({"test_size": 1.5}, "`test_size` is 1.5: give a number of samples, or a share"),
        ({"test_size": True}, "`test_size` is True"),
        ({"validation": -1}, "`validation` is -1, but there are 32 samples"),
        ({"validation": 1.0}, "`validation` is 1.0"),
        ({"seed": -1}, "`seed` is -1: use a whole number from 0 on"),
        ({"channels": "middle"}, '`channels` is \'middle\': use "first" or "last"'),
        ({"test": (X, Y), "test_size": 0.1}, "There is a `test` set, and a `test_size` too"),
        ({"scale": True}, "no option `scale`: the options are name, seed, validation, channels, classify"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(tp.ConfigError, match=message):
        Dataset.from_arrays(X, Y, **options)


def test_such_a_set_trains():
    x = RNG.normal(size=(60, 5))
    data = tp.Dataset.from_arrays(x, np.where(x[:, 0] > 0, "up", "down"), name="signs")
    recipe = tp.Recipe(tp.Backprop(), architecture=tp.MLP((6,)), schedule=tp.Schedule(1), batch_size=8)
    assert tp.train(recipe, data, seeds=1, progress=False).dataset == "signs"
