"""Gradients for one's own training loop, and the public step."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import targetprop as tp

KEY = jax.random.key(0)
LOSS = tp.SoftmaxCrossEntropy()
Y = jnp.array([0, 2, 1, 1, 2])


@pytest.fixture
def network():
    return tp.mlp((4, 6, 5, 3), key=KEY)


@pytest.fixture
def x():
    return jax.random.normal(jax.random.key(1), (5, 4), jnp.result_type(float))


def close(one, other, rtol):
    """Leaf by leaf, relative to the norm of the leaf."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert np.linalg.norm(np.asarray(a) - b) <= rtol * np.linalg.norm(b)


def mean_loss(network, x):
    return jnp.mean(LOSS.value(network(x), Y))


def test_backprop_gives_the_gradients_of_jax(network, x):
    (value, aux), grads = tp.value_and_grad(tp.Backprop(), LOSS)(network, None, x, Y)
    expected, gradients = eqx.filter_value_and_grad(mean_loss)(network, x)
    assert float(value) == pytest.approx(float(expected), rel=1e-6)
    close(grads.network, gradients, 1e-6)
    assert grads.feedback is None
    np.testing.assert_array_equal(aux.output, network(x))


def test_a_function_serves_as_loss(network, x, float64):
    network, x = tp.mlp((4, 6, 5, 3), key=KEY), x.astype(jnp.float64)
    function = optax.softmax_cross_entropy_with_integer_labels
    for rule in (tp.Backprop(), tp.GeneralizedGaussNewtonTargets()):
        given, own = (
            tp.value_and_grad(rule, loss)(network, rule.init(network, key=KEY), x, Y, key=KEY) for loss in (function, LOSS)
        )
        close(given, own, 1e-9)


def test_a_function_that_averages_over_the_batch_is_refused(network, x):
    with pytest.raises(tp.ConfigError, match="each sample"):
        tp.value_and_grad(tp.Backprop(), lambda h, y: jnp.mean(h))(network, None, x, Y)


@pytest.mark.parametrize("rule", [tp.dtp(), tp.ddtp_linear(), tp.dfa()], ids=lambda rule: rule.name)
def test_optax_takes_gradients_of_network_and_feedback(rule, network, x):
    feedback = rule.init(network, key=KEY)
    optimizer = optax.adamw(1e-2)
    moments = optimizer.init(tp.trained_parameters(rule, network, feedback))

    @eqx.filter_jit
    def step(network, feedback, moments):
        (_, aux), grads = tp.value_and_grad(rule, LOSS)(network, feedback, x, Y, key=KEY)
        updates, moments = optimizer.update(grads, moments, tp.trained_parameters(rule, network, feedback))
        return eqx.apply_updates(network, updates.network), eqx.apply_updates(feedback, updates.feedback), moments, aux

    after, learned, _, aux = step(network, feedback, moments)
    assert not eqx.tree_equal(after, network)
    assert bool(eqx.tree_equal(learned, feedback)) == (not rule.learns_feedback)
    assert (aux.feedback_losses is not None) == rule.learns_feedback
    assert [dh.shape for dh in aux.updates] == [(5, 6), (5, 5), (5, 3)]


def test_frozen_layers_and_penalties(network, x):
    penalty = tp.OrthogonalityPenalty(0.3)
    grads = tp.value_and_grad(tp.Backprop(), LOSS, trainable=(2,), penalty=penalty)(network, None, x, Y)[1].network

    def objective(network):
        return mean_loss(network, x) + penalty.value(network.layers[1].weight)

    assert grads.layers[0] is None
    assert grads.layers[2] is None
    close(grads.layers[1], eqx.filter_grad(objective)(network).layers[1], 1e-5)
    parameters = tp.trained_parameters(tp.Backprop(), network, None, (2,))
    assert jax.tree.structure(parameters.network) == jax.tree.structure(grads)
    with pytest.raises(tp.ConfigError, match="trainable"):
        tp.value_and_grad(tp.Backprop(), LOSS, trainable=(4,))(network, None, x, Y)


def test_a_mask_moves_what_it_selects(network):
    mask = tp.OneRandomLayer()
    moved = []
    for i in range(12):
        updates = tp.mask_updates(mask, tp.parameters(network), jax.random.key(i))
        moved.append([bool(jnp.any(layer.weight != 0)) for layer in updates.layers])
    assert [sum(row) for row in moved] == [1] * 12
    assert np.all(np.any(moved, axis=0))
    assert tp.mask_updates(None, network, KEY) is network


def test_vmap_and_scan_agree_with_single_calls(network, x):
    rule = tp.ddtp_linear()
    feedback = rule.init(network, key=KEY)
    gradients = tp.value_and_grad(rule, LOSS)
    keys = jax.random.split(KEY, 3)

    @eqx.filter_jit
    def one(key):
        return gradients(network, feedback, x, Y, key=key)

    single = [one(key) for key in keys]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *single)
    close(eqx.filter_jit(eqx.filter_vmap(one))(keys), stacked, 1e-5)
    close(jax.jit(lambda keys: jax.lax.scan(lambda _, key: (None, one(key)), None, keys)[1])(keys), stacked, 1e-5)


def test_what_is_missing_is_said(network, x):
    rule = tp.dtp()
    with pytest.raises(tp.ConfigError, match="`key`"):
        tp.value_and_grad(rule, LOSS)(network, rule.init(network, key=KEY), x, Y)
    with pytest.raises(TypeError, match="from_equinox"):
        tp.value_and_grad(rule, LOSS)(eqx.nn.MLP(4, 3, 6, 2, key=KEY), None, x, Y, key=KEY)  # pyright: ignore
    with pytest.raises(TypeError, match="SoftmaxCrossEntropy"):
        tp.value_and_grad(rule, "cross-entropy")  # pyright: ignore


def test_a_rule_with_something_to_do_after_the_step_gets_its_credit():
    rule = tp.TargetPropExact(inverse=tp.Woodbury())
    network = tp.invertible_mlp((5, 4, 3), tp.LeakyReLU(0.1), key=KEY)
    feedback, x = rule.init(network, key=KEY), jax.random.normal(KEY, (5, 5))
    (_, aux), grads = tp.value_and_grad(rule, LOSS)(network, feedback, x, Y)
    moved = eqx.apply_updates(network, jax.tree.map(lambda g: -0.01 * g, grads.network))
    after, learned = rule.post_update(network, moved, feedback, aux.credit)
    (old,), (new,), (exact,) = feedback, learned, rule.init(after, key=KEY)
    before, error = (np.linalg.norm(kept.matrix - exact.matrix) for kept in (old, new))
    assert 0 < error < 0.1 * before


def test_the_step_is_the_gradient_step_of_the_rule(network, x):
    """By hand: plain gradient steps with the gradients of `value_and_grad`."""
    rule = tp.ddtp_linear()
    recipe = tp.Recipe(rule, loss=LOSS, optimizer=tp.SGD(0.1), feedback_optimizer=tp.SGD(0.05), stepsize=0.5)
    state = tp.init_state(recipe, network, seed=3)
    gradients = tp.value_and_grad(rule, LOSS, stepsize=0.5)
    for i in range(3):
        key = jax.random.fold_in(jax.random.key(3), i)
        (value, aux), grads = gradients(state.network, state.feedback, x, Y, key=key)
        expected = [
            eqx.apply_updates(tree, jax.tree.map(lambda g, rate=rate: -rate * g, part))
            for tree, part, rate in ((state.network, grads.network, 0.1), (state.feedback, grads.feedback, 0.05))
        ]
        state, info = tp.step(state, (x, Y))
        close(tp.parameters((state.network, state.feedback)), tp.parameters(tuple(expected)), 1e-5)
        close((info.loss, info.output, info.updates, info.feedback_losses), (value, *aux[:3]), 1e-5)
    assert int(state.count) == 3


def test_the_feedback_can_learn_alone(network, x):
    state = tp.init_state(tp.Recipe(tp.dtp(), loss=LOSS), network)
    after, info = tp.step(state, (x, Y), joint=False)
    assert eqx.tree_equal(after.network, state.network)
    assert not eqx.tree_equal(after.feedback, state.feedback)
    assert info.updates is None
