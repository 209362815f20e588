"""Convolutions with pooling: values, differences, gradients, and the rules on a network of
them.
"""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.data import load
from targetprop.feedback.gauss_newton import PseudoInverse
from targetprop.feedback.noise import Gaussian, output_displacements
from targetprop.networks.convolution import ConvPool, convolve
from targetprop.networks.layers import Dense
from targetprop.networks.network import Network
from targetprop.rules import GaussNewtonTargets
from targetprop.rules.contract import Minibatch
from targetprop.training import program
from targetprop.training.ensemble import Ensemble

KEY = jax.random.key(0)
LOSS = tp.SoftmaxCrossEntropy()
LABELS = jnp.array([0, 2, 1, 1])


def normal(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.result_type(float))


def small_cnn() -> Network:
    architecture = tp.CNN(channels=(2, 3), hidden=(5,), kernel=3)
    return architecture.build((1, 7, 6), 3, key=KEY, dtype=jnp.result_type(float))


def convolved(weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Cross-correlation by the definition, a sum for every pixel, zero outside the image."""
    side = weight.shape[-1]
    padded = np.pad(x, [(0, 0), (0, 0), (side // 2,) * 2, (side // 2,) * 2])
    out = np.zeros((len(x), len(weight), *x.shape[2:]))
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            window = padded[:, :, row : row + side, column : column + side]
            out[:, :, row, column] = np.einsum("ocij,bcij->bo", weight, window)
    return out


def pooled(s: np.ndarray) -> np.ndarray:
    """The largest of each 3 x 3 window around every second pixel, by the definition."""
    rows, columns = s.shape[2:]
    return np.array(
        [
            [s[:, :, max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].max(axis=(2, 3)) for c in range(0, columns, 2)]
            for r in range(0, rows, 2)
        ]
    ).transpose(2, 3, 0, 1)


@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("rows_columns", [(6, 7), (5, 8)], ids=str)
def test_a_layer_is_its_definition(float64, side, rows_columns):
    layer = dataclasses.replace(ConvPool.create((2, 3), tp.Tanh(), size=side, key=KEY), bias=normal(1, 3))
    x = normal(2, 4, 2, *rows_columns)
    point = layer.at(x)
    a = convolved(np.asarray(layer.weight), np.asarray(x)) + np.asarray(layer.bias)[:, None, None]
    np.testing.assert_allclose(point.a, a, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(point.h, pooled(np.tanh(a)), rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(point.x, x)


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("activation", [tp.Tanh(), tp.LeakyReLU(0.2)], ids=["tanh", "leaky-relu"])
def test_difference_is_the_subtraction(float64, leading, activation):
    layer = ConvPool.create((2, 3), activation, key=KEY)
    x, dx = normal(1, 4, 2, 7, 6), normal(2, *leading, 4, 2, 7, 6)
    moved = layer.difference(layer.at(x), dx)
    assert moved.shape == (*leading, 4, 3, 4, 3)
    each = [layer.at(x + one).h - layer.at(x).h for one in dx.reshape(-1, *x.shape)]
    np.testing.assert_allclose(moved, np.reshape(each, moved.shape), rtol=1e-11, atol=1e-13)


def test_tiny_displacements_are_not_lost_in_float32():
    layer = ConvPool.create((2, 3), tp.Tanh(), key=KEY)
    x, dx = normal(1, 4, 2, 8, 8), 1e-9 * normal(2, 5, 4, 2, 8, 8)
    moved = np.asarray(layer.difference(layer.at(x), dx), np.float64)
    subtracted = np.stack([layer.at(x + one).h for one in dx]) - np.asarray(layer.at(x).h)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), layer)
        exact = (
            jnp.stack([wide.at(x + one).h for one in jnp.asarray(dx, jnp.float64)]) - wide.at(jnp.asarray(x, jnp.float64)).h
        )
        exact = np.asarray(exact)
    np.testing.assert_allclose(moved, exact, rtol=1e-4, atol=1e-5 * np.abs(exact).max())
    assert np.linalg.norm(subtracted - exact) > 0.5 * np.linalg.norm(exact), "too large a displacement to show anything"


@pytest.mark.parametrize("colors", [2, 3])
def test_forward_mode_is_the_product_rule(float64, colors):
    x, dx = normal(1, 4, 6, 7, colors), normal(2, 4, 6, 7, colors)
    w, dw = normal(3, 5, 5, colors, 2), normal(4, 5, 5, colors, 2)

    def by_definition(x, w):
        return convolved(np.transpose(w, (3, 2, 0, 1)), np.transpose(x, (0, 3, 1, 2))).transpose(0, 2, 3, 1)

    value, moved = jax.jvp(convolve, (x, w), (dx, dw))
    np.testing.assert_allclose(value, by_definition(x, w), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(moved, by_definition(dx, w) + by_definition(x, dw), rtol=1e-11, atol=1e-12)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the order of the axes matters on a CPU alone")
def test_a_training_step_convolves_in_the_order_that_is_quick_in_a_loop(operations):
    x, w = normal(1, 4, 6, 7, 3), normal(2, 5, 5, 3, 2)

    def loss(x, w):
        return jnp.sum(convolve(jnp.tanh(convolve(x, w)), jnp.swapaxes(w, 2, 3)) ** 2)

    found = operations(jax.grad(loss, argnums=(0, 1)), x, w)
    orders = [one.params["dimension_numbers"] for one in found if one.primitive.name == "conv_general_dilated"]
    assert len(orders) == 6, "two convolutions, each with two derivatives"
    assert {tuple(order) for order in orders} == {((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))}, "NHWC, HWIO, NHWC"


def test_initial_kernels_count_the_receptive_field():
    weight = np.asarray(ConvPool.create((40, 60), tp.Tanh(), key=KEY).weight, np.float64)
    assert weight.shape == (60, 40, 5, 5)
    expected = math.sqrt(2 / (25 * (40 + 60)))
    assert abs(weight.std() / expected - 1) < 4 / math.sqrt(2 * weight.size)
    assert abs(weight.mean()) < 4 * expected / math.sqrt(weight.size)


def test_kernels_that_cannot_be_centred_are_refused():
    with pytest.raises(ValueError, match="odd"):
        ConvPool.create((1, 1), tp.Tanh(), size=4, key=KEY)


def test_the_published_cnn():
    network = jax.eval_shape(lambda: tp.CNN().build((3, 32, 32), 10, key=KEY, dtype=jnp.float32))
    shapes = [layer.weight.shape for layer in network.layers]
    assert shapes == [(32, 3, 5, 5), (64, 32, 5, 5), (512, 64 * 8 * 8), (10, 512)]
    assert [type(layer.activation) for layer in network.layers] == [tp.Tanh] * 3 + [tp.Identity]
    with pytest.raises(tp.ConfigError, match="images"):
        tp.CNN().build((784,), 10, key=KEY, dtype=jnp.float32)


def test_gradients_of_backprop_are_those_of_the_loss(float64):
    network, x = small_cnn(), normal(1, 4, 1, 7, 6)
    trace = network.trace(x)
    updates = tp.Backprop().target_updates(
        network, None, Minibatch(trace, tp.output_update(LOSS, trace.output, LABELS, 1.0))
    )
    ours = tp.local_gradients(network, trace, updates)
    true = eqx.filter_jit(jax.grad(lambda network: jnp.mean(LOSS.value(network(x), LABELS))))(network)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(true), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-13)


RULES = [tp.ddtp_linear(), tp.dfa(), tp.dtp(), tp.dtpdrl(), GaussNewtonTargets(PseudoInverse())]


@eqx.filter_jit
def lesson(rule, network, x):
    """A step of a rule as one program: target updates, gradients, and the losses of feedback that
    learns.
    """
    feedback = rule.init(network, key=KEY)
    trace = network.trace(x)
    updates = rule.target_updates(network, feedback, Minibatch(trace, tp.output_update(LOSS, trace.output, LABELS, 0.1)))
    learned = rule.feedback_step(network, feedback, Minibatch(trace, 0 * trace.output, key=KEY))
    return updates, tp.local_gradients(network, trace, updates), None if learned is None else learned.losses


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rules_give_every_layer_its_targets(rule):
    updates, gradients, losses = lesson(rule, small_cnn(), normal(1, 4, 1, 7, 6))
    assert [dh.shape[1:] for dh in updates] == [(2, 4, 3), (3, 2, 2), (5,), (3,)]
    for leaf in jax.tree.leaves(gradients):
        assert np.all(np.isfinite(leaf))
        assert np.any(np.asarray(leaf) != 0)
    if losses is not None:
        assert losses.shape == (3,)
        assert np.all(np.isfinite(losses))


def test_gauss_newton_targets_of_pooled_activities(float64):
    network, x = small_cnn(), normal(1, 4, 1, 7, 6)
    trace = network.trace(x)
    dh = tp.output_update(LOSS, trace.output, LABELS, 0.1)
    updates = GaussNewtonTargets(PseudoInverse()).target_updates(network, None, Minibatch(trace, dh))
    for i in (1, 2, 3):
        rest = Network(network.layers[i:], network.shapes[i])
        jacobians = jax.vmap(jax.jacobian(lambda h, rest=rest: rest(h[None])[0]))(trace.h[i])
        dense = np.linalg.pinv(np.asarray(jacobians).reshape(4, 3, -1)) @ np.asarray(dh)[..., None]
        np.testing.assert_allclose(updates[i - 1].reshape(4, -1), dense[..., 0], rtol=1e-8, atol=1e-11)


def test_noise_on_pooled_activities_reaches_the_output(float64):
    network, x = small_cnn(), normal(1, 4, 1, 7, 6)
    trace = network.trace(x)
    noise = Gaussian(0.3).on_layers(trace, KEY)
    moved = output_displacements(network, trace, noise)
    for i in (1, 2, 3):
        rest = Network(network.layers[i:], network.shapes[i])
        expected = rest(trace.h[i] + noise[i - 1]) - trace.output
        np.testing.assert_allclose(moved[i - 1], expected, rtol=1e-10, atol=1e-12)


def test_a_dense_layer_flattens_images(float64):
    layer, x, dx = Dense.create((12, 3), tp.Tanh(), key=KEY), normal(1, 4, 2, 3, 2), normal(2, 5, 4, 2, 3, 2)
    point = layer.at(x)
    np.testing.assert_allclose(point.h, layer.at(x.reshape(4, 12)).h, rtol=1e-14)
    np.testing.assert_array_equal(point.x, x)
    expected = layer.at((x + dx).reshape(20, 12)).h.reshape(5, 4, 3) - point.h
    np.testing.assert_allclose(layer.difference(point, dx), expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(("name", "epochs"), [("bp", 1), ("ddtp-linear", 2)])
def test_a_small_cnn_learns_the_digits(name, epochs):
    recipe = tp.recipe(name, "digits").replace(
        architecture=tp.CNN(channels=(4,), hidden=(16,), kernel=3),
        optimizer=tp.Adam(5e-3),
        feedback_optimizer=tp.Adam(5e-3),
        schedule=tp.Schedule(epochs, pretraining=2),
    )
    result = tp.train(recipe, progress=False)
    ensemble = Ensemble([recipe], [0], load("digits"))
    untrained = program.assess(ensemble.task, ensemble.members, ensemble.data)[1]
    record = result.seeds[0].history[-1]
    assert result.finished
    assert record["test_loss"] < 0.8 * float(untrained.loss[0])
    assert record["test_error"] < float(untrained.score[0]) - 10
