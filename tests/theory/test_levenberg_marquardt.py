"""Levenberg-Marquardt targets as the pseudo-inverse of an adjusted Jacobian: Meulemans 2019,
section 4.2, equations (4.67) to (4.77), and what stands wrongly there.

For a square `J = U S V^T` the adjusted Jacobian is `J* = U sqrt(S^2 + lambda) V^T`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.feedback.gauss_newton import Tikhonov, output_jacobians
from targetprop.networks.network import mlp
from targetprop.rules import GaussNewtonTargets
from targetprop.rules.contract import Minibatch

N, DAMPING = 4, 0.04


@pytest.fixture(scope="module")
def case():
    """A Jacobian of a network, an output update `-stepsize e`, and its damped Gauss-Newton
    target."""
    with jax.enable_x64(True):
        network = mlp((3, N, N, N), key=jax.random.key(0))
        trace = network.trace(jax.random.normal(jax.random.key(1), (1, 3)))
        dh = jax.random.normal(jax.random.key(2), (1, N))
        rule = GaussNewtonTargets(Tikhonov(DAMPING))
        found = rule.target_updates(network, None, Minibatch(trace, dh))
        return np.asarray(output_jacobians(trace)[0][0]), np.asarray(dh[0]), np.asarray(found[0][0])


def grown(s: np.ndarray, damping: float) -> np.ndarray:
    return np.diag(np.sqrt(s**2 + damping))


def test_equation_4_71_the_adjusted_jacobian_has_u_on_its_left(case):
    """With `V` in place of `U`, as printed, (4.70) still holds, but (4.75) has nothing in common
    with (4.72): without damping it is not the Gauss-Newton target.
    """
    j, dh, _ = case
    u, s, vt = np.linalg.svd(j)
    ours, printed = (left @ grown(s, DAMPING) @ vt for left in (u, vt.T))
    for adjusted in (ours, printed):
        np.testing.assert_allclose(adjusted.T @ adjusted, j.T @ j + DAMPING * np.eye(N), atol=1e-12)  # (4.70)
    ours, printed = (np.linalg.pinv(left @ grown(s, 1e-20) @ vt) @ dh for left in (u, vt.T))
    gauss_newton = np.linalg.solve(j, dh)
    np.testing.assert_allclose(ours, gauss_newton, rtol=1e-9)
    assert np.linalg.norm(printed - gauss_newton) > 0.5 * np.linalg.norm(gauss_newton)


def test_equation_4_76_is_the_levenberg_marquardt_step_and_an_error(case):
    """The matrix of the error is `V (..) U^T`, the transpose of what is printed. The step (4.72) is
    what `GaussNewtonTargets` computes.
    """
    j, dh, step = case
    u, s, vt = np.linalg.svd(j)
    damped = np.linalg.inv(j.T @ j + DAMPING * np.eye(N))
    np.testing.assert_allclose(damped @ j.T @ dh, step, rtol=1e-9)
    adjusted = np.linalg.pinv(u @ grown(s, DAMPING) @ vt) @ dh
    error = grown(s, DAMPING) - np.diag(s)
    np.testing.assert_allclose(adjusted, step + damped @ vt.T @ error @ u.T @ dh, rtol=1e-9)
    assert np.linalg.norm(adjusted - step - damped @ u @ error @ vt @ dh) > 0.1 * np.linalg.norm(adjusted - step)


@pytest.mark.parametrize("damping", [1e-4, 0.04, 0.5, 2.0])
def test_equation_4_77_the_bound_is_the_root_of_the_damping(case, damping):
    """`sqrt(s^2 + lambda) - s = lambda / (sqrt(s^2 + lambda) + s) <= sqrt(lambda)`, with equality
    for a singular `J`. The printed bound `lambda` holds if and only if `s >= (1 - lambda) / 2`.
    """
    u, s, vt = np.linalg.svd(case[0])
    edge = max(0.0, (1 - damping) / 2)
    for smallest in (0.0, 0.9 * edge, 1.1 * edge):
        values = np.append(s[:-1] + edge, smallest)
        norm = np.linalg.norm(vt.T @ (grown(values, damping) - np.diag(values)) @ u.T, 2)
        assert norm <= damping**0.5 + 1e-12
        assert (norm <= damping + 1e-12) == (smallest >= edge)
        if smallest == 0:
            assert norm == pytest.approx(damping**0.5)


def test_the_error_is_small_where_the_singular_value_is_large():
    """Along a singular vector the error is `sqrt(1 + lambda / s^2) - 1` of the step: below `lambda
    / (2 s^2)`, and above 1 where `s < sqrt(lambda / 3)`.
    """
    s = jnp.logspace(-3, 1, 40)
    step, adjusted = s / (s**2 + DAMPING), 1 / jnp.sqrt(s**2 + DAMPING)
    share = (adjusted - step) / step
    assert np.all(share <= DAMPING / (2 * s**2) + 1e-12)
    np.testing.assert_array_equal(share > 1, s < np.sqrt(DAMPING / 3))
