"""The items of Farias and Maziero 2018."""

import math

import numpy as np
import pytest

from papers.pictures import check_pictures
from targetprop.experiments.item import Options, run_missing
from targetprop.experiments.sources import recipe_names
from targetprop.papers.farias2018.items import TABLES
from targetprop.papers.farias2018.two_neurons import TwoNeurons, TwoNeuronsFigure


def test_the_target_of_one_neuron_flows_to_the_inverse():
    """By hand, in absolute activities: `y <- y + tau w s' (target - s)` with `s = s(w y)`, which
    ends at the target.
    """
    toy = TwoNeurons(tau=4.0)
    metrics = toy.run([0], lambda steps: None)[0]
    y, path, errors = toy.activity, [], []
    for _ in range(toy.length + 1):
        s = 1 / (1 + math.exp(-toy.weight * y))
        path.append(y)
        errors.append((toy.above - s) ** 2)
        y += toy.tau * toy.weight * s * (1 - s) * (toy.above - s)
    np.testing.assert_allclose(metrics["target"], path, atol=2e-6)
    np.testing.assert_allclose(metrics["error"], errors, atol=2e-6)
    assert metrics["target"][-1] == pytest.approx(math.log(3) / 2, abs=2e-6)


def test_the_figure(tmp_path):
    item, options = TwoNeuronsFigure(), Options(results=tmp_path)
    assert not item.report(options).pictures
    assert run_missing(item, options, progress=False)
    report = item.report(options)
    ours = {(cell["row"], cell["column"]): cell["ours"]["mean"] for cell in report.cells}
    assert ours["tau = 1", "error"] < 1e-5 < ours["tau = 16", "error"]
    assert "stable up to tau = 14.2" in report.text  # 2 / (2 * 0.75 * 0.25)^2
    check_pictures(report)


def test_the_tables_are_those_of_the_paper():
    found = TABLES
    assert [len(found[name].cells) for name in ("table1", "table2", "table3")] == [6, 5, 5]
    for table in found.values():
        for cell in table.cells:
            assert cell.recipe in recipe_names()
            assert cell.sd is None
    scores = {
        (cell.column, cell.row): 100 - cell.mean for name in ("table1", "table2", "table3") for cell in found[name].cells
    }
    assert scores["mnist", "784-100-10"] == pytest.approx(97.21)
    assert scores["mnist", "784-500-500-500-10"] == pytest.approx(98.23)
    assert scores["fashion-mnist", "784-100-10"] == pytest.approx(87.03)
    assert scores["cifar10", "3072-500-500-500-10"] == pytest.approx(47.11)
