import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.diagnostics import (
    OutputDirection,
    feedback_jacobians,
    feedback_singular_values,
    forward_singular_values,
    output_change,
    output_direction,
)
from targetprop.feedback.gauss_newton import PseudoInverse
from targetprop.rules import GaussNewtonTargets
from targetprop.rules.contract import Minibatch


@pytest.mark.parametrize("name", ["dense", "images"])
def test_forward_singular_values(request, oracle, name):
    problem = request.getfixturevalue(name)
    found = forward_singular_values(problem.trace)
    for layer in (1, 2):
        expected = np.linalg.svd(oracle.activity_jacobians(problem, layer), compute_uv=False)
        np.testing.assert_allclose(found[layer - 1], expected, rtol=1e-10)


def test_feedback_jacobians_of_chained_mappings_are_products(dense):
    rule = tp.dtpdrl()
    feedback = rule.init(dense.network, key=jax.random.key(3))
    found = feedback_jacobians(rule, dense.network, feedback, Minibatch(dense.trace, dense.output_update))
    singular = feedback_singular_values(rule, dense.network, feedback, Minibatch(dense.trace, dense.output_update))
    for b in range(4):
        lower, upper = (
            np.asarray(jax.jacobian(lambda h, g=g: g.at(h[None]).h[0])(dense.trace.h[i][b]))
            for g, i in zip(feedback, (2, 3), strict=True)
        )
        for layer, expected in enumerate((lower @ upper, upper)):
            np.testing.assert_allclose(found[layer][b], expected, rtol=1e-9, atol=1e-13)
            np.testing.assert_allclose(singular[layer][b], np.linalg.svd(expected, compute_uv=False), rtol=1e-9)


def test_feedback_jacobians_of_direct_mappings_are_their_weights(images):
    rule = tp.ddtp_linear()
    feedback = rule.init(images.network, key=jax.random.key(3))
    for g, jacobian in zip(
        feedback,
        feedback_jacobians(rule, images.network, feedback, Minibatch(images.trace, images.output_update)),
        strict=True,
    ):
        np.testing.assert_allclose(jacobian, np.broadcast_to(g.dense.weight, jacobian.shape), rtol=1e-12)


def test_feedback_of_gauss_newton_targets_is_the_pseudo_inverse(dense, oracle):
    rule = GaussNewtonTargets(PseudoInverse())
    for layer, jacobian in enumerate(
        feedback_jacobians(rule, dense.network, None, Minibatch(dense.trace, dense.output_update)), start=1
    ):
        np.testing.assert_allclose(jacobian, np.linalg.pinv(oracle.activity_jacobians(dense, layer)), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("name", ["dense", "images"])
def test_output_change_is_the_difference_after_a_small_step(request, name):
    problem = request.getfixturevalue(name)
    sample = problem.sample(GaussNewtonTargets(PseudoInverse()), None)
    rate = 1e-5
    ahead, behind = (jax.tree.map(lambda w, g, r=r: w - r * g, problem.network, sample.gradients) for r in (rate, -rate))
    difference = (np.asarray(ahead(problem.x)) - np.asarray(behind(problem.x))) / (2 * rate)
    np.testing.assert_allclose(output_change(problem.network, problem.x, sample.gradients), difference, rtol=1e-6, atol=1e-8)
    direction = output_direction(problem.network, problem.x, sample.gradients)
    np.testing.assert_allclose(
        direction, difference / np.linalg.norm(difference, axis=1, keepdims=True), rtol=1e-5, atol=1e-7
    )


def test_gauss_newton_targets_push_a_linear_output_along_the_negative_error(linear):
    """Theorem 5: for one sample, the output moves straight to its target; under backpropagation it
    does not.
    """
    angles = {
        rule.name: float(OutputDirection()(linear.sample(rule, None))["angle_output"])
        for rule in (GaussNewtonTargets(PseudoInverse()), tp.Backprop())
    }
    assert angles["gnt"] == pytest.approx(0, abs=1e-6)
    assert angles["bp"] > 1
    assert jnp.isfinite(angles["bp"])
