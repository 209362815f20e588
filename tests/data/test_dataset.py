import dataclasses

import numpy as np
import pytest

from targetprop.data import DataError, Dataset


def classification(**changes) -> Dataset:
    x, y = np.zeros((4, 6), np.float32), np.array([0, 1, 2, 0], np.int32)
    fields = {"name": "toy", "train_x": x, "train_y": y, "test_x": x[:2], "test_y": y[:2]}
    return Dataset(**(fields | {"shape": (1, 2, 3), "classes": 3} | changes))


def regression(**changes) -> Dataset:
    y = np.zeros((4, 5), np.float32)
    return classification(**({"train_y": y, "test_y": y[:2], "classes": None} | changes))


def test_sizes():
    assert (classification().inputs, classification().outputs) == (6, 3)
    assert (regression().inputs, regression().outputs) == (6, 5)


def test_a_set_is_printed_in_one_line_without_its_arrays():
    x, y = np.zeros((1200, 4), np.float32), np.zeros(1200, np.int32)
    labeled = Dataset("<toy>", x, y, x[:5], y[:5], (2, 2), 3)
    assert repr(labeled) == "Dataset <toy>: 1,200 training and 5 test samples of shape (2, 2), 3 classes"
    assert "<td" in labeled._repr_html_()
    assert "&lt;toy&gt;" in labeled._repr_html_()
    assert "<toy>" not in labeled._repr_html_()
    assert "0 to 1,200 per class" in labeled._repr_html_()
    targets = Dataset("toy", x, x[:, :2], x[:5], x[:5, :2], (4,), None)
    assert repr(targets) == "Dataset toy: 1,200 training and 5 test samples of shape (4,), 2 targets"
    assert "0 to 0" in targets._repr_html_()


def test_fields_cannot_be_set():
    with pytest.raises(dataclasses.FrozenInstanceError):
        classification().name = "other"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_x": np.zeros((4, 6))}, "train_x is float64"),
        ({"train_x": np.zeros((3, 6), np.float32)}, "train_x"),
        ({"test_x": np.zeros((2, 5), np.float32)}, "test_x"),
        ({"test_x": np.zeros((2, 2, 3), np.float32)}, "flatten each input"),
        ({"shape": (1, 2, 2)}, "train_x"),
        ({"test_x": np.zeros((0, 6), np.float32), "test_y": np.zeros(0, np.int32)}, "test_x has no samples: give"),
        ({"train_x": np.zeros((0, 6), np.float32), "train_y": np.zeros(0, np.int32)}, "train_x has no samples: give"),
        ({"shape": 6}, r"shape is 6, expected a tuple, for example \(6,\)"),
        ({"train_x": [[0.0] * 6] * 4}, r"train_x is a list, expected an array: use numpy\.asarray"),
        ({"test_y": [0, 1]}, "test_y is a list, expected an array"),
        ({"train_y": np.zeros(4, np.int64)}, "expected int32 labels"),
        ({"train_y": np.zeros((4, 1), np.int32)}, "expected int32 labels"),
        ({"test_y": np.array([0, 3], np.int32)}, "test_y runs from 0 to 3, expected labels 0 to 2"),
        ({"test_y": np.array([-1, 1], np.int32)}, "test_y runs from -1 to 1"),
    ],
)
def test_unfitting_labels_and_inputs_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        classification(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_y": np.zeros((4, 5))}, "expected float32"),
        ({"train_y": np.zeros(4, np.float32)}, "give the number of classes|expected float32"),
        ({"test_y": np.zeros((2, 4), np.float32)}, "equal numbers of outputs"),
    ],
)
def test_unfitting_targets_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        regression(**changes)


def test_inputs_from_0_to_1():
    pixels = np.array([[0, 51, 255], [204, 0, 102], [0, 0, 1], [7, 8, 9]], np.float32)
    standardized = (pixels / 255 - np.float32(0.1307)) / np.float32(0.3081)
    unit = classification(train_x=standardized, test_x=standardized[1:3], shape=(3,)).in_unit_range()
    assert unit.name == "toy:unit"
    np.testing.assert_allclose(unit.train_x, pixels / 255, atol=1e-6)
    np.testing.assert_allclose(unit.test_x, pixels[1:3] / 255, atol=1e-6)
    assert (unit.train_x.min(), unit.train_x.max()) == (0, 1)
    with pytest.raises(DataError, match="all inputs are 0"):
        classification().in_unit_range()


def test_inputs_of_mean_0_and_standard_deviation_1():
    x = np.array([[1, 7, 1e6], [3, 7, 3e6], [5, 7, 2e6], [3, 7, 2e6]], np.float32)
    standard = classification(train_x=x, test_x=x[1:3] + 1, shape=(3,)).standardized()
    assert standard.name == "toy:standard"
    expected = (x[:, [0, 2]] - np.array([3, 2e6])) / np.array([np.sqrt(2), np.sqrt(0.5e12)])
    np.testing.assert_allclose(standard.train_x[:, [0, 2]], expected, atol=1e-6)
    np.testing.assert_array_equal(standard.train_x[:, 1], 0)
    np.testing.assert_allclose(standard.test_x[:, 0], (x[1:3, 0] - 2) / np.sqrt(2), atol=1e-6)
    np.testing.assert_array_equal(standard.test_x[:, 1], 1)


def test_labels_have_a_name_for_each_class():
    assert classification().labels is None
    assert classification(labels=("a", "b", "c")).standardized().labels == ("a", "b", "c")
    with pytest.raises(DataError, match="there are 2 labels, expected one for each of 3 classes"):
        classification(labels=("a", "b"))
