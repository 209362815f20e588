"""Items of the thesis on learned inverses: what they measure where the answer is known, and the
committed results.
"""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from papers.pictures import check_pictures
from targetprop.data import StudentTeacherTask
from targetprop.feedback.gauss_newton import PseudoInverse
from targetprop.networks.network import mlp
from targetprop.papers.items import items
from targetprop.papers.thesis2019 import recipes as thesis2019
from targetprop.papers.thesis2019.factorization import Factorization
from targetprop.papers.thesis2019.inverses import InverseLearning
from targetprop.papers.thesis2019.regression import Regression, factored_gauss_newton
from targetprop.rules import GaussNewtonTargets
from targetprop.rules.contract import Minibatch

RESULTS = Path(__file__).parents[2] / "results"
ITERATED = ("ben-israel-cohen", "ben-israel-cohen-equal", "ben-israel-cohen-contracting")
MINE = (*ITERATED, "modified-tp", *(f"fig-5.{n}" for n in range(9, 20)))


def nothing(steps: int) -> None:
    pass


def test_noise_of_rank_one_teaches_one_direction():
    """The reconstruction error of what the noise excites goes to zero; elsewhere `Q` stays where
    it was.
    """
    toy = InverseLearning(2, 2, color=1, batch=4, rate=0.02, last=0.02, iterations=1000)
    first, second = toy.run([0, 1], nothing)
    for found in (first, second):
        assert len(found["distance"]) == len(found["error"]) == 101
        assert found["error"][-1] < 1e-3 < found["error"][0]
        assert found["distance"][-1] > 0.1
    np.testing.assert_allclose(toy.run([1], nothing)[0]["distance"], second["distance"], rtol=1e-2)


def test_ben_israel_and_cohen_reach_the_inverse():
    toy = InverseLearning(2, 2, batch=64, rate=0.2, last=0.2, iterations=200, learner=tp.BenIsraelCohen(), start=1.0)
    assert toy.run([0], nothing)[0]["distance"][-1] < 1e-4


def test_distances_of_factorized_updates():
    assert max(Factorization((4, 3, 3), 20).run([0], nothing)[0]["distance"]) < 1e-9
    assert np.median(Factorization((3, 3, 2), 20).run([0], nothing)[0]["distance"]) > 1e-2


def test_the_factored_signal_is_that_of_gauss_newton_where_the_widths_allow_it():
    network = mlp((3, 5, 4, 4), tp.LeakyReLU(0.35), bias=False, key=jax.random.key(0))
    trace = network.trace(jax.random.normal(jax.random.key(1), (6, 3)))
    dh = jnp.ones((6, 4))
    signal = GaussNewtonTargets(PseudoInverse()).target_updates(network, None, Minibatch(trace, dh))[0]
    np.testing.assert_allclose(factored_gauss_newton(network, trace, dh), signal, rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def short():
    recipe = thesis2019.RECIPES.build("equal/randomized/dtp-ai")
    task = dataclasses.replace(thesis2019.regression_task("equal"), batches=3, test=40)
    return Regression(recipe.replace(schedule=dataclasses.replace(recipe.schedule, epochs=2)), task)


@pytest.fixture(scope="module")
def runs(short):
    return short.run([0, 3], nothing)


def test_the_student_starts_where_it_was_put(runs):
    for found, seed in zip(runs, (0, 3), strict=True):
        data, (w1, w2) = StudentTeacherTask(train=96, test=40, seed=seed).draw()
        a = data.test_x @ w1.T
        output = np.maximum(a, 0.35 * a) @ w2.T
        assert found["test_loss"][0] == pytest.approx(np.mean(np.sum((output - data.test_y) ** 2, axis=1)), rel=1e-3)
        assert len(found["test_loss"]) == 3


def test_learning_starts_along_gauss_newton(runs):
    """Theorem 4.9: `Q = W^{-1}`, and with one hidden layer and a linear output there is no Taylor
    error.
    """
    for found in runs:
        assert found["to_gauss_newton"][0] == pytest.approx(1, abs=1e-4)
        np.testing.assert_allclose(found["to_signal"], 1, atol=1e-4)
        np.testing.assert_allclose(found["approximation"], 0, atol=1e-4)
        assert found["train_loss"][-1] < found["train_loss"][0]


def test_hidden_layers_can_be_kept(short):
    fixed = dataclasses.replace(short, recipe=dataclasses.replace(short.recipe, rule=tp.Backprop(), trainable=(2,)))
    (found,) = fixed.run([0], nothing)
    assert set(found) == {"train_loss", "test_loss"}
    assert found["train_loss"][-1] < found["train_loss"][0]


@pytest.mark.parametrize("method", ["randomized/original-tp", "randomized/tp-ai"])
def test_the_first_epoch_of_committed_results_comes_again(method):
    """Also where one random layer learns at a time, and where `Q` learns after the step."""
    recipe = thesis2019.RECIPES.build(f"equal/{method}")
    recipe = recipe.replace(schedule=dataclasses.replace(recipe.schedule, epochs=1))
    (found,) = Regression(recipe, thesis2019.regression_task("equal")).run([0], nothing)
    committed = json.loads((RESULTS / "thesis2019/regression/equal" / method / "seeds-0-14.json").read_text())
    for name, values in committed["seeds"][0]["metrics"].items():
        np.testing.assert_allclose(found[name], values[:2], rtol=5e-3, atol=1e-4)


@pytest.mark.parametrize("name", MINE)
def test_committed_results_are_those_of_the_present_settings(name):
    item = items("thesis2019")[name]
    options = dataclasses.replace(item.defaults, results=RESULTS)
    assert all(part.missing(options.seeds) == [] for part in item.parts(options))
    report = item.report(options)
    assert all(cell["ours"]["n"] > 0 for cell in report.cells)
    check_pictures(report)
