"""Layers that normalize their input over the minibatch: their inverses return the input, against
dense float64 algebra.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.feedback.inverses import LUSolve, init_inverses, update_inverses
from targetprop.feedback.mappings import ExactInverses, LearnedInverses
from targetprop.networks.normalization import EPSILON

pytestmark = pytest.mark.usefixtures("float64")

S = tp.LeakyReLU(0.35)


def numbers(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def network(*sizes: int) -> tp.Network:
    """Normalized layers with biases. Narrower ones read the first units of the layer below."""
    plain = tp.invertible_mlp(sizes, S, key=jax.random.key(0), dtype=jnp.float64)
    biased = [
        eqx.tree_at(lambda dense: dense.bias, layer.inverted_part(), numbers(i, sizes[i]))
        for i, layer in enumerate(plain.layers, 1)
    ]
    return tp.batch_normalized(eqx.tree_at(lambda n: [layer.inverted_part() for layer in n.layers], plain, biased))


def output(layer: tp.Layer, x: jax.Array, batch: jax.Array) -> jax.Array:
    """The layer at `x`, normalized by the statistics of `batch`."""
    dense, x, batch = layer.inverted_part(), np.asarray(x), np.asarray(batch)
    z = (x - batch.mean(axis=0)) / np.sqrt(batch.var(axis=0) + EPSILON)
    a = z[:, : dense.weight.shape[1]] @ np.asarray(dense.weight).T + np.asarray(dense.bias)
    return jnp.asarray(np.where(a < 0, 0.35 * a, a))


@pytest.mark.parametrize("sizes", [(4, 5, 5, 5), (4, 6, 5, 3)], ids=["equal", "auxiliary"])
@pytest.mark.parametrize("method", [LUSolve(), tp.Woodbury()], ids=["lu", "woodbury"])
def test_an_exact_inverse_returns_the_input(sizes, method):
    """At the statistics of the minibatch. Auxiliary units, which no layer reads, stay."""
    net = network(*sizes)
    trace = net.trace(3 + 2 * numbers(1, 8, 4))
    maps = ExactInverses(method).maps(net, init_inverses(method, net), trace)
    for g, layer, point in zip(maps, net.layers[1:], trace.points[1:], strict=True):
        read = layer.inverted_part().weight.shape[1]
        dx = numbers(2, *point.x.shape).at[:, read:].set(0)
        moved = output(layer, point.x + dx, point.x)
        np.testing.assert_allclose(g.at(moved).h, point.x + dx, rtol=1e-10, atol=1e-12)
        at = g.at(point.h)
        np.testing.assert_allclose(g.difference(at, moved - point.h), dx, rtol=1e-10, atol=1e-12)


def test_a_learned_inverse_starts_where_it_returns_the_input():
    net = network(4, 5, 5, 5)
    trace = net.trace(3 + 2 * numbers(1, 8, 4))
    mappings = LearnedInverses()
    for g, layer, point in zip(
        mappings.maps(net, mappings.init(net, key=jax.random.key(0)), trace), net.layers[1:], trace.points[1:], strict=True
    ):
        x = point.x + numbers(2, *point.x.shape)
        np.testing.assert_allclose(g.at(output(layer, x, point.x)).h, x, rtol=1e-10)


def test_a_learned_inverse_learns_between_normalized_activities():
    """Algorithm A.8: the gradient on white noise `z` is that of `||Q s^{-1}(s(W z + b)) + c - z||^2`,
    whatever the statistics of the minibatch are.
    """
    net, noise = network(4, 5, 5, 5), [numbers(3, 8, 5), numbers(4, 8, 5)]
    rule = tp.tp_ai()
    feedback = jax.tree.map(lambda leaf: leaf + 0.1, rule.init(net, key=jax.random.key(0)))
    example = tp.Example(tp.SquaredError(), 3 + 2 * numbers(1, 8, 4), numbers(2, 8, 5), noise=tp.NoiseDraw(tuple(noise)))
    found = tp.minibatch_step(rule, net, feedback, example).feedback
    for i, (g, layer, z) in enumerate(zip(feedback, net.layers[1:], noise, strict=True)):
        w, b = layer.dense.weight, layer.dense.bias
        error = (z @ w.T + b) @ g.linear.weight.T + g.linear.bias - z
        np.testing.assert_allclose(found.losses[i], np.sum(error**2) / 8, rtol=1e-10)
        np.testing.assert_allclose(found.gradients[i].linear.weight, 2 * error.T @ (z @ w.T + b) / 8, rtol=1e-9)
        np.testing.assert_allclose(found.gradients[i].linear.bias, 2 * error.sum(axis=0) / 8, rtol=1e-9)


def test_a_stored_inverse_follows_a_step_along_the_normalized_inputs():
    net, method = network(4, 6, 6, 5), tp.Woodbury(jnp.inf)
    trace = net.trace(3 + 2 * numbers(1, 3, 4))
    gradients = tp.local_gradients(net, trace, [0.1 * numbers(2, *point.h.shape) for point in trace.points])
    after, states = update_inverses(method, net, eqx.apply_updates(net, gradients), init_inverses(method, net), trace)
    for state, layer in zip(states, after.layers[1:], strict=True):
        weight = layer.inverted_part().weight
        np.testing.assert_allclose(state.matrix @ weight, np.eye(len(weight)), atol=1e-10)


def test_the_architecture_normalizes_the_layers_of_another():
    inner = tp.MLP((5, 4), S, bias=False)
    built = {one: one.build((6,), 3, key=jax.random.key(0), dtype=jnp.float64) for one in (inner, tp.Normalized(inner))}
    plain, normalized = built.values()
    assert eqx.tree_equal(tp.Network([layer.dense for layer in normalized.layers], 6), plain)
    batch = 1 + numbers(0, 7, 6)
    np.testing.assert_allclose(
        plain.layers[0].at((batch - batch.mean(axis=0)) / np.sqrt(batch.var(axis=0) + EPSILON)).h,
        normalized.layers[0].at(batch).h,
    )
    with pytest.raises(tp.ConfigError, match="Layer 1 cannot be normalized: a ConvPool is not dense"):
        tp.Normalized(tp.CNN((2,), (3,))).build((1, 4, 4), 2, key=jax.random.key(0), dtype=jnp.float64)
