import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targetprop.data import DataError, StudentTeacherTask, fetch, load, verify
from targetprop.errors import ConfigError

SMALL = {"sizes": (5, 40, 30, 3), "train": 200, "test": 50}


def test_default_is_the_network_of_the_paper():
    data = load("teacher")
    assert data.shape == (data.inputs,)
    assert data.classes is None
    assert data.train_y.shape == (data.train_x.shape[0], data.outputs)
    assert data.validation == data.train_x.shape[0] // 10


def test_sizes_are_as_asked():
    data = load("teacher", **SMALL)
    assert data.train_x.shape == (200, 5)
    assert data.train_y.shape == (200, 3)
    assert data.test_x.shape == (50, 5)
    assert data.test_y.shape == (50, 3)
    assert data.validation == 20


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_training_targets_have_unit_deviation(seed):
    data = load("teacher", **SMALL, seed=seed)
    assert data.train_y.astype(np.float64).std() == pytest.approx(1.0, rel=1e-5)


def test_inputs_are_standard_normal():
    x = load("teacher", sizes=(10, 10), train=10_000, test=1).train_x.astype(np.float64)
    # 100,000 numbers: five standard errors of the mean, of the variance and of the fourth moment.
    assert x.mean() == pytest.approx(0.0, abs=5 / np.sqrt(x.size))
    assert (x**2).mean() == pytest.approx(1.0, abs=5 * np.sqrt(2 / x.size))
    assert (x**4).mean() == pytest.approx(3.0, abs=5 * np.sqrt(96 / x.size))


def test_without_hidden_layers_the_teacher_is_linear():
    data = load("teacher", sizes=(5, 3), train=200, test=50)
    weights, *_ = np.linalg.lstsq(data.train_x, data.train_y, rcond=None)
    np.testing.assert_allclose(data.test_x @ weights, data.test_y, atol=1e-4)


def test_with_hidden_layers_it_is_not():
    data = load("teacher", **SMALL)
    design = np.column_stack([data.train_x, np.ones(200)])
    weights, *_ = np.linalg.lstsq(design, data.train_y, rcond=None)
    assert np.abs(design @ weights - data.train_y).max() > 0.1


def test_relu_without_biases_is_linear_on_each_half_line():
    data = load("teacher", sizes=(1, 20, 20, 1), train=300, test=300)
    ratio = (data.test_y.astype(np.float64) / data.test_x)[:, 0]
    positive = data.test_x[:, 0] > 0
    np.testing.assert_allclose(ratio[positive], ratio[positive][0], rtol=1e-4)
    np.testing.assert_allclose(ratio[~positive], ratio[~positive][0], rtol=1e-4)
    assert ratio[positive][0] != pytest.approx(ratio[~positive][0], rel=1e-2)


def test_seed_decides():
    same, other = load("teacher", **SMALL, seed=3), load("teacher", **SMALL, seed=4)
    again = load("teacher", **SMALL, seed=3)
    np.testing.assert_array_equal(same.train_y, again.train_y)
    np.testing.assert_array_equal(same.test_x, again.test_x)
    assert not np.array_equal(same.train_x, other.train_x)
    assert not np.array_equal(same.train_x[:50], same.test_x)


def test_more_test_examples_leave_the_rest_alone():
    few, many = load("teacher", **SMALL), load("teacher", **(SMALL | {"test": 80}))
    np.testing.assert_array_equal(few.train_y, many.train_y)
    np.testing.assert_array_equal(few.test_x, many.test_x[:50])
    # Matrix products of other shapes may round otherwise.
    np.testing.assert_allclose(few.test_y, many.test_y[:50], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": (5,)}, "give two or more widths"),
        ({"sizes": (5, 0, 2)}, "TeacherTask needs sizes above 0, not 0"),
        ({"train": 0}, "needs train above 0, not 0"),
        ({"test": 0}, "needs test above 0, not 0"),
        ({"seed": -1}, "needs seed 0 or above, not -1"),
        ({"width": 3}, "no option width; it has sizes, train, test, seed"),
    ],
)
def test_invalid_options_raise_an_error(options, message):
    with pytest.raises(ConfigError, match=message):
        load("teacher", **options)


def test_equal_targets_cannot_be_standardized():
    with pytest.raises(DataError, match="cannot be standardized"):
        load("teacher", sizes=(5, 1), train=1)


def test_teacher_needs_no_files():
    assert verify("teacher") == []
    with pytest.raises(DataError, match="nothing to fetch"):
        fetch("teacher")


@pytest.mark.parametrize(("sizes", "distance"), [((5, 3), 8.0), ((4, 6), 0.5)])
def test_a_student_starts_at_the_given_distance_from_its_teacher(sizes, distance):
    """Without hidden layers the answers give the teacher away."""
    data, (student,) = StudentTeacherTask(sizes=sizes, train=50, distance=distance).draw()
    teacher, *_ = np.linalg.lstsq(data.train_x.astype(float), data.train_y, rcond=None)
    assert np.linalg.norm(student - teacher.T) == pytest.approx(distance, rel=1e-4)
    for weights in (student, teacher):
        s = np.linalg.svd(weights, compute_uv=False)
        assert s[0] * s[-1] > 0.4 - 1e-4


@pytest.mark.parametrize(("slope", "linear"), [(1.0, True), (0.35, False)])
def test_the_teacher_bends_by_its_slope(slope, linear):
    data, _ = StudentTeacherTask(sizes=(3, 5, 2), train=50, negative_slope=slope, seed=3).draw()
    weights, *_ = np.linalg.lstsq(data.train_x, data.train_y, rcond=None)
    assert np.allclose(data.test_x @ weights, data.test_y, atol=1e-3) == linear


def test_invalid_students_raise_an_error():
    for options in ({"sizes": (6,)}, {"train": 0}, {"seed": -1}, {"distance": 0.0}):
        with pytest.raises(ConfigError, match=r"StudentTeacherTask (needs|takes no)"):
            StudentTeacherTask(**options)
