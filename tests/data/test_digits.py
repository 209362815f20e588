import numpy as np
import pytest
from sklearn.datasets import load_digits

from targetprop.data import DataError, fetch, load, verify
from targetprop.errors import ConfigError


def test_every_digit_is_in_one_part():
    data = load("digits")
    pixels, labels = load_digits(return_X_y=True)
    assert data.train_x.shape == (1437, 64)
    assert data.test_x.shape == (360, 64)
    assert (data.inputs, data.outputs) == (64, 10)
    # Standardization is the same affine map for all pixels, so it keeps the order of rows sorted
    # by value.
    ours = np.concatenate([data.train_x, data.test_x])
    low, high = ours.min(), ours.max()
    restored = np.rint((ours - low) / (high - low) * 16)
    rows = np.column_stack([restored, np.concatenate([data.train_y, data.test_y])])
    theirs = np.column_stack([pixels, labels])
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], theirs[np.lexsort(theirs.T)])


def test_training_pixels_are_standardised():
    train = load("digits").train_x.astype(np.float64)
    assert train.mean() == pytest.approx(0.0, abs=1e-6)
    assert train.std() == pytest.approx(1.0, abs=1e-6)


def test_pixels_differ_by_sixteenths_over_the_deviation():
    data = load("digits")
    pixels, _ = load_digits(return_X_y=True)
    steps = np.diff(np.unique(np.concatenate([data.train_x, data.test_x]).astype(np.float64)))
    # All pixels' deviation is within 2 % of that of the training pixels.
    np.testing.assert_allclose(steps, 1 / 16 / (pixels / 16).std(), rtol=0.02)
    assert len(steps) == 16


def test_validation_size():
    assert load("digits").validation == 300


def test_split_is_fixed_and_mixed():
    first, second = load("digits"), load("digits")
    np.testing.assert_array_equal(first.train_x, second.train_x)
    np.testing.assert_array_equal(first.test_y, second.test_y)
    assert set(first.test_y) == set(range(10))
    _, labels = load_digits(return_X_y=True)
    assert not np.array_equal(first.train_y, labels[:1437])


def test_digits_needs_neither_options_nor_files():
    assert verify("digits") == []
    with pytest.raises(ConfigError, match="digits takes no options: leave out seed"):
        load("digits", seed=1)
    with pytest.raises(DataError, match="nothing to fetch"):
        fetch("digits")
