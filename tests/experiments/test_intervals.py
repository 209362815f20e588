"""Paired differences: against SciPy's paired t test, and numbers worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from targetprop.experiments import PairedDifference


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_interval_is_that_of_the_paired_t_test(n):
    chance = np.random.default_rng(n)
    ours, theirs = chance.normal(3, 1, n), chance.normal(2, 1, n)
    found = PairedDifference.between(dict(enumerate(ours)), dict(enumerate(theirs)))
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    np.testing.assert_allclose(found.interval, (expected.low, expected.high), rtol=1e-12)
    assert found.mean == pytest.approx(np.mean(ours - theirs), rel=1e-12)


def test_only_seeds_that_both_have_are_paired():
    found = PairedDifference.between({0: 1.0, 2: 5.0, 7: 2.0}, {7: 1.5, 0: 3.0, 1: 9.0})
    assert found.values == (-2.0, 0.5)


def test_effect_size_by_hand():
    """Differences 1, 2, 3: mean 2, deviation 1, so d_z = 2. With 2 degrees of freedom
    J = Gamma(1) / (1 * Gamma(1/2)) = 1 / sqrt(pi).
    """
    found = PairedDifference((1.0, 2.0, 3.0))
    assert (found.mean, found.sd) == (2.0, 1.0)
    assert found.effect_size == pytest.approx(2 / math.sqrt(math.pi), rel=1e-12)


@pytest.mark.parametrize("n", [3, 5, 20])
def test_the_correction_removes_the_bias(n):
    """sqrt(n) d_z has a noncentral t distribution, whose mean SciPy knows."""
    effect, correction = 0.7, PairedDifference(tuple(range(n))).effect_size / (np.mean(range(n)) / np.std(range(n), ddof=1))
    biased = stats.nct.mean(n - 1, effect * math.sqrt(n)) / math.sqrt(n)
    assert correction * biased == pytest.approx(effect, rel=1e-9)


def test_what_does_not_exist_is_a_dash():
    for values in ((), (1.0,)):
        found = PairedDifference(values)
        assert str(found) == "-"
        assert found.to_json() == {"pairs": len(values), "mean": None, "interval": None, "effect_size": None}
    two = PairedDifference((0.25, 0.75))
    assert math.isnan(two.effect_size)
    assert two.to_json()["interval"] == list(two.interval)
    same = PairedDifference((2.2222223 - 1.9444445, 1.6666667 - 1.3888889, 3.0555556 - 2.7777778))
    assert math.isnan(same.effect_size), "one test sample more with each seed: equal but for float32"
    assert str(PairedDifference((-1.0, -1.0))) == "-1.00 (-1.00 .. -1.00)"
