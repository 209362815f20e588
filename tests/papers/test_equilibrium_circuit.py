"""Appendix A of the paper on GAIT-prop as an item: what it measures at a small size, and the
committed results.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from papers.pictures import check_pictures
from targetprop.papers.gait2020.equilibrium import POINTS, CouplingLimit, EquilibriumCircuit
from targetprop.papers.items import item

RESULTS = Path(__file__).parents[2] / "results"


def nothing(steps: int) -> None:
    pass


def test_the_two_layer_circuit_goes_where_the_paper_says():
    (found,) = EquilibriumCircuit(depth=2, nu=0.4, width=3, batch=2).run([0], nothing)
    gamma = 0.4 / 0.6
    np.testing.assert_allclose(found["at rest"], [(1 + gamma, gamma), (1 + gamma, 1 + gamma)], rtol=1e-5)
    path = np.array(found["on the way"])
    assert path.shape == (2 * POINTS, 2, 2)
    np.testing.assert_allclose(path[0], [(1, 0), (1, 0)], atol=1e-6)  # the forward pass
    np.testing.assert_allclose(path[POINTS], [(1 + gamma, 0), (1 + gamma, 0)], atol=1e-5)
    np.testing.assert_allclose(path[-1], found["at rest"], atol=1e-3)
    assert all(distance < 1e-3 for distance in found["distance"].values())
    assert all(distance < 1e-8 for kind, distance in found["distance"].items() if "float64" in kind)


def test_the_limit_of_the_coupling():
    """Three layers: `2 sqrt(nu) cos(π / 4) < 1`."""
    (found,) = CouplingLimit((2, 3), 2).run([3], nothing)
    np.testing.assert_allclose(found["limits"], [1, 1 / 2], rtol=1e-4)


def test_committed_results_are_those_of_the_present_settings():
    appendix = item("gait2020", "appendix-a")
    options = dataclasses.replace(appendix.defaults, results=RESULTS)
    assert all(part.missing(options.seeds) == [] for part in appendix.parts(options))
    report = appendix.report(options)
    for cell in report.cells:
        if cell["published"]:
            assert cell["theory"] == pytest.approx(cell["published"]["mean"])
    check_pictures(report)
