"""Seeds whose weights stay finite and that learn nothing: they are said to have diverged. What is
named as the cause.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.cli import main
from targetprop.experiments.sources import recipe_names
from targetprop.rules import RULES
from targetprop.training.divergence import FACTOR, _numbers, at_end, cause
from targetprop.training.ensemble import Ensemble
from targetprop.training.result import SeedResult
from targetprop.training.values import set_values


def go(recipes, data, seeds=3, **options):
    return tp.train(recipes, data, seeds=seeds, progress=False, **options)


def cross_entropy(network, data) -> float:
    """Of a network on the test set, in float64."""
    h = np.asarray(network(jnp.asarray(data.test_x)), float)
    return float(np.mean([np.log(np.exp(row - row[label]).sum()) for row, label in zip(h, data.test_y, strict=True)]))


@pytest.fixture(scope="module")
def wild(bp, toy):
    """Three seeds, of which the second one takes steps of 10,000."""
    return go([bp, bp.replace(optimizer=tp.Adam(1e4)), bp], toy)


def test_a_loss_far_above_its_start_is_a_divergence_and_in_no_mean(wild, bp, toy):
    seed = wild.seeds[1]
    start = cross_entropy(Ensemble([bp], [1], toy).member(0).state.network, toy)
    assert seed.train_loss > 100 * start
    assert seed.status == (
        f"diverged: the training loss of epoch 3 is {seed.train_loss:.4g}, more than 100 times that of the "
        f"untrained network, {start:.4g}; try a smaller learning rate"
    )
    assert len(seed.history) == 3
    assert [other.status for other in (wild.seeds[0], wild.seeds[2])] == ["finished", "finished"]
    assert wild.test_error.values == (wild.seeds[0].test_error, wild.seeds[2].test_error)
    assert not wild.finished
    assert not wild.interrupted


def test_it_is_told_to_the_callbacks_and_kept_by_a_resumed_run(wild, bp, toy, tmp_path):
    told = []

    class Told(tp.Callback):
        def divergence(self, run, seed):
            told.append((seed.seed, seed.status))

        def end(self, run, result):
            told.append("end")

    recipes = [bp, bp.replace(optimizer=tp.Adam(1e4)), bp]
    result = go(recipes, toy, out=tmp_path, callbacks=[Told()])
    assert result.seeds == wild.seeds
    assert told == [(1, wild.seeds[1].status), "end"]
    assert go(recipes, toy, out=tmp_path, resume=True).seeds == wild.seeds


def test_a_seed_that_was_stopped_is_asked_too(bp, toy):
    class Stopping(tp.Callback):
        def epoch(self, run, epoch):
            run.stop()

    result = go([bp, bp.replace(optimizer=tp.Adam(1e4)), bp], toy, callbacks=[Stopping()])
    assert [seed.status.partition(" of")[0] for seed in result.seeds] == [
        "stopped",
        "diverged: the training loss",
        "stopped",
    ]


def test_a_test_error_that_is_not_finite_is_no_success(bp, toy):
    """The test inputs are so large that the error overflows, and the weights learn as ever."""
    huge = dataclasses.replace(
        toy, train_y=toy.train_x[:, :1], test_x=toy.test_x * np.float32(1e30), test_y=toy.test_x[:, :1], classes=None
    )
    recipe = bp.replace(architecture=tp.MLP((6,), tp.Identity()), loss=tp.SquaredError())
    result = go(recipe, huge, seeds=2)
    assert [math.isfinite(seed.last_test_error) for seed in result.seeds] == [False, False]
    assert not result.finished
    for seed in result.seeds:
        assert seed.status.startswith(f"diverged: the test error after epoch {seed.best_epoch} is not finite; ")


@pytest.mark.parametrize(
    ("start", "loss", "diverged"),
    [
        (2.0, FACTOR * 2.0 * 1.01, True),
        (2.0, FACTOR * 2.0 * 0.99, False),
        (2.0, math.inf, True),
        (2.0, math.nan, True),
        (math.nan, 1e9, False),
        (0.0, 1.0, False),
        (-3.0, -400.0, False),
    ],
)
def test_far_above_is_a_factor_of_a_loss_that_is_known(bp, start, loss, diverged):
    record = {"epoch": 1, "train_loss": loss, "validation_error": 1.0, "test_error": 1.0}
    assert (at_end(SeedResult(0, [record]), start, bp) is not None) == diverged
    assert at_end(SeedResult(0), start, bp) is None


def test_the_command_ends_with_status_1(capfd):
    assert main(["train", "bp", "--lr", "1e4", "--epochs", "1", "--hidden", "4"]) == 1
    assert "diverged: the training loss of epoch 1 is" in " ".join(capfd.readouterr().out.split())


SIGMA = "rule.learner.noise.sigma"


def test_noise_out_of_range_is_the_cause_and_float64_the_proof(bp, toy):
    small = bp.replace(rule=tp.ddtp_linear(), architecture=tp.MLP((4,)), schedule=tp.Schedule(1))
    recipes = [set_values(small, {SIGMA: sigma}) for sigma in (1e-20, 1e25)]
    statuses = [seed.status for seed in go(recipes, toy, seeds=2).seeds]
    assert [status.split(":")[0] for status in statuses] == ["diverged", "diverged"]
    assert [status.split("; ")[1] for status in statuses] == [
        f"{SIGMA} is 1e-20, whose square is 0 in float32: use a larger one",
        f"{SIGMA} is 1e+25, whose square is infinite in float32: use a smaller one",
    ]
    assert go([recipe.replace(dtype="float64") for recipe in recipes], toy, seeds=2).finished


def test_all_numbers_out_of_range_are_named(dtp):
    recipe = dtp.replace(stepsize=1e-30, feedback_optimizer=tp.Adam(1e30, eps=1e-30))
    assert cause(recipe) == (
        "stepsize is 1e-30, whose square is 0 in float32: use a larger one; "
        "feedback_optimizer.learning_rate is 1e+30, whose square is infinite in float32: use a smaller one"
    )
    assert cause(recipe.replace(dtype="float64")) == "try a smaller learning rate"
    assert cause(dtp, in_feedback=True) == "try a smaller feedback_optimizer.learning_rate"
    assert cause(dtp.replace(rule=tp.TwoPhase(mu=1e-25))).startswith("rule.mu is 1e-25, whose square is 0 in float32")


def test_what_is_no_real_number_is_passed_over():
    parts = {"key": jax.random.key(0), "n": np.arange(2), "r": (np.array([2.0, 1.0]), 3.0), "f": len, "eps": 1e-30}
    assert list(_numbers("rule", parts)) == [("rule.r", 1.0), ("rule.r", 2.0), ("rule.r", 3.0)]


def test_no_published_recipe_and_no_default_has_a_number_out_of_range():
    for name in (*recipe_names(), *RULES):
        assert cause(tp.recipe(name)) == "try a smaller learning rate", name


def test_feedback_that_diverges_is_advised_to_learn_more_slowly(bp, toy):
    small = bp.replace(rule=tp.ddtp_linear(), architecture=tp.MLP((4,)))
    recipe = small.replace(feedback_optimizer=tp.SGD(1e18), schedule=tp.Schedule(1, pretraining=1))
    status = go(recipe, toy, seeds=1).seeds[0].status
    assert "the feedback to layer" in status
    assert status.endswith("; try a smaller feedback_optimizer.learning_rate")
