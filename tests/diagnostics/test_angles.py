import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.diagnostics import (
    AngleToBackprop,
    AngleToGaussNewton,
    AngleToGaussNewtonTargets,
    AngleToTargetPropagation,
    angle,
    backprop_gradients,
    best_dampings,
    damping_angles,
    gauss_newton_target_gradients,
    layer_angles,
    target_angles,
)
from targetprop.errors import ConfigError
from targetprop.feedback.gauss_newton import PseudoInverse, Tikhonov
from targetprop.rules import GaussNewtonTargets
from targetprop.rules.contract import Minibatch

DAMPINGS = (0.0, 1e-3, 1e-1, 10.0)


def degrees(u, v) -> float:
    """The angle by the arc cosine, good to about 1e-6 degrees away from 0 and 180."""
    return np.degrees(np.arccos(np.vdot(u, v) / np.linalg.norm(u) / np.linalg.norm(v)))


def flatten(layer) -> np.ndarray:
    return np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(layer)])


@pytest.mark.parametrize("expected", [0.0, 1e-9, 30.0, 90.0, 150.0, 180 - 1e-9, 180.0])
@pytest.mark.parametrize("scale", [1.0, 1e-200])
def test_angle_of_a_rotation(double, expected, scale):
    rng = np.random.default_rng(0)
    u, w = np.linalg.qr(rng.normal(size=(9, 2)))[0].T
    v = np.cos(np.radians(expected)) * u + np.sin(np.radians(expected)) * w
    # v itself is rounded: what remains is an angle of the order of the rounding unit
    assert float(angle(scale * jnp.asarray(u), 3 * jnp.asarray(v))) == pytest.approx(expected, abs=1e-13)


def test_there_is_no_angle_to_nothing():
    assert np.isnan(angle(jnp.zeros(3), jnp.ones(3)))


def test_backprop_gradients_are_the_stepsize_times_those_of_the_loss(dense):
    ours = backprop_gradients(dense.network, dense.trace, dense.output_update)
    loss = tp.SquaredError()
    true = jax.grad(lambda network: jnp.mean(loss.value(network(dense.x), dense.target)))(dense.network)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(true), strict=True):
        np.testing.assert_allclose(one, 0.1 * other, rtol=1e-10)


def dense_target_update(problem, oracle, layer, damping):
    """The parameter update of a hidden layer from (damped) Gauss-Newton targets with explicit
    Jacobians.
    """
    jacobians = oracle.activity_jacobians(problem, layer)
    targets = []
    for jacobian, v in zip(jacobians, np.asarray(problem.output_update), strict=True):
        gram = jacobian @ jacobian.T + damping * np.eye(len(v))
        targets.append(np.linalg.pinv(jacobian) @ v if damping == 0 else jacobian.T @ np.linalg.solve(gram, v))
    updates = [None] * (layer - 1) + [jnp.asarray(targets).reshape(problem.trace.h[layer].shape)]
    return oracle.single_updates(problem, updates, layer).mean(axis=0)


@pytest.mark.parametrize("name", ["dense", "images"])
def test_angles_to_damped_gauss_newton_targets(request, oracle, name):
    """The search over the damping, and the single references, against explicit Jacobians."""
    problem = request.getfixturevalue(name)
    rule = tp.dfa()
    sample = problem.sample(rule, rule.init(problem.network, key=jax.random.key(3)))
    found = damping_angles(problem.trace, sample.gradients, problem.output_update, DAMPINGS)
    assert found.shape == (4, 2)
    for damping, row in zip(DAMPINGS, found, strict=True):
        solver = Tikhonov(damping) if damping else PseudoInverse()
        reference = gauss_newton_target_gradients(problem.network, problem.trace, problem.output_update, solver)
        for layer in (1, 2):
            update = dense_target_update(problem, oracle, layer, damping)
            np.testing.assert_allclose(flatten(reference.layers[layer - 1]), -update, rtol=1e-8, atol=1e-12)
            expected = degrees(-flatten(sample.gradients.layers[layer - 1]), update)
            assert float(row[layer - 1]) == pytest.approx(expected, abs=1e-6)
        np.testing.assert_allclose(AngleToGaussNewtonTargets(solver)(sample)["angle_gnt"], row, atol=1e-6)
        np.testing.assert_allclose(layer_angles(sample.gradients, reference), row, atol=1e-6)


@pytest.mark.parametrize("damping", DAMPINGS)
def test_the_search_finds_the_damping_of_damped_targets(dense, damping):
    rule = GaussNewtonTargets(Tikhonov(damping) if damping else PseudoInverse())
    sample = dense.sample(rule, None)
    angles = damping_angles(dense.trace, sample.gradients, 3 * dense.output_update, DAMPINGS)
    assert best_dampings(angles, DAMPINGS) == (damping, damping)


def test_gauss_newton_step_of_the_parameters(dense, oracle):
    """Against the normal equations of the whole minibatch (Meulemans et al. 2020, equation
    117).
    """
    sample, damping = dense.sample(tp.Backprop(), None), 0.3
    found = AngleToGaussNewton(Tikhonov(damping))(sample)["angle_gn"]
    error = np.asarray(sample.error).ravel()
    for layer in (1, 2):
        jacobian = oracle.layer_jacobians(dense.network, dense.x, layer)
        jacobian = jacobian.reshape(len(error), -1)
        step = -np.linalg.solve(jacobian.T @ jacobian + damping * np.eye(jacobian.shape[1]), jacobian.T @ error)
        assert float(found[layer - 1]) == pytest.approx(
            degrees(-flatten(sample.gradients.layers[layer - 1]), step), abs=1e-6
        )


def test_gauss_newton_targets_are_gauss_newton_for_one_sample_of_a_linear_network(linear):
    """Corollary S6.2."""
    sample = linear.sample(GaussNewtonTargets(PseudoInverse()), None)
    np.testing.assert_allclose(AngleToGaussNewton(PseudoInverse())(sample)["angle_gn"], 0, atol=1e-6)


def test_angles_of_targets(dense):
    bp, gnt = (
        rule.target_updates(dense.network, None, Minibatch(dense.trace, dense.output_update))
        for rule in (tp.Backprop(), GaussNewtonTargets(PseudoInverse()))
    )
    found = target_angles(bp, gnt)
    assert found.shape == (2, 4)
    for layer, sample in [(0, 0), (1, 3)]:
        assert float(found[layer, sample]) == pytest.approx(degrees(bp[layer][sample], gnt[layer][sample]), abs=1e-6)


def test_angles_to_target_propagation(dense):
    """Multiplexing with linear mappings is DTP; in the last hidden layer it is with any. TP has
    its reconstruction errors besides.
    """
    for mapping, layers in ((tp.Identity(), slice(None)), (tp.Tanh(), slice(1, None))):
        rule = tp.multiplexing(feedback_activation=mapping)
        feedback = rule.init(dense.network, key=jax.random.key(3))
        angles = AngleToTargetPropagation()(dense.sample(rule, feedback))
        np.testing.assert_allclose(angles["angle_dtp"][layers], 0, atol=1e-5)
        assert np.all(np.asarray(angles["angle_tp"]) > 1)
    with pytest.raises(ConfigError, match="bp has no layer-wise mappings"):
        AngleToTargetPropagation()(dense.sample(tp.Backprop(), None))


def test_backpropagation_is_that_of_the_forward_pass(dense):
    """However far from it a network rests."""
    rule = tp.TwoPhase(0.3)
    sample = dense.sample(rule, rule.init(dense.network, key=jax.random.key(3)))
    assert np.linalg.norm(sample.batch.h[1] - dense.trace.h[1]) > 0.01
    angles = AngleToBackprop()(sample)["angle_bp"]

    def loss(network):
        return tp.SquaredError().value(network(dense.x), dense.target).mean()

    gradients = eqx.filter_grad(loss)(dense.network)
    for i, found in enumerate(angles):
        pair = (tree.layers[i] for tree in (sample.gradients, gradients))
        ours, theirs = (np.concatenate([layer.weight.ravel(), layer.bias]) for layer in pair)
        cosine = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
        np.testing.assert_allclose(found, np.degrees(np.arccos(cosine)), atol=1e-4)
