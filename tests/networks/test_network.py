import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.errors import ConfigError
from targetprop.losses import SoftmaxCrossEntropy
from targetprop.networks.activations import Identity, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from targetprop.networks.architectures import CNN
from targetprop.networks.initializers import orthogonal, xavier_normal, xavier_uniform
from targetprop.networks.layers import Dense, difference, evaluate, parameters
from targetprop.networks.network import Network, mlp
from targetprop.networks.per_sample import PerSample
from targetprop.rules import Backprop
from targetprop.rules.contract import Minibatch, output_update
from targetprop.rules.updates import local_gradients

KEY = jax.random.key(0)
SIZES = (5, 8, 7, 3)


class Scale(eqx.Module):
    """A layer of its own kind: one trainable number per unit."""

    scale: jax.Array

    def __call__(self, x):
        return jnp.sin(self.scale * x)


class Batched(eqx.Module):
    """A layer written for one sample, followed by a function."""

    layer: Callable
    then: Callable = eqx.field(static=True)

    def __call__(self, x):
        return self.then(jax.vmap(self.layer)(x))


def flatten(x):
    return x.reshape(x.shape[0], -1)


def twice(x):
    return jnp.concatenate([x, x])


def double(tree):
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if eqx.is_inexact_array(leaf) else leaf, tree)


def odd_dense() -> Network:
    """A network of unlike layers: dense, a module, a plain function and a vmapped layer."""
    linear = Batched(eqx.nn.Linear(8, 7, key=KEY), jnp.tanh)
    layers = [
        Dense.create((5, 8), Softplus(), key=KEY),
        Scale(jnp.linspace(0.5, 2.0, 8)),
        linear,
        jnp.tanh,
        Dense.create((7, 3), Identity(), bias=False, key=KEY),
    ]
    return Network(layers, 5)


def convolutional() -> Network:
    """Images of 2 x 6 x 6 through a strided convolution."""
    conv = Batched(eqx.nn.Conv2d(2, 3, 3, stride=2, key=KEY), jnp.tanh)
    return Network(
        [conv, flatten, Dense.create((12, 6), Tanh(), key=KEY), Dense.create((6, 3), Identity(), key=KEY)], (2, 6, 6)
    )


NETWORKS = pytest.mark.parametrize(
    "build",
    [
        lambda: mlp(SIZES, key=KEY),
        lambda: mlp(SIZES, Sigmoid(), bias=False, key=KEY),
        lambda: mlp(SIZES, (LeakyReLU(), Tanh()), key=KEY),
        lambda: mlp((5, 3), key=KEY),
        odd_dense,
        convolutional,
    ],
    ids=["tanh", "sigmoid-no-bias", "leaky-relu", "one-layer", "unlike-layers", "convolution"],
)


def batch_for(network: Network, size: int = 4):
    x = jax.random.normal(jax.random.key(1), (size, *network.input_shape))
    return x, jnp.arange(size) % network.shapes[-1][0]


@eqx.filter_jit
def backprop_gradients(network, x, y):
    loss, rule = SoftmaxCrossEntropy(), Backprop()
    trace = network.trace(x)
    updates = rule.target_updates(network, None, Minibatch(trace, output_update(loss, trace.output, y, 1.0)))
    return local_gradients(network, trace, updates)


@eqx.filter_jit
def true_gradients(network, x, y):
    return eqx.filter_grad(lambda network: jnp.mean(SoftmaxCrossEntropy().value(network(x), y)))(network)


def assert_trees_close(got, expected, rtol):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=0, atol=rtol * float(jnp.linalg.norm(other)))


@NETWORKS
def test_gradients_of_backprop_are_those_of_the_loss(build):
    network = build()
    x, y = batch_for(network)
    assert_trees_close(backprop_gradients(network, x, y), true_gradients(network, x, y), rtol=1e-5)
    with jax.enable_x64(True):
        wide, x = double(network), x.astype(jnp.float64)
        assert_trees_close(backprop_gradients(wide, x, y), true_gradients(wide, x, y), rtol=1e-12)


@NETWORKS
def test_trace_records_the_forward_pass(build):
    network = build()
    x, _ = batch_for(network)
    trace = network.trace(x)
    assert [h.shape[1:] for h in trace.h] == list(network.shapes)
    assert len(trace.h) == network.depth + 1
    np.testing.assert_array_equal(trace.h[0], x)
    for layer, below, above in zip(network.layers, trace.h[:-1], trace.h[1:], strict=True):
        np.testing.assert_allclose(evaluate(layer, below).h, above, rtol=1e-6)
    np.testing.assert_allclose(network(x), trace.output, rtol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
def test_mlp_is_what_it_says(bias):
    network = mlp(SIZES, ReLU(), bias=bias, key=KEY)
    assert network.shapes == tuple((n,) for n in SIZES)
    assert network.input_shape == (5,)
    assert network.dtype == jnp.float32
    assert [type(layer.activation) for layer in network.layers] == [ReLU, ReLU, Identity]
    for layer, inputs, outputs in zip(network.layers, SIZES[:-1], SIZES[1:], strict=True):
        assert layer.weight.shape == (outputs, inputs)
        assert (layer.bias is not None) == bias
        if bias:
            np.testing.assert_array_equal(layer.bias, np.zeros(outputs))
    leaves = jax.tree.leaves(parameters(network))
    assert len(leaves) == (6 if bias else 3)
    weights = [np.asarray(layer.weight).ravel()[:3] for layer in network.layers]
    assert not any(np.array_equal(weights[0], other) for other in weights[1:])


def test_a_dense_layer_is_its_formula():
    layer = Dense(jnp.array([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]]), jnp.array([0.1, 0.2, -0.3]), Tanh())
    x = np.array([[0.4, -0.2], [1.0, 0.5]])
    point = layer.at(jnp.asarray(x, jnp.float32))
    a = x @ np.array([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]]).T + np.array([0.1, 0.2, -0.3])
    np.testing.assert_allclose(point.a, a, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(point.h, np.tanh(a), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("leading", [(), (4,), (2, 3)], ids=str)
@pytest.mark.parametrize(
    "layer", [Dense.create((5, 8), Sigmoid(), key=KEY), Batched(eqx.nn.Linear(5, 8, key=KEY), jnp.tanh)]
)
@pytest.mark.usefixtures("float64")
def test_difference_on_stacked_displacements(layer, leading):
    layer = double(layer)
    x = jax.random.normal(jax.random.key(1), (6, 5), jnp.float64)
    dx = jax.random.normal(jax.random.key(2), (*leading, 6, 5), jnp.float64)
    moved = difference(layer, evaluate(layer, x), dx)
    assert moved.shape == (*leading, 6, 8)
    each = [evaluate(layer, x + one).h - evaluate(layer, x).h for one in dx.reshape(-1, 6, 5)]
    np.testing.assert_allclose(moved.reshape(-1, 6, 8), np.stack(each), rtol=1e-12, atol=1e-15)


def test_dense_difference_keeps_tiny_displacements():
    layer = Dense.create((5, 8), Tanh(), key=KEY)
    x, dx = jax.random.normal(jax.random.key(1), (6, 5)), 1e-12 * jax.random.normal(jax.random.key(2), (6, 5))
    point = layer.at(x)
    slope = 1 - np.tanh(np.asarray(point.a, np.float64)) ** 2  # at 1e-12 the expansion is exact to 1e-12
    expected = slope * (np.asarray(dx, np.float64) @ np.asarray(layer.weight, np.float64).T)
    np.testing.assert_allclose(layer.difference(point, dx), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_layers_that_do_not_fit_are_named():
    first, second = Dense.create((5, 8), Tanh(), key=KEY), Dense.create((7, 3), Tanh(), key=KEY)
    with pytest.raises(ValueError, match=r"Layer 2 takes 7 inputs but layer 1 gives .*\(8,\).*of shape \(3, 8\)"):
        Network([first, second], 5)
    with pytest.raises(ValueError, match=r"Layer 1 takes 5 inputs .*\(4,\).*of shape \(8, 4\)"):
        Network([first], 4)
    with pytest.raises(ValueError, match=r"Layer 1 takes 5 inputs .*\(5, 2\)"):
        Network([first], (5, 2))
    convolution = jax.vmap(eqx.nn.Conv2d(1, 2, 3, key=KEY))
    with pytest.raises(ValueError, match=r"Layer 2, a .*, does not take the activities of shape \(8,\) that layer 1 gives"):
        Network([first, convolution], 5)
    with pytest.raises(ValueError, match="at least one"):
        Network([], 5)


@pytest.mark.parametrize("width", [1, 5, 8])
@pytest.mark.parametrize(
    ("layer", "how"),
    [
        (
            lambda width: eqx.nn.Linear(width, 8, key=KEY),
            r"a Linear, takes one sample, .*tp\.PerSample\(layer\), or .*tp\.from",
        ),
        (lambda width: eqx.nn.LayerNorm(width), r"a LayerNorm, takes one sample, not a batch: write tp\.PerSample"),
        (lambda width: twice, r"takes one sample, not a batch: write jax\.vmap\(layer\), or .*tp\.from_equinox"),
        (lambda width: lambda x: jnp.ones((3, width)) @ x, r"a function, takes one sample, .*jax\.vmap\(layer\)"),
    ],
    ids=["linear", "norm", "twice", "function"],
)
def test_a_layer_for_one_sample_is_refused_with_what_to_write(layer, how, width):
    with pytest.raises(ConfigError, match=f"Layer 1.*{how}"):
        Network([layer(width)], width)
    fixed = Network([PerSample(layer(width)), jax.vmap(lambda x: x / 2)], width)
    x = jnp.linspace(0.5, 1.5, 3 * width).reshape(3, width)
    np.testing.assert_allclose(fixed(x), jax.vmap(layer(width))(x) / 2, rtol=1e-6)


def test_inputs_that_do_not_fit_are_refused():
    network = mlp(SIZES, key=KEY)
    with pytest.raises(ValueError, match=r"inputs of shape \(5,\) but the batch holds \(4,\): .*\(batch, 5\)"):
        network.trace(jnp.ones((2, 4)))


def test_a_network_is_printed_in_one_line_without_its_arrays():
    network = mlp([5, 4, 3], Tanh(), key=jax.random.key(0))
    plain = Network([lambda x: 2 * x, *network.layers], 5)
    assert repr(network) == "Network: 5 -> 4 tanh -> 3 identity; 39 parameters, float32"
    assert repr(plain) == "Network: 5 -> 5 function -> 4 tanh -> 3 identity; 39 parameters, float32"
    page = network._repr_html_()
    assert page.count("<tr>") == 1 + 2
    assert "5 -&gt; 4 tanh" in page
    convolution = CNN(channels=(2,), hidden=(3,)).build((1, 8, 8), 2, key=KEY, dtype=jnp.float32)
    assert "1x8x8 -> 2x4x4 ConvPool" in repr(convolution)


def test_trees_of_the_structure_of_a_network_can_be_printed():
    network = mlp([5, 4, 3], Tanh(), key=jax.random.key(0))
    assert "weight=None" in repr(jax.tree.map(lambda leaf: None, network))
    printed = []
    jax.jit(lambda network: printed.append(repr(network)))(network)
    assert printed == [repr(network)]


@pytest.mark.parametrize("gain", [1.0, 3.0])
@pytest.mark.parametrize("initializer", [xavier_normal, xavier_uniform])
def test_xavier_variance(initializer, gain):
    shape = (300, 200)
    weight = np.asarray(initializer(gain)(KEY, shape, jnp.float32), np.float64)
    variance = gain**2 * 2 / (200 + 300)
    # Five standard errors: of the mean; of the second moment, whose variance is at most 2
    # variance^2.
    assert abs(weight.mean()) < 5 * math.sqrt(variance / weight.size)
    assert abs((weight**2).mean() - variance) < 5 * variance * math.sqrt(2 / weight.size)


def test_xavier_shapes_of_the_distributions():
    shape, bound = (300, 200), math.sqrt(6 / 500)
    uniform = np.asarray(xavier_uniform()(KEY, shape, jnp.float32), np.float64)
    normal = np.asarray(xavier_normal()(KEY, shape, jnp.float32), np.float64)
    assert np.abs(uniform).max() <= bound * (1 + 1e-6)
    assert np.abs(uniform).max() > 0.99 * bound
    # Within one standard deviation lies 68.27 % of a normal law and 57.74 % of a uniform one; 5
    # standard errors are 1 %.
    assert (np.abs(normal) < math.sqrt(2 / 500)).mean() == pytest.approx(0.6827, abs=0.01)
    assert (np.abs(uniform) < math.sqrt(2 / 500)).mean() == pytest.approx(0.5774, abs=0.0101)


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5)], ids=str)
def test_orthogonal_whichever_way(shape):
    weight = np.asarray(orthogonal(2.0)(KEY, shape, jnp.float32), np.float64)
    assert weight.shape == shape
    gram = weight.T @ weight if shape[0] >= shape[1] else weight @ weight.T
    np.testing.assert_allclose(gram, 4 * np.eye(min(shape)), atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64], ids=["float32", "float64"])
@pytest.mark.usefixtures("float64")
def test_the_dtype_is_the_one_asked_for(dtype):
    network = mlp(SIZES, initializer=orthogonal(), key=KEY, dtype=dtype)
    assert network.dtype == dtype
    assert {leaf.dtype for leaf in jax.tree.leaves(network)} == {jnp.dtype(dtype)}
    assert network.trace(jnp.ones((2, 5), dtype)).output.dtype == dtype
