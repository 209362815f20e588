"""When the weights learn: at the equilibrium, or continuously on the way there."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.diagnostics.probe import Sample
from targetprop.dynamics.equilibria import Sweeps
from targetprop.dynamics.plasticity import AtEquilibrium, ContinuousPlasticity
from targetprop.errors import ConfigError
from targetprop.feedback.learners import ActivityReconstruction
from targetprop.feedback.mappings import Layerwise
from targetprop.feedback.regularizers import WeightDecay
from targetprop.losses import SquaredError
from targetprop.networks.activations import Identity, Tanh
from targetprop.networks.network import Network, mlp
from targetprop.rules import SinglePhase, TwoPhase
from targetprop.rules.contract import Example, Minibatch
from targetprop.rules.updates import local_gradients

SIZES, L, MU, BATCH = (4, 3, 4, 2), 3, 0.2, 3
KEY = jax.random.key(0)
FEEDBACK, LEARNER = Layerwise(Tanh()), ActivityReconstruction(WeightDecay(0.1))


class Case(NamedTuple):
    """A network and its feedback, a batch, and how the target moves the output."""

    network: Network
    maps: Any
    x: jax.Array
    dh: jax.Array


@eqx.filter_jit
def case(dtype=None) -> Case:
    """The same numbers in any type, but for rounding."""
    network = mlp(SIZES, (Tanh(), Identity()), key=KEY, dtype=jnp.float32)
    biases = [0.5 * (-1.0) ** jnp.arange(size, dtype=jnp.float32) for size in SIZES[1:]]
    network = eqx.tree_at(lambda n: [layer.bias for layer in n.layers], network, biases)
    numbers = np.random.default_rng(1)
    x, dh = (jnp.asarray(numbers.normal(size=(BATCH, size)), jnp.float32) for size in (SIZES[0], SIZES[-1]))
    drawn = Case(network, FEEDBACK.init(network, key=jax.random.key(1)), x, dh)
    return jax.tree.map(lambda leaf: leaf.astype(dtype or jnp.float64) if eqx.is_inexact_array(leaf) else leaf, drawn)


def flat(tree) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def size(tree) -> float:
    return float(np.linalg.norm(flat(tree)))


def rules(kind, plasticity=None):
    return kind(MU, FEEDBACK, LEARNER, Sweeps(1e-12, 200), plasticity or AtEquilibrium())


class Lessons(NamedTuple):
    """What a rule makes of a case: activities and updates of the lesson, what forward and backward
    weights learn, and the target updates."""

    h: Any
    updates: Any
    forward: Any
    backward: Any
    targets: Any


@eqx.filter_jit
def learned(rule, made):
    rest = rule.equilibrium(made.network, made.maps, made.network.trace(made.x))
    credit = rule.credit(made.network, made.maps, Minibatch(rest, made.dh, key=KEY))
    forward = local_gradients(made.network, credit.trace, credit.updates)
    targets = rule.target_updates(made.network, made.maps, Minibatch(rest, made.dh))
    return Lessons(credit.trace.h, credit.updates, forward, credit.feedback.gradients, targets)


def relative(one, other):
    return size(flat(one) - flat(other)) / size(other)


@pytest.mark.parametrize("kind", [SinglePhase, TwoPhase])
def test_continuous_learning_tends_to_learning_at_the_equilibrium(kind):
    """By `c / duration`, `c` some `tau`; the target updates are those at rest throughout."""
    with jax.enable_x64(True):
        made = case()
        rest = learned(rules(kind), made)
        continuous = [
            learned(rules(kind, jax.tree.map(jnp.asarray, ContinuousPlasticity(duration, 500))), made)
            for duration in (25.0, 50.0)
        ]
        # the sum over times 25/500 and 50/500 apart misses half a step of the integral
        ratio = pytest.approx(2 * (1 - 0.025) / (1 - 0.05), rel=0.03)
        one, other = (relative(each.forward, rest.forward) for each in continuous)
        assert one < 3 * L / 25
        assert one / other == ratio
        one, other = (relative(each.backward, rest.backward) for each in continuous)
        assert one / other == ratio if kind is SinglePhase else one == 0  # of two phases, the free one
        assert all(relative(each.targets, rest.targets) < 1e-12 for each in continuous)


def test_continuous_learning_has_rows_for_each_time():
    with jax.enable_x64(True):
        made = case()
        rest = learned(rules(TwoPhase), made)
        continuous = learned(rules(TwoPhase, jax.tree.map(jnp.asarray, ContinuousPlasticity(25.0, 500))), made)
        for width, x in zip(SIZES, continuous.h, strict=True):
            assert x.shape == (500 * BATCH, width)
        for dh, at_last in zip(continuous.updates, rest.updates, strict=True):
            course = dh.reshape(500, BATCH, -1)
            assert size(course[-1] - at_last) < 1e-3 * size(at_last)
            assert size(course[0]) < 0.1 * size(at_last)
        np.testing.assert_array_equal(continuous.h[0], jnp.tile(made.x, (500, 1)))
        # from rest, the output moves with mu dh_L at first, and the signal is that divided by rho
        np.testing.assert_allclose(continuous.updates[-1][:BATCH], 0.05 * (1 - MU) * made.dh, rtol=0.05)


def test_diagnostics_of_continuous_learning_have_a_row_per_sample():
    made, rule = eqx.filter_eval_shape(case, jnp.float32), TwoPhase(plasticity=ContinuousPlasticity(5.0, 4))

    def take(made):
        return Sample.take(rule, made.network, made.maps, Example(SquaredError(), made.x, made.dh, 0.1, KEY))

    sample = eqx.filter_eval_shape(take, made)
    assert [dh.shape for dh in sample.updates] == [(BATCH, width) for width in SIZES[1:]]


@pytest.mark.parametrize(("duration", "samples"), [(0.0, 4), (-1.0, 4), (5.0, 0)])
def test_nothing_is_learned_in_no_time(duration, samples):
    with pytest.raises(ConfigError, match=r"needs (samples|duration) above 0"):
        ContinuousPlasticity(duration, samples)


def test_continuous_training_lowers_the_loss():
    x = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    y = np.argmax(x[:, :2], axis=1).astype(np.int32)
    data = tp.Dataset("toy", x[:48], y[:48], x[48:], y[48:], (4,), 2)
    rule = TwoPhase(plasticity=ContinuousPlasticity(10.0, 5))
    schedule = tp.Schedule(6)
    recipe = tp.Recipe(rule, architecture=tp.MLP((6,)), batch_size=12, validation=12, schedule=schedule)
    recipe = recipe.replace(optimizer=tp.Adam(0.01), feedback_optimizer=tp.Adam(0.01), stepsize=0.5)
    result = tp.train(recipe, data, progress=False)
    assert result.finished
    for seed in result.seeds:
        assert seed.history[-1]["train_loss"] < 0.9 * seed.history[0]["train_loss"]
