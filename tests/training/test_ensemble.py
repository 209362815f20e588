"""The compiled program: what it computes, and that neither company nor cutting changes a
number.
"""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import targetprop as tp
from targetprop.losses import ErrorRate, SoftmaxCrossEntropy
from targetprop.networks.layers import parameters
from targetprop.rules import GENERAL
from targetprop.training import program
from targetprop.training.ensemble import Ensemble
from targetprop.training.schedule import Learning, Pass
from targetprop.training.state import Task

JOINT, FEEDBACK = Pass(1, 0, joint=True, ends_epoch=True), Pass(1, 1, joint=False, ends_epoch=True)


def arrays(tree) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def same(one, other) -> bool:
    """Bit for bit."""
    pairs = zip(arrays(one), arrays(other), strict=True)
    return all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in pairs)


@pytest.fixture(scope="module")
def three(dtp, toy) -> Ensemble:
    return Ensemble([dtp] * 3, [0, 1, 2], toy)


@pytest.fixture(scope="module")
def begun(three):
    """The members before the first step."""
    return three.members


@pytest.fixture
def fresh(three, begun) -> Ensemble:
    """The ensemble before the first step."""
    three.members = begun
    return three


@pytest.mark.parametrize("rule", [tp.RULES[name] for name in GENERAL], ids=lambda rule: rule.name)
def test_every_rule_starts_from_the_same_weights_and_split(fresh, dtp, toy, rule):
    other = Ensemble([dtp.replace(rule=rule())], [1], toy).member(0)
    assert same(other.state.network, fresh.member(1).state.network)
    assert same(other.split, fresh.member(1).split)


def test_seeds_differ_in_weights_feedback_and_split(fresh):
    one, other = fresh.member(0), fresh.member(1)
    for part in (lambda m: m.state.network.layers[0].weight, lambda m: m.state.feedback[0].dense.weight):
        assert not np.any(np.asarray(part(one)) == np.asarray(part(other)))
    assert set(arrays(one.split)[1]) != set(arrays(other.split)[1])


def test_training_and_validation_samples_are_disjoint_and_complete(fresh):
    for index in range(3):
        train, validation = arrays(fresh.member(index).split)
        assert (len(train), len(validation)) == (48, 12)
        assert sorted([*train, *validation]) == list(range(60))


def losses(ensemble: Ensemble, at: Pass) -> np.ndarray:
    """The training loss of each step of member 0, from the sums that the program carries."""
    sums = []
    for step in range(ensemble.steps):
        ensemble.advance(at, step, step + 1)
        sums.append(float(ensemble.members.state.totals.loss[0]))
    return np.diff([0.0, *sums])


def test_every_rule_sees_the_same_minibatches(bp, dtp, toy):
    still = tp.Adam(0.0)  # the weights stay, so the loss of a step tells its minibatch
    seen = [losses(Ensemble([recipe.replace(optimizer=still)] * 3, [0, 1, 2], toy), JOINT) for recipe in (bp, dtp)]
    assert len(np.unique(seen[0].round(4))) == 6
    np.testing.assert_allclose(*seen, rtol=1e-5)


def test_each_pass_takes_every_training_sample_once_in_an_order_of_its_own(dtp, toy):
    ensemble = Ensemble([dtp.replace(optimizer=tp.Adam(0.0))] * 3, [0, 1, 2], toy)
    member = ensemble.member(0)
    samples = member.split.train
    loss = SoftmaxCrossEntropy().value(
        member.state.network(jnp.asarray(toy.train_x[samples])), jnp.asarray(toy.train_y[samples])
    )
    first, second = (losses(ensemble, Pass(epoch, 0, joint=True, ends_epoch=True)) for epoch in (1, 2))
    for epoch in (first, second):
        assert np.mean(epoch) == pytest.approx(float(jnp.mean(loss)), rel=1e-5)
    assert not np.allclose(first, second, rtol=1e-3)


def test_members_are_the_same_alone_and_together(fresh, dtp, toy):
    for at in (FEEDBACK, JOINT):
        fresh.advance(at, 0, 6)
    for seed in range(3):
        alone = Ensemble([dtp], [seed], toy)
        for at in (FEEDBACK, JOINT):
            alone.advance(at, 0, 6)
        assert same(alone.member(0), fresh.member(seed))


@pytest.fixture(scope="module")
def uncut(three, begun):
    """The members after one whole pass of each kind."""
    three.members = begun
    for at in (FEEDBACK, JOINT):
        three.advance(at, 0, 6)
    return three.members


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(1, 5)), st.sets(st.integers(1, 5)))
def test_cutting_a_pass_changes_nothing(three, begun, uncut, first, second):
    three.members = begun
    for at, cuts in ((FEEDBACK, first), (JOINT, second)):
        edges = [0, *sorted(cuts), 6]
        for start, stop in itertools.pairwise(edges):
            three.advance(at, start, stop)
    assert same(three.members, uncut)


def test_a_feedback_pass_leaves_the_network_alone(fresh, begun):
    fresh.advance(FEEDBACK, 0, 6)
    assert same(fresh.members.state.network, begun.state.network)
    assert same(fresh.members.state.optimizer, begun.state.optimizer)
    assert not same(fresh.members.state.feedback, begun.state.feedback)


def test_compiling_runs_no_step(fresh, begun):
    fresh.compile(Learning())
    assert same(fresh.members, begun)


def test_new_numbers_compile_nothing_new(bp, toy, monkeypatch):
    traced = []
    step = program.take_step
    monkeypatch.setattr(program, "take_step", lambda *args: traced.append(1) or step(*args))
    recipe = bp.replace(architecture=tp.MLP((4,)), rule=tp.ddtp_linear())
    Ensemble([recipe], [0], toy).advance(JOINT, 0, 2)
    first = len(traced)
    assert first >= 1
    for changes, seed in (
        ({"stepsize": 0.3}, 0),
        ({"optimizer": tp.Adam(0.5, 0.8, 0.9, 1e-3)}, 1),
        ({"feedback_optimizer": tp.Adam(0.01)}, 2),
        ({"rule": tp.ddtp_linear(sigma=0.3, regularizer=tp.WeightDecay(0.2))}, 3),
    ):
        Ensemble([recipe.replace(**changes)], [seed], toy).advance(Pass(4, 0, joint=True, ends_epoch=True), 1, 5)
    assert len(traced) == first


@pytest.mark.parametrize("rule", [tp.Backprop(), tp.FeedbackAlignment(), tp.dfa()], ids=lambda rule: rule.name)
def test_fixed_feedback_has_no_feedback_passes(dtp, toy, rule):
    ensemble = Ensemble([dtp.replace(rule=rule)], [0], toy)
    assert ensemble.trained_maps == 0
    assert all(at.joint for at in dtp.schedule.passes(ensemble.trained_maps > 0))


def test_double_precision_agrees_with_single(bp, toy):
    single = Ensemble([bp], [0], toy)
    with jax.enable_x64(True):
        double = Ensemble([bp.replace(dtype="float64")], [0], toy)
        assert {leaf.dtype for leaf in arrays(parameters(double.members.state.network))} == {np.dtype("float64")}
        assert same(jax.tree.map(np.int32, double.members.split), jax.tree.map(np.int32, single.members.split))
        network = jax.tree.map(
            lambda leaf: leaf.astype(jnp.float64) if eqx.is_inexact_array(leaf) else leaf, single.members.state.network
        )
        state = eqx.tree_at(lambda state: state.network, double.members.state, network)
        double.members = double.members._replace(state=state)
        double.advance(JOINT, 0, 3)
    single.advance(JOINT, 0, 3)
    for one, other in zip(arrays(single.members.state.network), arrays(double.members.state.network), strict=True):
        assert other.dtype == np.float64
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_evaluation_is_the_mean_over_samples_that_fill_no_whole_number_of_batches(toy, monkeypatch):
    monkeypatch.setattr(program, "EVALUATION_BATCH", 7)
    network = tp.mlp((8, 6, 3), key=jax.random.key(1))
    task = Task(SoftmaxCrossEntropy(), ErrorRate(), 8)
    loss, score = program.evaluate(task, network, jnp.asarray(toy.test_x), jnp.asarray(toy.test_y), jnp.arange(20))
    w1, b1, w2, b2 = (np.float64(p) for layer in network.layers for p in (layer.weight, layer.bias))
    h = np.tanh(toy.test_x @ w1.T + b1) @ w2.T + b2
    p = np.exp(h) / np.exp(h).sum(axis=1, keepdims=True)
    assert float(loss) == pytest.approx(-np.log(p[np.arange(20), toy.test_y]).mean(), rel=1e-5)
    assert float(score) == pytest.approx(100 * np.mean(h.argmax(axis=1) != toy.test_y), rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 49}, "A batch of 49 is larger than the 48 training samples: use a smaller `batch_size` or"),
        ({"validation": 60}, "`validation` is 60, but there are 60 training samples: use a number from 0 to 59"),
        ({"validation": -1}, "Recipe needs validation 0 or above, not -1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(bp, toy, changes, message):
    with pytest.raises(ValueError, match=message):
        Ensemble([bp.replace(**changes)], [0], toy)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"batch_size": 4}, "batch_size"),
        ({"schedule": tp.Schedule(9)}, "schedule"),
        ({"rule": tp.dtp()}, "rule"),
        ({"optimizer": tp.SGD()}, "optimizer"),
        ({"architecture": tp.MLP((6, 4))}, "architecture"),
    ],
)
def test_recipes_trained_together_may_differ_in_numbers_alone(bp, toy, changes, name):
    with pytest.raises(ValueError, match=f"may only differ in numbers, not in {name}: train them separately"):
        Ensemble([bp, bp.replace(**changes)], [0, 1], toy)


@pytest.mark.parametrize(("recipes", "seeds"), [(0, 0), (2, 1), (1, 2)])
def test_one_recipe_for_each_seed(bp, toy, recipes, seeds):
    with pytest.raises(ValueError, match=f"{recipes} recipes for {seeds} seeds: give at least one seed"):
        Ensemble([bp] * recipes, list(range(seeds)), toy)


def test_labels_of_the_test_set_do_not_reach_training(fresh, dtp, toy):
    turned = dataclasses.replace(toy, test_y=(toy.test_y + 1) % 3)
    other = Ensemble([dtp] * 3, [0, 1, 2], turned)
    for ensemble in (fresh, other):
        ensemble.advance(FEEDBACK, 0, 6)
        ensemble.advance(JOINT, 0, 6)
    assert same(other.members, fresh.members)
    assert not np.array_equal(other.assess()[1].score, fresh.assess()[1].score)
