"""Gauss-Newton targets and their solvers against dense algebra with explicit Jacobians, in double
precision.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.feedback.gauss_newton import (
    CurvatureRoot,
    PerLayerSolver,
    PseudoInverse,
    Tikhonov,
    gauss_newton_update,
    output_jacobians,
)
from targetprop.feedback.noise import NoiseDraw
from targetprop.feedback.regularizers import OutputNoise
from targetprop.losses import SoftmaxCrossEntropy, SquaredError
from targetprop.networks.activations import Identity, Tanh
from targetprop.networks.layers import Dense, evaluate, parameters
from targetprop.networks.network import Network, mlp
from targetprop.rules import GaussNewtonTargets, GeneralizedGaussNewtonTargets
from targetprop.rules.by_numbers import minibatch_step
from targetprop.rules.contract import Example, Minibatch
from targetprop.rules.presets import ddtp_ggn

pytestmark = pytest.mark.usefixtures("float64")

LABELS = jnp.array([2, 0, 1, 1], jnp.int32)


def tail(network: Network, start: int, h):
    """The output as a function of one sample's activity of layer `start`."""
    h = h[None]
    for layer in network.layers[start:]:
        h = evaluate(layer, h).h
    return h[0]


def dense_jacobians(network: Network, x):
    """`dh_L / dh_i` of every sample, by forward differentiation, flattened to matrices."""
    trace = network.trace(x)
    return [
        np.asarray(jax.vmap(jax.jacfwd(lambda h, i=i: tail(network, i, h)))(trace.h[i])).reshape(
            len(x), trace.output[0].size, -1
        )
        for i in range(1, network.depth)
    ]


def dense_network() -> tuple[Network, jax.Array]:
    """Widths that grow and shrink; the second hidden layer is narrower than the output."""
    network = mlp((5, 9, 3, 7, 4), key=jax.random.key(0), dtype=jnp.float64)
    return network, jax.random.normal(jax.random.key(1), (4, 5), jnp.float64)


class Convolution(eqx.Module):
    conv: eqx.nn.Conv2d

    def __call__(self, x):
        return jnp.tanh(jax.vmap(self.conv)(x))


def image_network() -> tuple[Network, jax.Array]:
    """A strided convolution, a layer without parameters, and dense layers."""
    key = jax.random.key(0)
    conv = Convolution(eqx.nn.Conv2d(1, 2, 3, stride=2, dtype=jnp.float64, key=key))
    dense = (
        Dense.create((8, 6), Tanh(), key=key, dtype=jnp.float64),
        Dense.create((6, 4), Identity(), key=key, dtype=jnp.float64),
    )
    network = Network([conv, lambda x: x.reshape(x.shape[0], -1), *dense], (1, 5, 5))
    return network, jax.random.normal(jax.random.key(1), (4, 1, 5, 5), jnp.float64)


NETWORKS = pytest.mark.parametrize("setting", [dense_network, image_network])


def assert_close(got, expected, tolerance=1e-8):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    assert np.linalg.norm(got - expected) <= tolerance * np.linalg.norm(expected)


@NETWORKS
def test_jacobians_are_those_of_forward_differentiation(setting):
    network, x = setting()
    for got, expected in zip(output_jacobians(network.trace(x)), dense_jacobians(network, x), strict=True):
        assert_close(got, expected, 1e-12)


@NETWORKS
@pytest.mark.parametrize("damping", [0.0, 1e-3, 2.0])
def test_targets_are_the_dense_ones(setting, damping):
    network, x = setting()
    trace, dh = network.trace(x), jax.random.normal(jax.random.key(2), (4, 4), jnp.float64)
    rule = GaussNewtonTargets(Tikhonov(damping) if damping else PseudoInverse())
    updates = rule.target_updates(network, None, Minibatch(trace, dh))
    for update, jacobians in zip(updates, dense_jacobians(network, x), strict=False):
        for b, jacobian in enumerate(jacobians):
            inverse = (
                jacobian.T @ np.linalg.inv(jacobian @ jacobian.T + damping * np.eye(4))
                if damping
                else np.linalg.pinv(jacobian)
            )
            assert_close(update[b].ravel(), inverse @ dh[b])


def matrix(kind: str) -> np.ndarray:
    """Matrices on which an inverse of the normal equations fails."""
    rng = np.random.default_rng(3)
    m, n = (40, 6) if kind == "tall" else (6, 40)
    u, _, v = np.linalg.svd(rng.normal(size=(m, n)), full_matrices=False)
    singular = {
        "full": np.linspace(1, 3, 6),
        "tall": np.linspace(1, 3, 6),
        "ill-conditioned": np.logspace(0, -6, 6),
        "deficient": np.array([3, 1, 0.5, 0, 0, 0]),
        "deficient and ill-conditioned": np.array([3, 1e-2, 1e-4, 1e-6, 0, 0]),
        "zero": np.zeros(6),
    }[kind]
    return (u * singular) @ v


KINDS = ["full", "tall", "ill-conditioned", "deficient", "deficient and ill-conditioned", "zero"]


@pytest.mark.parametrize("kind", KINDS)
def test_pseudo_inverse_is_exact_whatever_the_rank(kind):
    jacobian = matrix(kind)
    v = np.random.default_rng(4).normal(size=len(jacobian))
    expected = np.linalg.pinv(jacobian, rcond=1e-12) @ v
    got = PseudoInverse()(jnp.asarray(jacobian)[None], jnp.asarray(v)[None], 1)[0]
    assert_close(got, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_damped_solution_is_the_regularized_least_squares_one(kind):
    """`argmin ||J d - v||^2 + damping ||d||^2`, solved as an ordinary least-squares problem of a
    stacked matrix.
    """
    jacobian, damping = matrix(kind), 1e-2
    v = np.random.default_rng(4).normal(size=len(jacobian))
    columns = jacobian.shape[1]
    stacked = np.vstack([jacobian, np.sqrt(damping) * np.eye(columns)])
    expected = np.linalg.lstsq(stacked, np.concatenate([v, np.zeros(columns)]), rcond=None)[0]
    got = Tikhonov(damping)(jnp.asarray(jacobian)[None], jnp.asarray(v)[None], 1)[0]
    assert_close(got, expected)
    assert np.linalg.norm(got) <= np.linalg.norm(v) / (2 * np.sqrt(damping)) * (1 + 1e-12)


def test_every_layer_may_have_its_own_solver():
    network, x = dense_network()
    trace, dh = network.trace(x), jnp.ones((4, 4))
    solvers = (Tikhonov(1.0), PseudoInverse(), Tikhonov(1e-4))
    mixed = GaussNewtonTargets(PerLayerSolver(solvers)).target_updates(network, None, Minibatch(trace, dh))
    for i, solver in enumerate(solvers):
        alone = GaussNewtonTargets(solver).target_updates(network, None, Minibatch(trace, dh))
        np.testing.assert_array_equal(mixed[i], alone[i])
    with pytest.raises(ValueError, match="2 solvers but none for layer 3"):
        GaussNewtonTargets(PerLayerSolver(solvers[:2])).target_updates(network, None, Minibatch(trace, dh))


@pytest.mark.parametrize(
    "rule", [GaussNewtonTargets(), GaussNewtonTargets(PseudoInverse()), GeneralizedGaussNewtonTargets()]
)
def test_no_matrix_is_square_in_a_hidden_layer(rule):
    network, x = mlp((5, 41, 37, 3), key=jax.random.key(0)), jnp.ones((2, 5))
    program = str(
        jax.make_jaxpr(lambda x: rule.target_updates(network, None, Minibatch(network.trace(x), jnp.ones((2, 3)))))(x)
    )
    assert "41,37" in program or "37,41" in program
    assert "41,41" not in program
    assert "37,37" not in program


# --- other losses ---------------------------------------------------------------------------------------------------


def hessians(loss, h, target):
    """`d^2 l / dh_L^2` of every sample, by automatic differentiation."""
    return np.asarray(jax.vmap(jax.hessian(lambda h, t: loss.value(h[None], t[None])[0]))(h, target))


@NETWORKS
def test_generalized_targets_are_those_of_equation_187(setting):
    network, x = setting()
    loss, damping = SoftmaxCrossEntropy(), 1e-2
    trace = network.trace(x)
    error = loss.error(trace.output, LABELS)
    updates = GeneralizedGaussNewtonTargets(damping).target_updates(
        network, None, Minibatch(trace, -0.3 * error, loss, LABELS)
    )
    for update, jacobians in zip(updates, dense_jacobians(network, x), strict=False):
        for b, hessian in enumerate(hessians(loss, trace.output, LABELS)):
            curvature = jacobians[b].T @ hessian @ jacobians[b] + damping * np.eye(jacobians[b].shape[1])
            assert_close(update[b].ravel(), np.linalg.solve(curvature, jacobians[b].T @ (-0.3 * error[b])))


@pytest.mark.parametrize("loss", [None, SquaredError()])
def test_generalized_targets_of_the_squared_error_are_gauss_newton_targets(loss):
    network, x = dense_network()
    trace, dh = network.trace(x), jax.random.normal(jax.random.key(2), (4, 4), jnp.float64)
    generalized = GeneralizedGaussNewtonTargets(0.1).target_updates(network, None, Minibatch(trace, dh, loss, LABELS))
    plain = GaussNewtonTargets(Tikhonov(0.1)).target_updates(network, None, Minibatch(trace, dh))
    for one, other in zip(generalized, plain, strict=True):
        assert_close(one, other, 1e-11)


def test_curvature_root_is_a_root_and_has_an_inverse():
    network, x = dense_network()
    loss, damping = SoftmaxCrossEntropy(), 1e-3
    trace = network.trace(x)
    root = CurvatureRoot.of(Minibatch(trace, 0 * trace.output, loss, LABELS).curvature, trace.output, damping)
    matrices = jnp.stack([root(jnp.broadcast_to(unit, (4, 4))) for unit in jnp.eye(4)], axis=-1)
    for matrix, hessian in zip(matrices, hessians(loss, trace.output, LABELS), strict=True):
        np.testing.assert_allclose(matrix @ matrix.T, hessian + damping * np.eye(4), atol=1e-12)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    v = jax.random.normal(jax.random.key(2), (2, 4, 4), jnp.float64)
    np.testing.assert_allclose(root.solve(root(v)), v, atol=1e-11)


@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_curved_reconstruction_is_the_loss_of_equation_192(strength):
    network, x = dense_network()
    loss, sigma, damping = SoftmaxCrossEntropy(), 0.1, 1e-2
    rule = ddtp_ggn(sigma=sigma, regularizer=OutputNoise(strength), curvature_damping=damping)
    feedback = rule.init(network, key=jax.random.key(3))
    trace = network.trace(x)
    noise = rule.draw(trace, jax.random.key(4))
    learned = rule.feedback_step(network, feedback, Minibatch(trace, 0 * trace.output, loss, LABELS, noise=noise))
    values, vectors = np.linalg.eigh(hessians(loss, trace.output, LABELS) + damping * np.eye(4))
    roots = jnp.asarray(np.einsum("bij,bj,bkj->bik", vectors, np.sqrt(values), vectors))

    def equation_192(g, i):
        clean, noisy = trace.h[i], trace.h[i] + noise.layers[i - 1]
        moved = jax.vmap(lambda h: tail(network, i, h))(noisy)
        curved, reference = (jnp.einsum("bij,bj->bi", roots, h) for h in (moved, trace.output))
        rebuilt = g.at(curved).h - g.at(reference).h + clean
        probed = g.at(trace.output + noise.probe).h - g.at(trace.output).h
        return (jnp.sum((rebuilt - noisy) ** 2) + strength * jnp.sum(probed**2)) / (sigma**2 * len(x))

    for i, g in enumerate(feedback, start=1):
        value, gradient = jax.value_and_grad(lambda g, i=i: equation_192(g, i))(g)
        np.testing.assert_allclose(learned.losses[i - 1], value, rtol=1e-9)
        assert_close(learned.gradients[i - 1].dense.weight, gradient.dense.weight)


# --- the parameters -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [2, 40])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("damping", [0.0, 0.1])
def test_parameter_step_is_the_dense_block_diagonal_one(samples, damping, bias):
    """With 2 samples a layer has more parameters than the batch has outputs, with 40 fewer."""
    network = mlp((3, 5, 4, 2), bias=bias, key=jax.random.key(0), dtype=jnp.float64)
    x = jax.random.normal(jax.random.key(1), (samples, 3), jnp.float64)
    error = jax.random.normal(jax.random.key(2), (samples, 2), jnp.float64)
    solver = Tikhonov(damping) if damping else PseudoInverse()
    got = gauss_newton_update(network, x, error, solver)
    assert jax.tree.structure(got) == jax.tree.structure(parameters(network))
    for i, layer in enumerate(network.layers):

        def output(layer, i=i):
            return eqx.tree_at(lambda n: n.layers[i], network, layer)(x)

        blocks = jax.tree.leaves(jax.jacfwd(output)(layer))
        jacobian = np.concatenate([np.asarray(block).reshape(2 * samples, -1) for block in blocks], axis=1)
        if damping:
            curvature = jacobian.T @ jacobian + damping * np.eye(jacobian.shape[1])
            expected = -np.linalg.solve(curvature, jacobian.T @ np.ravel(error))
        else:
            expected = -np.linalg.pinv(jacobian) @ np.ravel(error)
        assert_close(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(got.layers[i])]), expected)


def test_damped_parameter_step_of_dense_layers_holds_no_jacobian_of_parameters(operations):
    network, x, error = mlp((30, 40, 40, 3), key=jax.random.key(0)), jnp.ones((8, 30)), jnp.ones((8, 3))

    def largest(solver):
        found = operations(lambda x, error: gauss_newton_update(network, x, error, solver), x, error)
        return max(v.aval.size for operation in found for v in operation.outvars)

    jacobian = error.size * (40 * 40 + 40)
    assert largest(Tikhonov(0.1)) < jacobian / 4
    assert largest(PseudoInverse()) >= jacobian


def test_noise_may_be_written_out():
    """A draw is plain data: the displacement of each hidden layer."""
    network, x = dense_network()
    rule = ddtp_ggn()
    feedback, trace = rule.init(network, key=jax.random.key(3)), network.trace(x)
    drawn = rule.draw(trace, jax.random.key(4))
    copy = NoiseDraw([np.array(noise) for noise in drawn.layers])
    loss, labels = SoftmaxCrossEntropy(), jnp.zeros(len(x), int)
    one, other = (minibatch_step(rule, network, feedback, Example(loss, x, labels, noise=noise)) for noise in (drawn, copy))
    np.testing.assert_array_equal(one.feedback.losses, other.feedback.losses)
