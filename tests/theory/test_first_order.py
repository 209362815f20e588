"""First-order expansions of the target updates: Meulemans et al. 2020, Lemma 1, equation (7) and
Lemma 3.

Each expansion is computed from dense Jacobians; what it leaves over must fall as the square of the
stepsize.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.losses import SquaredError
from targetprop.networks.activations import Activation, Sigmoid, Softplus, Tanh
from targetprop.networks.layers import Dense, Layer, Point, evaluate
from targetprop.networks.network import Network, mlp
from targetprop.rules.contract import Minibatch, output_update
from targetprop.rules.presets import dtp, tp

SIZES = (8, 7, 6, 4, 3)
STEPSIZES = 2.0 ** -np.arange(8, 14)


class ExactInverse(Layer):
    """`f^{-1}(h) = W^{-1} (s^{-1}(h) - b)` of a dense layer with as many inputs as outputs."""

    inverse: jax.Array
    bias: jax.Array
    activation: Activation

    @classmethod
    def of(cls, layer: Dense) -> "ExactInverse":
        return cls(jnp.asarray(np.linalg.inv(layer.weight)), layer.bias, layer.activation)

    def at(self, x):
        h = (self.activation.inverse(x) - self.bias) @ self.inverse.T
        return Point(x, x, h)

    def difference(self, point, dx):
        return self.activation.inverse_difference(point.x, dx) @ self.inverse.T


def data(network: Network):
    """A batch of 3 samples and its targets."""
    numbers = np.random.default_rng(1)
    return [jnp.asarray(numbers.normal(size=(3, *shape))) for shape in (network.shapes[0], network.shapes[-1])]


def with_biases(network: Network) -> Network:
    numbers = np.random.default_rng(7)
    biases = [jnp.asarray(0.2 * numbers.normal(size=layer.bias.shape)) for layer in network.layers]
    return eqx.tree_at(lambda n: [layer.bias for layer in n.layers], network, biases)


@eqx.filter_jit
def updates_over_stepsizes(rule, network, feedback, x, y):
    """`dh_1 .. dh_L` with a leading axis of stepsizes, and `h_0 .. h_L` and `e_L`."""
    trace, loss = network.trace(x), SquaredError()

    def updates(stepsize):
        return rule.target_updates(network, feedback, Minibatch(trace, output_update(loss, trace.output, y, stepsize)))

    return jax.vmap(updates)(jnp.asarray(STEPSIZES)), trace.h, loss.error(trace.output, y)


@eqx.filter_jit
def jacobians(layer, x):
    """The Jacobian of each sample, `(batch, outputs, inputs)`."""
    return jax.vmap(jax.jacobian(lambda row: evaluate(layer, row[None]).h[0]))(x)


def order(updates: np.ndarray, expansion: np.ndarray) -> float:
    """The slope of `log ||updates - expansion||` over `log stepsize`."""
    left = np.linalg.norm((np.asarray(updates) - expansion).reshape(len(STEPSIZES), -1), axis=1)
    assert left.min() > 1e-12, "nothing but rounding is left: the case is linear and shows no order"
    return np.polyfit(np.log(STEPSIZES), np.log(left), 1)[0]


@pytest.mark.parametrize("rule", [tp(), dtp()], ids=lambda rule: rule.name)
@pytest.mark.parametrize("activation", [Tanh(), Sigmoid(), Softplus()], ids=lambda activation: type(activation).__name__)
def test_lemma_1_exact_inverses_propagate_through_inverse_jacobians(rule, activation):
    network = with_biases(mlp((4, 4, 4, 4), (activation, activation), key=jax.random.key(3)))
    feedback = tuple(ExactInverse.of(layer) for layer in network.layers[1:])
    x, y = data(network)
    y = network(x) + 0.2 * y  # targets near the outputs, so that no hidden target leaves the image of the activation
    updates, h, error = updates_over_stepsizes(rule, network, feedback, x, y)
    path = np.eye(4)
    for i in (2, 1):
        path = path @ np.asarray(jacobians(network.layers[i], h[i]))  # J of h_3 with respect to h_i
        direction = np.linalg.solve(path, np.asarray(error)[..., None])[..., 0]
        assert order(updates[i - 1], -STEPSIZES[:, None, None] * direction) == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("i", [1, 2, 3])
def test_equation_7_tp_keeps_the_reconstruction_error(i):
    """The reconstruction error of a layer is that of its own mapping, so each layer is taken as
    the last hidden one.
    """
    whole = with_biases(mlp(SIZES, key=jax.random.key(3)))
    g = tp().init(whole, key=jax.random.key(4))[i - 1]
    network = Network(whole.layers[: i + 1], whole.input_shape)
    x, y = data(network)
    feedback = (*tp().init(network, key=jax.random.key(5))[:-1], g)
    updates, h, _ = updates_over_stepsizes(tp(), network, feedback, x, y)
    jacobian = np.asarray(jacobians(g, h[i + 1]))
    carried = np.einsum("bij,sbj->sbi", jacobian, np.asarray(updates[i]))
    reconstruction_error = np.asarray(evaluate(g, h[i + 1]).h - h[i])
    assert order(updates[i - 1], carried + reconstruction_error) == pytest.approx(2, abs=0.05)
    # With the minus sign that is printed before J_g, the expansion would miss the first order.
    assert order(updates[i - 1], -carried + reconstruction_error) == pytest.approx(1, abs=0.05)


def test_lemma_3_dtp_propagates_through_the_jacobians_of_the_feedback():
    network = with_biases(mlp(SIZES, key=jax.random.key(3)))
    feedback = dtp().init(network, key=jax.random.key(4))
    x, y = data(network)
    updates, h, error = updates_over_stepsizes(dtp(), network, feedback, x, y)
    path = np.broadcast_to(np.eye(3), (3, 3, 3))
    for i in (3, 2, 1):
        path = np.asarray(jacobians(feedback[i - 1], h[i + 1])) @ path
        direction = np.einsum("bij,bj->bi", path, np.asarray(error))
        assert order(updates[i - 1], -STEPSIZES[:, None, None] * direction) == pytest.approx(2, abs=0.05)


def test_a_layer_is_on_target_when_the_layer_above_is():
    """`h_{i+1} = target` implies `h_i = target` for DTP, whatever the feedback; for TP the
    reconstruction error remains.
    """
    network = with_biases(mlp(SIZES, key=jax.random.key(3)))
    feedback = dtp().init(network, key=jax.random.key(4))
    trace = network.trace(data(network)[0])
    nothing = jnp.zeros_like(trace.output)
    for dh in dtp().target_updates(network, feedback, Minibatch(trace, nothing)):
        np.testing.assert_array_equal(dh, np.zeros_like(dh))
    below = tp().target_updates(network, feedback, Minibatch(trace, nothing))[2]
    np.testing.assert_allclose(below, feedback[2].at(trace.output).h - trace.h[3], rtol=1e-13)
