import jax
import numpy as np
import pytest

import targetprop as tp
from targetprop.diagnostics import null_space_shares
from targetprop.feedback.gauss_newton import PseudoInverse
from targetprop.rules import GaussNewtonTargets


@pytest.mark.parametrize("name", ["dense", "images"])
def test_share_is_that_of_the_projection_with_explicit_jacobians(request, oracle, name):
    problem = request.getfixturevalue(name)
    rule = tp.dfa()
    updates = problem.sample(rule, rule.init(problem.network, key=jax.random.key(3))).updates
    shares = null_space_shares(problem.network, problem.trace, updates)
    assert shares.shape == (2, 4)
    for layer in (1, 2):
        jacobians = oracle.layer_jacobians(problem.network, problem.x, layer)
        changes = oracle.single_updates(problem, updates, layer)
        for jacobian, change, share in zip(jacobians, changes, shares[layer - 1], strict=True):
            rest = change - np.linalg.pinv(jacobian) @ (jacobian @ change)
            expected = np.linalg.norm(rest) / np.linalg.norm(change)
            assert expected > 0.1
            assert float(share) == pytest.approx(expected, rel=1e-8)


def test_updates_of_gauss_newton_targets_have_no_part_there_in_a_linear_network(linear):
    """Theorem 5: minimum-norm updates lie in the row space."""
    updates = linear.sample(GaussNewtonTargets(PseudoInverse()), None).updates
    np.testing.assert_allclose(null_space_shares(linear.network, linear.trace, updates), 0, atol=1e-10)


def test_backpropagation_has_no_part_there(dense):
    """A gradient is a combination of the rows of the Jacobian."""
    updates = dense.sample(tp.Backprop(), None).updates
    np.testing.assert_allclose(null_space_shares(dense.network, dense.trace, updates), 0, atol=1e-10)
