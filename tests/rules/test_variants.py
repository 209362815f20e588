"""Variants of any rule: one random layer at a time, slopes inverted, activities normalized."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.losses import SquaredError
from targetprop.networks.activations import NotInvertibleError
from targetprop.networks.layers import Dense, difference
from targetprop.networks.network import Network, mlp
from targetprop.networks.normalization import EPSILON, BatchNormalized
from targetprop.rules import InverseSlopes
from targetprop.rules.by_numbers import minibatch_step
from targetprop.rules.contract import Example, Minibatch
from targetprop.training.optimizers import Adam
from targetprop.training.step import init_state, step

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def network():
    return mlp((4, 3, 5, 2), tp.LeakyReLU(0.35), key=jax.random.key(0), dtype=jnp.float64)


@pytest.fixture
def x():
    return 3 + jax.random.normal(jax.random.key(1), (6, 4), jnp.float64)


def test_one_layer_moves_at_a_time_and_each_has_its_turn(network, x):
    adam, y, moved = Adam(0.1), jnp.ones((6, 2)), []
    recipe = tp.Recipe(
        tp.dtp(), loss=SquaredError(), optimizer=adam, feedback_optimizer=adam, update_mask=tp.OneRandomLayer()
    )
    state = init_state(recipe, network)
    for _ in range(20):
        after, _ = step(state, (x, y))
        pairs = list(zip(state.network.layers, after.network.layers, strict=True))
        moved.append([not np.array_equal(a.weight, b.weight) for a, b in pairs])
        feedback = zip(jax.tree.leaves(state.feedback), jax.tree.leaves(after.feedback), strict=True)
        assert any(not np.array_equal(a, b) for a, b in feedback)
        state = after
    assert [sum(layers) for layers in moved] == [1] * 20
    assert np.all(np.any(moved, axis=0))


def test_target_updates_are_those_of_the_rule_inside(network, x):
    trace, dh = network.trace(x), jnp.ones((6, 2))
    for variant in (InverseSlopes(tp.dtp()), InverseSlopes(InverseSlopes(tp.dtp()))):
        feedback = variant.init(network, key=jax.random.key(2))
        ours = variant.target_updates(network, feedback, Minibatch(trace, dh))
        for one, other in zip(ours, tp.dtp().target_updates(network, feedback, Minibatch(trace, dh)), strict=True):
            np.testing.assert_array_equal(one, other)
        key = jax.random.key(3)
        one, other = (
            rule.feedback_step(network, feedback, Minibatch(trace, 0 * trace.output, key=key))
            for rule in (variant, tp.dtp())
        )
        np.testing.assert_array_equal(one.losses, other.losses)


def test_the_modified_update_has_the_inverse_slopes(network, x):
    """Meulemans 2019, Algorithm A.1: the mean over the batch of -D_k^{-1} dh_k h_{k-1}^T."""
    y = jnp.ones((6, 2))
    found = minibatch_step(InverseSlopes(tp.Backprop()), network, None, Example(SquaredError(), x, y))
    trace = network.trace(x)
    updates = tp.Backprop().target_updates(network, None, Minibatch(trace, y - trace.output))
    for gradient, point, dh in zip(found.gradients.layers, trace.points, updates, strict=True):
        slopes = np.where(np.asarray(point.a) < 0, 0.35, 1.0) if dh.shape[1] > 2 else 1.0
        np.testing.assert_allclose(
            gradient.weight, -np.mean((dh / slopes)[:, :, None] * point.x[:, None], axis=0), rtol=1e-12
        )


def test_layers_whose_slope_vanishes_or_is_unknown_are_refused(x):
    trace_of = {"x": x, "target": jnp.ones((6, 3))}
    dead = mlp((4, 5, 3), tp.ReLU(), key=jax.random.key(0), dtype=jnp.float64)
    with pytest.raises(NotInvertibleError):
        minibatch_step(InverseSlopes(tp.Backprop()), dead, None, Example(SquaredError(), **trace_of))
    unknown = Network([jnp.tanh, *mlp((4, 3), key=jax.random.key(0), dtype=jnp.float64).layers], 4)
    with pytest.raises(tp.ConfigError, match="dense layers"):
        minibatch_step(InverseSlopes(tp.Backprop()), unknown, None, Example(SquaredError(), **trace_of))


@pytest.fixture
def layer():
    return BatchNormalized(Dense.create((4, 3), tp.Tanh(), key=jax.random.key(4), dtype=jnp.float64))


def test_each_unit_is_normalized_over_the_minibatch(layer, x):
    point = layer.at(x)
    z = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + EPSILON)
    np.testing.assert_allclose(point.h, np.tanh(z @ layer.dense.weight.T), rtol=1e-12)


def test_mean_and_deviation_are_constants_of_every_derivative(layer, x):
    """The pullback and the difference are those of a dense layer whose weights are divided by the
    deviation.
    """
    deviation = np.sqrt(x.var(axis=0) + EPSILON)
    fixed = Dense(layer.dense.weight / deviation, -(layer.dense.weight / deviation) @ x.mean(axis=0), tp.Tanh())
    ours, theirs = (Network([entry], 4).trace(x) for entry in (layer, fixed))
    v, dx = jnp.ones((6, 3)), jax.random.normal(jax.random.key(5), (2, 6, 4))
    np.testing.assert_allclose(ours.pullbacks[0](v)[1], theirs.pullbacks[0](v)[1], rtol=1e-12)
    np.testing.assert_allclose(
        difference(layer, ours.points[0], dx), difference(fixed, theirs.points[0], dx), rtol=1e-12, atol=1e-15
    )
    weight = ours.pullbacks[0](v)[0].dense.weight
    slope = 1 - ours.output**2
    np.testing.assert_allclose(weight, (v * slope).T @ ((x - x.mean(axis=0)) / deviation), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: tp.dtpdrl(sigma=0.0),
        lambda: tp.dtp(samples=0),
        lambda: tp.ddtp_linear(samples=0),
        lambda: tp.GeneralizedGaussNewtonTargets(damping=0.0),
        lambda: tp.Tikhonov(0.0),
    ],
)
def test_numbers_with_which_a_rule_has_no_targets_are_refused(wrong):
    with pytest.raises(tp.ConfigError, match=r"needs (sigma|samples|damping) above 0, not 0"):
        wrong()


def test_difference_target_propagation_learns_without_noise_too():
    assert tp.dtp(sigma=0.0).learner.noise.sigma == 0
    for rule in (tp.dtp, tp.ddtp_linear):
        with pytest.raises(tp.ConfigError, match=r"needs sigma 0 or above, not -0\.1"):
            rule(sigma=-0.1)


def test_a_random_hidden_layer_has_units():
    with pytest.raises(tp.ConfigError, match="needs width above 0, not 0"):
        tp.ddtp_rhl(width=0)
