"""Stability of the fixed points: what the item measures where the answer is known, and the
committed results.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from papers.pictures import check_pictures
from targetprop.papers.items import item
from targetprop.papers.thesis2019.stability_experiments import (
    ERRORS,
    SETTLED,
    ComputedSpectra,
    Growth,
    RandomCases,
    SettlingTimes,
    ToleratedErrors,
)

RESULTS = Path(__file__).parents[2] / "results"


def only(experiment):
    """The metrics of seed 0, and the steps that were reported."""
    done = []
    return experiment.run([0], done.append)[0], done


def test_random_cases_are_stable_and_mostly_not_negative_definite():
    """One unit and two layers: `(1 - mu) s + mu / s > 2` for the weight `s`, from which the share
    follows.
    """
    found, done = only(RandomCases(3000, widths=(1, 1), depths=(2, 2), sample=50))
    assert sum(done) == 3000
    for case in found["cases"].values():
        assert case["stable"] == 1
        assert case["largest distance"] < 1e-12
    numbers = np.random.default_rng(1)
    s = np.abs(numbers.standard_normal(100_000)) * 10 ** numbers.uniform(-1, 1, 100_000)
    mu = numbers.uniform(0, 0.5, 100_000)
    expected = np.mean((1 - mu) * s + mu / s > 2)
    assert found["cases"]["fixed"]["not negative definite"] == pytest.approx(expected, abs=0.04)
    sample = {name: np.array(values) for name, values in found["sample"].items()}
    assert all(values.shape == (50,) for values in sample.values())
    np.testing.assert_array_equal(sample["growth"] > 1, sample["numerical"] > 0)
    np.testing.assert_allclose(sample["abscissa"], -1 + np.sqrt(sample["mu"] * (1 - sample["mu"])), rtol=1e-2)


def test_sizes_are_drawn_from_the_whole_range():
    found, _ = only(RandomCases(100, widths=(1, 2), depths=(2, 3), sample=12))
    assert set(found["sample"]["depth"]) == {2, 3}
    assert found["cases"]["fixed"]["stable"] == 1


def test_rounding_makes_deep_circuits_look_unstable():
    found, done = only(ComputedSpectra(2, depths=(4, 64), width=5, mu=0.45))
    shallow, deep = found["depths"]
    assert done == [1, 1]
    assert shallow["looks unstable"] == 0
    assert shallow["median distance"] < 1e-10
    assert deep["looks unstable"] == 1
    assert len(deep["real"]) == 5 * 64


def test_growth_by_weights():
    straight, _ = only(Growth(3, "orthogonal", depths=(3,), width=2, mu=0.1))
    assert straight["depths"][0]["growing"] == 0
    np.testing.assert_allclose(straight["depths"][0]["growth"], 1)
    gaussian, _ = only(Growth(20, "Gaussian", depths=(6,), width=3, mu=0.1))
    assert gaussian["depths"][0]["growing"] > 0.8
    assert gaussian["depths"][0]["growth"][1] > 1.2


def test_a_single_unit_has_only_two_directions_to_err_in():
    """`G = J^{-1} (1 ± error)`, `mu (1 - mu) (1 + error) < 1` for two layers; in the other
    direction up to where the pair of eigenvalues is complex the real part stays at -1.
    """
    mu = 0.3
    found, done = only(ToleratedErrors(40, "orthogonal", depths=(2,), mus=(mu,), width=1))
    low, _, high = found["limits"][0][0]
    limit = 1 / (mu * (1 - mu)) - 1
    assert done == [1]
    assert limit <= low * (1 + 1e-3) <= limit * ERRORS[1] / ERRORS[0] * (1 + 2e-3)
    assert high == np.inf


def test_the_time_to_rest_of_two_layers():
    """Weights of norm 1 and `mu = 1/2`: `exp(t J)` is symmetric with the norm `exp(-t / 2)`."""
    found, _ = only(SettlingTimes(2, depths=(2,), mus=(0.5,), width=2, echo=False))
    assert found["settling"][0][0]["time"] == pytest.approx(2 * np.log(1 / SETTLED), rel=2e-3)
    assert found["settling"][0][0]["constant"] == pytest.approx(2)


def test_committed_results_are_those_of_the_present_settings():
    stability = item("thesis2019", "stability")
    options = dataclasses.replace(stability.defaults, results=RESULTS)
    assert all(part.missing(options.seeds) == [] for part in stability.parts(options))
    report = stability.report(options)
    first = report.cells[0]
    assert (first["published"]["mean"], first["theory"], first["ours"]["mean"]) == (1, 1, 1)
    check_pictures(report, names=["exact", "limits"])
