"""Runs that go wrong: what is said about them, what is kept, and that nobody else notices."""

from typing import Any, ClassVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.feedback.reconstruction import FeedbackStep
from targetprop.training.checkpoint import CHECKPOINT, read_checkpoint
from targetprop.training.ensemble import Ensemble

NEVER = 1e6


@final
class Poisoned(tp.Rule):
    """Backpropagation, but the target update of layer 2 is NaN from `step` on, a gradient of the
    feedback from `feedback_from` on.

    The feedback counts steps: its gradient is always -1, so that gradient descent with a learning
    rate of 1 adds 1.
    """

    step: Any
    feedback_from: Any = NEVER

    name: ClassVar[str] = "poisoned"
    equation: ClassVar[str] = "dh_i = NaN"
    source: ClassVar[str] = "these tests"

    def init(self, network, *, key):
        return (jnp.zeros(()), jnp.zeros(()))

    @property
    def learns_feedback(self):
        return True

    def target_updates(self, network, feedback, batch):
        updates = list(tp.Backprop().target_updates(network, None, batch))
        updates[1] += jnp.where(feedback[0] >= self.step, jnp.nan, 0.0)
        return tuple(updates)

    def feedback_step(self, network, feedback, batch):
        spoiled = jnp.where(feedback[0] >= self.feedback_from, jnp.nan, -1.0)
        return FeedbackStep((jnp.float32(-1.0), spoiled), jnp.zeros(2))


@pytest.fixture(scope="module")
def poisoned(bp):
    """A recipe whose rule fails at a given step, counted from 0 over all epochs of 6 steps."""

    def recipe(step, feedback_step=NEVER):
        return bp.replace(rule=Poisoned(float(step), float(feedback_step)), feedback_optimizer=tp.SGD(1.0))

    return recipe


def go(recipes, data, folder, seeds=(0, 1, 2), **options):
    return tp.train(recipes, data, seeds=seeds, out=folder, progress=False, **options)


def members(folder, recipes, data, seeds=(0, 1, 2)):
    return read_checkpoint(folder / CHECKPOINT).part(Ensemble(recipes, seeds, data).members, 0)


def arrays(tree, index):
    return [np.asarray(leaf)[index] for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.fixture(scope="module")
def healthy(poisoned, toy, tmp_path_factory):
    """The same seeds, and none of them fails."""
    folder = tmp_path_factory.mktemp("healthy")
    assert go([poisoned(NEVER)] * 3, toy, folder).finished
    return folder


def test_the_layer_epoch_and_step_are_named_and_the_others_go_on(poisoned, toy, tmp_path, healthy):
    recipes = [poisoned(NEVER), poisoned(8), poisoned(NEVER)]
    result = go(recipes, toy, tmp_path)
    assert not result.finished
    assert [seed.status for seed in result.seeds] == [
        "finished",
        "diverged: layer 2 not finite in epoch 2, step 3; try a smaller learning rate",
        "finished",
    ]
    assert [len(seed.history) for seed in result.seeds] == [3, 1, 3]
    one, other = (members(folder, recipes, toy) for folder in (tmp_path, healthy))
    for index in (0, 2):
        assert_equal(arrays(one.state, index), arrays(other.state, index))
    lines = (healthy / "metrics.jsonl").read_text().splitlines()
    kept = [line for line in lines if '"seed": 1,' not in line or '"epoch": 1,' in line]
    assert (tmp_path / "metrics.jsonl").read_text().splitlines() == kept


def test_what_is_kept_is_the_state_after_the_last_good_epoch(poisoned, bp, toy, tmp_path):
    recipes = [poisoned(NEVER), poisoned(8), poisoned(NEVER)]
    go(recipes, toy, tmp_path / "all")
    short = [recipe.replace(schedule=tp.Schedule(1)) for recipe in recipes]
    go(short, toy, tmp_path / "one epoch")
    one, other = (members(tmp_path / name, recipes, toy) for name in ("all", "one epoch"))
    assert_equal(arrays(one.state, 1), arrays(other.state, 1))
    assert all(np.isfinite(leaf).all() for leaf in arrays(one.state, 1) if leaf.dtype.kind == "f")


def test_a_seed_that_fails_in_its_first_epoch_keeps_its_initial_weights(poisoned, toy, tmp_path):
    recipes = [poisoned(NEVER), poisoned(0), poisoned(NEVER)]
    result = go(recipes, toy, tmp_path)
    assert result.seeds[1].status.startswith("diverged: layer 2 not finite in epoch 1, step 1;")
    assert result.seeds[1].test_error is None
    assert result.test_error.values == (result.seeds[0].test_error, result.seeds[2].test_error)
    begun = Ensemble(recipes, [0, 1, 2], toy).members
    assert_equal(arrays(members(tmp_path, recipes, toy).state.network, 1), arrays(begun.state.network, 1))


def test_feedback_that_is_not_finite_is_named(poisoned, toy):
    result = tp.train([poisoned(NEVER), poisoned(NEVER, 9), poisoned(NEVER)], toy, seeds=3, progress=False)
    assert result.seeds[1].status.startswith("diverged: the feedback to layer 2 not finite in epoch 2, step 4;")


def test_when_all_seeds_have_failed_the_run_is_over(poisoned, toy, tmp_path):
    recipes = [poisoned(step) for step in (0, 2, 5)]
    result = go(recipes, toy, tmp_path)
    assert [seed.status.split(";")[0] for seed in result.seeds] == [
        f"diverged: layer 2 not finite in epoch 1, step {step}" for step in (1, 3, 6)
    ]
    assert not result.finished
    assert not result.interrupted
    assert (tmp_path / "metrics.jsonl").read_text() == ""
    assert go(recipes, toy, tmp_path, resume=True).seeds == result.seeds


@pytest.mark.parametrize("number", [4, 5])
def test_a_run_resumed_within_an_epoch_keeps_what_the_unbroken_one_keeps(poisoned, toy, tmp_path, interrupt_at, number):
    """Interrupted in epoch 2, before the step in which a seed fails (4) or after it (5)."""
    recipes = [poisoned(NEVER), poisoned(10), poisoned(NEVER)]
    unbroken = go(recipes, toy, tmp_path / "unbroken")
    interrupt_at(number)
    assert go(recipes, toy, tmp_path / "broken").interrupted
    resumed = go(recipes, toy, tmp_path / "broken", resume=True)
    assert resumed.seeds == unbroken.seeds
    assert unbroken.seeds[1].status.startswith("diverged: layer 2 not finite in epoch 2, step 5;")
    one, other = (members(tmp_path / name, recipes, toy) for name in ("unbroken", "broken"))
    for index in range(3):
        assert_equal(arrays(one, index), arrays(other, index))


@pytest.mark.parametrize(("steps", "epochs"), [((14, NEVER), 1), ((NEVER, 9), 1), ((NEVER, 20), 2)])
def test_a_failed_seed_has_the_networks_of_its_good_epochs(poisoned, toy, tmp_path, steps, epochs):
    """It fails in the joint pass of epoch 2, or in a pass of the feedback after epoch 1 or 2."""
    recipes = [poisoned(NEVER), poisoned(*steps), poisoned(NEVER)]
    recipes = [recipe.replace(schedule=tp.Schedule(3, between=1), optimizer=tp.Adam(0.1)) for recipe in recipes]
    result = go(recipes, toy, tmp_path)
    assert (result.seeds[1].diverged, len(result.seeds[1].history)) == (True, epochs)
    run = tp.load_run(tmp_path)
    for networks in (result, run):
        for seed, best, last in zip(result.seeds, networks.best, networks.last, strict=True):
            assert tp.evaluate(best.network, toy).error == seed.test_error
            assert tp.evaluate(last.network, toy).error == seed.last_test_error
    assert eqx.tree_equal(run.best[1], result.best[1])


def test_a_seed_that_never_finished_an_epoch_has_no_best_network(poisoned, toy, tmp_path):
    result = go([poisoned(NEVER), poisoned(0), poisoned(NEVER)], toy, tmp_path)
    assert [best is None for best in result.best] == [False, True, False]
    assert [best is None for best in tp.load_run(tmp_path).best] == [False, True, False]
    assert {path.name for path in (tmp_path / "models").iterdir()} == {"seed0.safetensors", "seed2.safetensors"}


def test_a_failed_seed_stays_as_it_is_on_resume(poisoned, toy, tmp_path, healthy):
    recipes = [poisoned(NEVER), poisoned(8), poisoned(NEVER)]
    go([recipe.replace(schedule=tp.Schedule(2)) for recipe in recipes], toy, tmp_path)
    result = go(recipes, toy, tmp_path, resume=True)
    assert [seed.status.split(":")[0] for seed in result.seeds] == ["finished", "diverged", "finished"]
    one, other = (members(folder, recipes, toy) for folder in (tmp_path, healthy))
    assert_equal(arrays(one.state, 2), arrays(other.state, 2))


def test_a_learning_rate_out_of_all_proportion(bp, toy, tmp_path):
    """Adam's first step is the learning rate itself, so that the second forward pass overflows."""
    recipes = [bp, bp.replace(optimizer=tp.Adam(1e38)), bp]
    result = go(recipes, toy, tmp_path)
    assert result.seeds[1].status.startswith("diverged: layer ")
    assert "not finite in epoch 1, step 2; try a smaller learning rate" in result.seeds[1].status
    for index in (0, 2):
        assert tp.train(bp, toy, seeds=[index], progress=False).seeds[0].history == result.seeds[index].history
    kept = arrays(members(tmp_path, recipes, toy).state.network, 1)
    assert all(np.isfinite(leaf).all() for leaf in kept)


def test_targets_that_are_not_there_are_told_with_their_layer(bp, toy, caplog):
    """Euler's method far beyond stability: a target that stays finite gets a warning, without one
    the run stops.
    """
    linear = bp.replace(architecture=tp.MLP((4, 4), tp.LeakyReLU()), schedule=tp.Schedule(1))
    recipes = [linear.replace(rule=tp.GradientTargets(integrator=tp.Euler(tau, 60))) for tau in (1e-2, 1e3)]
    result = go(recipes, toy, None, seeds=2)
    complaint = "the target of layer 2 is not finite, after 60 Euler steps of tau = 1e+03: use a smaller tau for this layer"
    assert [seed.status for seed in result.seeds] == [
        "finished",
        f"diverged: layer 1, 2 not finite in epoch 1, step 1; {complaint}",
    ]
    assert caplog.messages == [f"seed 1: {complaint}"]
    caplog.clear()
    rising = bp.replace(rule=tp.GradientTargets(integrator=tp.Euler(30.0, 2)), schedule=tp.Schedule(1))
    assert go(rising, toy, None, seeds=1).finished
    assert [text.partition(", instead")[0] for text in caplog.messages] == [
        "seed 0: the target of layer 2 raises the cost of layer 3"
    ]
