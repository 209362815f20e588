"""Schedules in which network and feedback learn in turn, never in the same pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.networks.layers import parameters
from targetprop.training import loop
from targetprop.training.ensemble import Ensemble
from targetprop.training.schedule import Learning, Pass

SEEDS = [0, 1]
TOGETHER, FEEDBACK, NETWORK = Learning(), Learning(network=False), Learning(feedback=False)


@pytest.fixture(scope="module")
def alternating(dtp) -> tp.Recipe:
    """4 passes: feedback, network, feedback, network."""
    return dtp.replace(schedule=tp.Schedule(2, pretraining=1, between=1, alternating=True))


def test_passes_alternate(alternating):
    passes = alternating.schedule.passes(trains_feedback=True)
    assert list(passes) == [
        Pass(0, 1, joint=False, ends_epoch=True),
        Pass(1, 0, joint=True, ends_epoch=False, feedback=False),
        Pass(1, 1, joint=False, ends_epoch=True),
        Pass(2, 0, joint=True, ends_epoch=True, feedback=False),
    ]
    assert [at.learning for at in passes] == [FEEDBACK, NETWORK, FEEDBACK, NETWORK]


def test_feedback_that_does_not_learn_changes_nothing(alternating):
    plain = list(tp.Schedule(2).passes(trains_feedback=False))
    assert list(alternating.schedule.passes(trains_feedback=False)) == plain
    assert {at.learning for at in plain} == {TOGETHER}


def test_feedback_that_would_never_learn_is_refused():
    with pytest.raises(tp.ConfigError, match=r"`alternating` schedule begins with a pass of the feedback.*`pretraining`"):
        tp.Schedule(2, between=1, alternating=True)


def moved(before, after):
    """Which of network, feedback and their optimizers differ, for every member alike."""
    pairs = zip(before.parts, after.parts, strict=True)
    leaves = [zip(jax.tree.leaves(parameters(a)), jax.tree.leaves(parameters(b)), strict=True) for a, b in pairs]
    each = [[not np.array_equal(a[i], b[i]) for a, b in part for i in range(len(SEEDS))] for part in map(list, leaves)]
    assert all(len(set(part)) == 1 for part in each)  # all arrays of all members, or none
    return tuple(part[0] for part in each)


def test_each_pass_moves_one_side_alone(alternating, toy):
    ensemble = Ensemble([alternating] * len(SEEDS), SEEDS, toy)
    for at in alternating.schedule.passes(trains_feedback=True):
        before = ensemble.members.state
        ensemble.advance(at, 0, ensemble.steps)
        network, feedback, optimizer, feedback_optimizer = moved(before, ensemble.members.state)
        assert (network, optimizer) == (at.joint, at.joint)
        assert (feedback, feedback_optimizer) == (not at.joint, not at.joint)


@pytest.mark.parametrize("rule", [tp.dtp(), tp.dtp_lee(), tp.tp_ai()], ids=lambda rule: rule.name)
def test_a_step_alone_is_half_of_a_joint_step(rule):
    """Both sides learn at the same parameters, so each alone makes the same step."""
    recipe = tp.Recipe(rule, loss=tp.SquaredError())
    state = tp.init_state(recipe, tp.mlp((4, 5, 5, 3), tp.LeakyReLU(), key=jax.random.key(0)))
    batch = jax.random.normal(jax.random.key(1), (6, 4)), jnp.ones((6, 3))
    both, info = tp.step(state, batch)
    network, alone = tp.step(state, batch, feedback_learns=False)
    feedback, other = tp.step(state, batch, joint=False)
    for one, right in ((network, both), (feedback, state)):
        pairs = zip(jax.tree.leaves(parameters(one.network)), jax.tree.leaves(parameters(right.network)), strict=True)
        assert all(np.allclose(a, b, rtol=1e-6, atol=1e-7) for a, b in pairs)
    for one, right in ((network, state), (feedback, both)):
        pairs = zip(jax.tree.leaves(parameters(one.feedback)), jax.tree.leaves(parameters(right.feedback)), strict=True)
        assert all(np.allclose(a, b, rtol=1e-6, atol=1e-7) for a, b in pairs)
    assert alone.feedback_losses is None
    assert other.updates is None
    np.testing.assert_allclose(alone.loss, info.loss, rtol=1e-6)
    np.testing.assert_allclose(other.feedback_losses, info.feedback_losses, rtol=1e-5)


def test_a_step_in_which_nothing_learns_is_refused():
    state = tp.init_state(tp.Recipe(tp.dtp()), tp.mlp((4, 5, 3), key=jax.random.key(0)))
    with pytest.raises(tp.ConfigError, match="Nothing learns in this step"):
        tp.step(state, (jnp.ones((2, 4)), jnp.array([0, 1])), joint=False, feedback_learns=False)


@pytest.fixture(scope="module")
def unbroken(alternating, toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    return folder, tp.train(alternating, toy, seeds=SEEDS, out=folder, progress=False)


# 4 passes of 3 runs of steps each: the second run of each pass
@pytest.mark.parametrize("number", [2, 5, 8, 11])
def test_an_interrupted_run_resumes_to_the_same_numbers(
    unbroken, alternating, toy, tmp_path, interrupt_at, number, assert_same_run
):
    interrupt_at(number)
    options = {"seeds": SEEDS, "out": tmp_path, "progress": False}
    assert tp.train(alternating, toy, **options).interrupted
    assert tp.train(alternating, toy, **options, resume=True).finished
    assert_same_run(tmp_path, unbroken[0])


def test_the_feedback_loss_of_an_epoch_is_that_of_the_pass_before(unbroken, alternating, toy):
    ensemble = Ensemble([alternating] * len(SEEDS), SEEDS, toy)
    passes = alternating.schedule.passes(trains_feedback=True)
    for at in passes:
        ensemble.advance(at, 0, ensemble.steps)
        totals = ensemble.members.state.totals
        if not at.joint:
            before = np.asarray(totals.feedback_loss) / ensemble.steps
        else:
            recorded = [seed.history[at.epoch - 1]["feedback_loss"] for seed in unbroken[1].seeds]
            np.testing.assert_allclose(recorded, before, rtol=1e-5)
            assert np.all(before > 0)


@pytest.mark.parametrize("alternate", [True, False])
def test_only_the_programs_that_are_used_are_compiled(dtp, alternating, toy, monkeypatch, alternate):
    kinds = []
    monkeypatch.setattr(loop.Ensemble, "compile", lambda self, learning: kinds.append(learning))
    tp.train(alternating if alternate else dtp, toy, seeds=SEEDS, progress=False)
    assert sorted(kinds) == sorted([FEEDBACK, NETWORK] if alternate else [FEEDBACK, TOGETHER])


def test_a_schedule_of_the_learning_rate_lasts_as_long_as_its_side_learns(alternating, toy):
    adam = tp.Adam(schedule=tp.LinearDecay())
    recipe = alternating.replace(optimizer=adam, feedback_optimizer=adam)
    numbers = Ensemble([recipe], [0], toy).member(0).hyperparameters
    assert (numbers.optimizer.steps, numbers.feedback_optimizer.steps) == (12, 12)  # 2 passes of 6 steps each
