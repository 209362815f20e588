"""What is measured of networks in continuous time, on small ones."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from papers.pictures import check_pictures
from targetprop.experiments.catalog import recipe
from targetprop.experiments.item import TrainingOptions
from targetprop.figures import rule_style
from targetprop.networks.architectures import MLP
from targetprop.papers.items import item
from targetprop.papers.thesis2019.settling import MIXTURES, NOISE, TIMES, TrainedSettling
from targetprop.training.schedule import Schedule

HIDDEN = (12, 10)


def measured(name):
    found = recipe(f"thesis2019/dendrites/digits/{name}")
    small = found.replace(architecture=MLP(HIDDEN), schedule=Schedule(1, pretraining=1), batch_size=64)
    steps = []
    metrics = TrainedSettling(small).run([3], steps.append)[0]
    assert sum(steps) == 1
    return {key: np.array(values, float) for key, values in metrics.items()}


def test_two_phases_settle_and_decay_as_predicted():
    """Every layer comes to rest, the lower the later; signals go as `rho^(L+1-i)` and no
    reconstruction error is learned.
    """
    found = measured("two-phase")
    layers = len(HIDDEN) + 1
    assert found["taught"].shape == found["free"].shape == (len(TIMES), layers)
    np.testing.assert_allclose(found["taught"][0], 1)
    assert np.all(found["taught"][-1] < 1e-2)
    half = np.argmax(found["taught"] < 0.5, axis=0)
    assert np.all(np.diff(half) < 0)
    assert not found["reconstruction"].any()
    rho = np.array(MIXTURES[:2]) / (1 - np.array(MIXTURES[:2]))
    powers = np.log(found["signal"][1] / found["signal"][0]) / np.log(rho[1] / rho[0])
    np.testing.assert_allclose(powers, [layers + 1 - i for i in range(1, layers)], atol=0.15)
    assert found["noise"].shape == (len(NOISE), len(HIDDEN))
    assert np.all((found["noise"] > 0) & (found["noise"] < 180))


def test_multiplexed_signals_do_not_mix():
    """The event rates come to rest first, then the burst probabilities from the top; there is one
    signal for no mixture.
    """
    found = measured("multiplexing")
    depth = len(HIDDEN) + 1
    assert found["free"].shape == (len(TIMES), 2 * depth - 1)
    assert found["taught"].shape == (len(TIMES), depth - 1)
    half = np.argmax(found["taught"] < 0.5, axis=0)
    assert np.all(np.diff(half) < 0)
    assert found["signal"].shape == found["reconstruction"].shape == (1, len(HIDDEN))
    # the channel above a layer at rest relaxes with tau alone: exp(-t)
    np.testing.assert_allclose(found["taught"][:41, -1], np.exp(-TIMES[:41]), atol=1e-3)


@pytest.mark.parametrize("name", ["single-phase", "two-phase", "multiplexing"])
def test_every_model_stands_beside_tp_dtp_and_bp(name, tmp_path):
    found = item("thesis2019", name)
    options = dataclasses.replace(found.defaults, results=tmp_path)
    assert isinstance(options, TrainingOptions)
    rows = {(part.row, part.column) for part in found.parts(options)}
    for task in ("digits", "mnist", "student-teacher"):
        for method in ("BP", "TP", "DTP", name, f"{name}, square"):
            assert (method, task) in rows
    cells = found.report(options).cells
    assert cells
    assert all(cell["published"] is None and cell["ours"] is None for cell in cells)


def test_a_model_has_a_picture_of_settling_and_one_of_learning():
    found = item("thesis2019", "multiplexing")
    report = found.report(dataclasses.replace(found.defaults, results=Path(__file__).parents[2] / "results"))
    check_pictures(report, names=["settling", "learning"], most=4)
    figure = report.pictures[1].draw()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[1:] == ["digits, 5 seeds", "MNIST, 1 seed", "student-teacher, 5 seeds"]
    colors = {line.get_label(): line.get_color() for line in figure.axes[1].lines}
    assert colors["multiplexing"] == colors["multiplexing, square"] == rule_style("multiplexing").color
    assert colors["DTP"] == rule_style("dtp").color
