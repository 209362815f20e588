"""The 2020 framework paper on Gauss-Newton targets: Theorems 2, 4, 5 and 6, Corollary S6.2,
Propositions S7 and S9 and equation (196), each against dense algebra.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.feedback.gauss_newton import PseudoInverse, gauss_newton_update
from targetprop.feedback.noise import NoiseDraw
from targetprop.feedback.regularizers import OutputNoise
from targetprop.losses import SoftmaxCrossEntropy, SquaredError
from targetprop.networks.activations import Identity, Tanh
from targetprop.networks.layers import Dense, Layer, Point, evaluate
from targetprop.networks.network import Network, mlp
from targetprop.rules import Backprop, GaussNewtonTargets, GeneralizedGaussNewtonTargets
from targetprop.rules.by_numbers import minibatch_step
from targetprop.rules.contract import Example, Minibatch
from targetprop.rules.presets import ddtp_ggn, ddtp_linear, tp
from targetprop.rules.updates import local_gradients

pytestmark = pytest.mark.usefixtures("float64")

KEY = jax.random.key(0)
GNT = GaussNewtonTargets(PseudoInverse())


def linear_network(*sizes: int, seed: int = 0) -> Network:
    return mlp(sizes, Identity(), bias=False, key=jax.random.key(seed))


def product(network: Network, start: int) -> np.ndarray:
    """`dh_L / dh_start` of a linear network."""
    matrix = np.eye(network.shapes[-1][0])
    for layer in reversed(network.layers[start:]):
        matrix = matrix @ np.asarray(layer.weight)
    return matrix


def tail(network: Network, start: int, h):
    """The output as a function of one sample's activity of layer `start`."""
    h = h[None]
    for layer in network.layers[start:]:
        h = evaluate(layer, h).h
    return h[0]


def weight_updates(rule, network, loss, x, y) -> list[np.ndarray]:
    """What gradient descent of rate 1 on the local losses adds to the weights."""
    gradients = minibatch_step(rule, network, None, Example(loss, x, y)).gradients
    return [-np.asarray(layer.weight) for layer in gradients.layers]


# --- Theorem 2: invertible networks ---------------------------------------------------------------------------------


class Sinh(eqx.Module):
    """`sinh(W x)`: smooth, increasing, from all reals onto all reals."""

    weight: jax.Array

    def __call__(self, x):
        return jnp.sinh(x @ self.weight.T)


class Inverse(Layer):
    """The exact inverse of a `Sinh` layer, as a feedback mapping."""

    forward: Sinh

    def at(self, x):
        h = jnp.linalg.solve(self.forward.weight, jnp.arcsinh(x).T).T
        return Point(x, h, h)

    def difference(self, point, dx):
        return self.at(point.x + dx).h - point.h


def test_theorem_2_targets_of_an_invertible_network_are_a_gauss_newton_step():
    """Batch 1, squared error: `dh_i = -stepsize J_i^{-1} e_L + O(stepsize^2)`, block by block."""
    keys = jax.random.split(KEY, 3)
    network = Network([Sinh(jnp.eye(4) + 0.3 * jax.random.normal(key, (4, 4))) for key in keys], 4)
    feedback = tuple(Inverse(layer) for layer in network.layers[1:])
    x, y = 0.5 * jax.random.normal(jax.random.key(1), (1, 4)), jnp.ones((1, 4))
    h = network.trace(x).h
    errors = []
    for stepsize in (1e-2, 1e-3):
        step = minibatch_step(tp(), network, feedback, Example(SquaredError(), x, y, stepsize))
        for i in (1, 2):
            jacobian = np.asarray(jax.jacfwd(lambda a, i=i: tail(network, i, a))(h[i][0]))
            gauss_newton = -np.linalg.solve(jacobian.T @ jacobian, jacobian.T @ (h[-1][0] - y[0]))
            errors.append(np.linalg.norm(step.updates[i - 1][0] / stepsize - gauss_newton) / np.linalg.norm(gauss_newton))
    for large, small in zip(errors[:2], errors[2:], strict=True):
        assert large < 0.3
        assert 5 < large / small < 20  # of first order in the stepsize after division by it


# --- Theorem 4 and equation 196: what the reconstruction losses teach -------------------------------------------------


def unit_noise(width: int, outputs: int, sigma: float, layers: int) -> NoiseDraw:
    """`width` samples of noise whose second moments are exactly those of white noise, in every
    layer and at the output.
    """
    copies = width // outputs
    layer = sigma * np.sqrt(width) * jnp.eye(width)
    probe = sigma * np.sqrt(outputs) * jnp.tile(jnp.eye(outputs), (copies, 1))
    return NoiseDraw([layer] * layers, probe)


def test_theorem_4_damped_pseudo_inverse_minimises_the_loss_of_a_nonlinear_network_as_sigma_vanishes():
    """One sample, so that a linear mapping can have the optimal Jacobian; the gradient there is of
    order sigma.
    """
    damping = 0.1
    network = mlp((5, 6, 6, 3), (Tanh(), Tanh()), key=KEY)
    x = jnp.tile(jax.random.normal(jax.random.key(1), (1, 5)), (6, 1))
    trace = network.trace(x)
    jacobians = [np.asarray(jax.jacfwd(lambda a, i=i: tail(network, i, a))(trace.h[i][0])) for i in (1, 2)]
    optimal = [jnp.asarray(j.T @ np.linalg.inv(j @ j.T + damping * np.eye(3))) for j in jacobians]
    feedback = ddtp_linear().init(network, key=KEY)
    feedback = eqx.tree_at(lambda maps: [g.dense.weight for g in maps], feedback, optimal)

    def gradients(feedback, sigma):
        rule = ddtp_linear(sigma=sigma, regularizer=OutputNoise(damping))
        return rule.feedback_step(network, feedback, Minibatch(trace, 0 * trace.output, noise=unit_noise(6, 3, sigma, 2)))

    for i, (jacobian, best) in enumerate(zip(jacobians, map(np.asarray, optimal), strict=True)):
        norms = []
        for sigma in (1e-2, 1e-3, 1e-4):
            step = gradients(feedback, sigma)
            norms.append(np.linalg.norm(step.gradients[i].dense.weight))
        assert norms[0] < 0.5
        assert 8 < norms[0] / norms[1] < 12
        assert 8 < norms[1] / norms[2] < 12
        limit = np.linalg.norm(best @ jacobian - np.eye(6)) ** 2 + damping * np.linalg.norm(best) ** 2  # equation 10
        np.testing.assert_allclose(step.losses[i], limit, rtol=1e-3)
    elsewhere = eqx.tree_at(lambda maps: [g.dense.weight for g in maps], feedback, [1.1 * best for best in optimal])
    assert all(np.linalg.norm(g.dense.weight) > 0.1 for g in gradients(elsewhere, 1e-4).gradients)


@pytest.mark.parametrize("curvature_damping", [1e-2, 1e-6])
def test_equation_196_curved_reconstruction_teaches_generalized_gauss_newton_targets(curvature_damping):
    """At the minimum (194) of the loss (192), the targets are those of equation 187 for the damped
    Hessian.
    """
    damping, stepsize = 0.1, 0.3
    network, loss = linear_network(5, 6, 6, 3), SoftmaxCrossEntropy()
    x = jnp.tile(jax.random.normal(jax.random.key(1), (1, 5)), (6, 1))
    y = jnp.full(6, 1, jnp.int32)
    trace = network.trace(x)
    hessian = np.array(jax.hessian(lambda h: loss.value(h[None], y[:1])[0])(trace.output[0]))
    hessian += curvature_damping * np.eye(3)
    values, vectors = np.linalg.eigh(hessian)
    root = (vectors * np.sqrt(values)) @ vectors.T
    rule = ddtp_ggn(sigma=0.1, regularizer=OutputNoise(damping), curvature_damping=curvature_damping)
    jacobians = [product(network, i) for i in (1, 2)]
    metrics = [np.linalg.inv(j.T @ hessian @ j + damping * np.eye(6)) for j in jacobians]
    optimal = [jnp.asarray(metric @ j.T @ root) for metric, j in zip(metrics, jacobians, strict=True)]
    feedback = eqx.tree_at(lambda maps: [g.dense.weight for g in maps], rule.init(network, key=KEY), optimal)
    learned = rule.feedback_step(
        network, feedback, Minibatch(trace, 0 * trace.output, loss, y, noise=unit_noise(6, 3, 0.1, 2))
    )
    for gradient, best in zip(learned.gradients, optimal, strict=True):
        assert np.linalg.norm(gradient.dense.weight) < 1e-10 * np.linalg.norm(best)
    error = loss.error(trace.output, y)
    updates = rule.target_updates(network, feedback, Minibatch(trace, -stepsize * error, loss, y))
    for update, metric, jacobian in zip(updates, metrics, jacobians, strict=False):
        np.testing.assert_allclose(update[0], -stepsize * metric @ jacobian.T @ error[0], rtol=1e-9)
    # The damping of the Hessian moves them by a share of at most curvature_damping ||J||^2 /
    # damping from equation 187.
    exact = GeneralizedGaussNewtonTargets(damping).target_updates(
        network, None, Minibatch(trace, -stepsize * error, loss, y)
    )
    for update, other, jacobian in zip(updates, exact, jacobians, strict=False):
        share = curvature_damping * np.linalg.norm(jacobian, 2) ** 2 / damping
        assert np.linalg.norm(update - other) <= (share + 1e-9) * np.linalg.norm(other)


# --- Theorem 5 and its relatives: updates of least norm ---------------------------------------------------------------


def test_theorem_5_updates_have_the_least_norm_that_moves_the_output_down_its_gradient():
    """Each layer by itself: the KKT system of `min ||dW_i||^2` under `J_i dW_i h_{i-1} = -c_i
    e_L`, solved densely.
    """
    network, loss = linear_network(7, 6, 5, 3), SquaredError()
    x, y = jax.random.normal(jax.random.key(1), (1, 7)), jnp.ones((1, 3))
    h = network.trace(x).h
    error = np.asarray(h[-1] - y)[0]
    updates = weight_updates(GNT, network, loss, x, y)
    for i, update in enumerate(updates, start=1):
        below = np.asarray(h[i - 1])[0]
        constraint = np.einsum("ok,j->okj", product(network, i), below).reshape(3, -1)
        kkt = np.block([[2 * np.eye(update.size), constraint.T], [constraint, np.zeros((3, 3))]])
        solved = np.linalg.solve(kkt, np.concatenate([np.zeros(update.size), -(below @ below) * error]))
        np.testing.assert_allclose(update.ravel(), solved[: update.size], rtol=1e-9, atol=1e-13)
    tangents = [jnp.asarray(update) for update in updates]
    _, moved = jax.jvp(
        lambda weights: eqx.tree_at(lambda n: [layer.weight for layer in n.layers], network, weights)(x),
        ([layer.weight for layer in network.layers],),
        (tangents,),
    )
    c = sum(float(jnp.sum(below**2)) for below in h[:-1])
    np.testing.assert_allclose(moved[0], -c * error, rtol=1e-10)


def test_corollary_s6_2_updates_are_positive_multiples_of_gauss_newton_steps():
    network, loss = linear_network(7, 6, 5, 3), SquaredError()
    x, y = jax.random.normal(jax.random.key(1), (1, 7)), jnp.ones((1, 3))
    trace = network.trace(x)
    steps = gauss_newton_update(network, x, loss.error(trace.output, y), PseudoInverse())
    for update, step, below in zip(weight_updates(GNT, network, loss, x, y), steps.layers, trace.h[:-1], strict=True):
        np.testing.assert_allclose(update, np.sum(np.asarray(below) ** 2) * np.asarray(step.weight), rtol=1e-9, atol=1e-13)


def test_proposition_s7_gradient_descent_has_the_least_norm_that_lowers_the_loss():
    network, loss = mlp((4, 5, 4, 3), key=KEY), SquaredError()
    x, y = jax.random.normal(jax.random.key(1), (6, 4)), jax.random.normal(jax.random.key(2), (6, 3))
    gradients = minibatch_step(Backprop(), network, None, Example(loss, x, y)).gradients
    slope = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(gradients)])
    c = 1e-3
    kkt = np.block([[2 * np.eye(slope.size), slope[:, None]], [slope[None], np.zeros((1, 1))]])
    least = np.linalg.solve(kkt, np.append(np.zeros(slope.size), -c))[:-1]
    np.testing.assert_allclose(least, -c / (slope @ slope) * slope, rtol=1e-9, atol=1e-14)
    before = jnp.mean(loss.value(network(x), y))
    errors = []
    for c in (1e-2, 1e-3):
        moved = eqx.apply_updates(network, jax.tree.map(lambda g, c=c: -c / (slope @ slope) * g, gradients))
        errors.append(abs(float(before - jnp.mean(loss.value(moved(x), y))) / c - 1))
    assert errors[1] < 0.2 * errors[0]
    assert errors[1] < 1e-2


# --- Theorem 6: convergence -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(4, 6, 5, 3), (3, 2, 7, 4), (5, 4, 1, 6, 3)])
def test_theorem_6_updates_lie_within_90_degrees_of_the_descent(sizes):
    """Also with widths that grow and with a bottleneck that makes every Jacobian
    rank-deficient.
    """
    loss = SquaredError()
    for seed in range(5):
        network = linear_network(*sizes, seed=seed)
        x = jax.random.normal(jax.random.key(10 + seed), (8, sizes[0]))
        y = jax.random.normal(jax.random.key(20 + seed), (8, sizes[-1]))
        for ours, descent in zip(
            weight_updates(GNT, network, loss, x, y), weight_updates(Backprop(), network, loss, x, y), strict=True
        ):
            assert np.sum(ours * descent) > 0


def test_theorem_6_a_linear_network_converges_to_the_global_minimum():
    network, loss = linear_network(3, 5, 4, 2), SquaredError()
    x, y = jax.random.normal(jax.random.key(1), (20, 3)), jax.random.normal(jax.random.key(2), (20, 2))
    best, *_ = np.linalg.lstsq(np.asarray(x), np.asarray(y), rcond=None)
    minimum = np.mean(np.sum((x @ best - y) ** 2, axis=1)) / 2

    def descend(_, network):
        trace = network.trace(x)
        updates = GNT.target_updates(network, None, Minibatch(trace, -loss.error(trace.output, y)))
        gradients = local_gradients(network, trace, updates)
        return eqx.apply_updates(network, jax.tree.map(lambda g: -0.02 * g, gradients))

    start = float(jnp.mean(loss.value(network(x), y)))
    weights, rest = eqx.partition(network, eqx.is_array)
    run = jax.jit(
        lambda weights: jax.lax.fori_loop(
            0, 4000, lambda i, weights: eqx.filter(descend(i, eqx.combine(weights, rest)), eqx.is_array), weights
        )
    )
    end = float(jnp.mean(loss.value(eqx.combine(run(weights), rest)(x), y)))
    assert start > 1.2 * minimum
    np.testing.assert_allclose(end, minimum, rtol=1e-6)


# --- Proposition S9: no energy function -----------------------------------------------------------------------------


def derivatives_of_the_updates(rule, w1: float, w2: float, h0: float, target: float) -> tuple[float, float]:
    """`d(dw_2)/dw_1` and `d(dw_1)/dw_2` of a linear 1-1-1 network, by central differences."""

    def updates(w1, w2):
        layers = [Dense(jnp.array([[w]]), None, Identity()) for w in (w1, w2)]
        first, second = weight_updates(rule, Network(layers, 1), SquaredError(), jnp.array([[h0]]), jnp.array([[target]]))
        return float(first[0, 0]), float(second[0, 0])

    d = 1e-5
    by_w1 = (updates(w1 + d, w2)[1] - updates(w1 - d, w2)[1]) / (2 * d)
    by_w2 = (updates(w1, w2 + d)[0] - updates(w1, w2 - d)[0]) / (2 * d)
    return by_w1, by_w2


def test_proposition_s9_the_updates_are_no_gradient_field():
    w1, w2, h0, target = 0.7, 1.3, 0.9, 0.2
    h1, error = w1 * h0, w2 * w1 * h0 - target
    by_w1, by_w2 = derivatives_of_the_updates(GNT, w1, w2, h0, target)
    np.testing.assert_allclose(by_w1, -(w2 * h0 * h1 + error * h0), rtol=1e-6)  # equation 134
    np.testing.assert_allclose(by_w2, -(-error * h0 / w2**2 + h1 * h0 / w2), rtol=1e-6)  # equation 136
    assert abs(by_w1 - by_w2) > 0.1
    one, other = derivatives_of_the_updates(Backprop(), w1, w2, h0, target)
    np.testing.assert_allclose(one, other, rtol=1e-6)
