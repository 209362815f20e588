"""Meulemans 2019, section 4.2: targets through exact inverses are block-diagonal Gauss-Newton
steps of the activities.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.feedback.gauss_newton import PseudoInverse, output_jacobians
from targetprop.networks.activations import Identity, LeakyReLU
from targetprop.networks.network import Network, mlp
from targetprop.rules import GaussNewtonTargets, TargetPropExact
from targetprop.rules.contract import Minibatch

KEY = jax.random.key(0)


def activities(network: Network, dh: list, x) -> jax.Array:
    """The output when every hidden activity is displaced on its own: the sum of what each
    displacement alone does to the layers above, `dh_i` entering after layer `i`.
    """
    h = x
    for layer, moved in zip(network.layers, [*dh, jnp.zeros(())], strict=True):
        h = layer.at(h).h + moved
    return h


@pytest.mark.parametrize("sizes", [(3, 6, 5, 2), (3, 4, 4, 4)], ids=["contracting", "square"])
def test_lemma_4_2_the_diagonal_blocks_give_pseudo_inverses(sizes):
    """The Gauss-Newton matrix of the activities of one sample, from its own Jacobian, with the
    blocks beside the diagonal set to zero.
    """
    network = mlp(sizes, LeakyReLU(0.35), key=KEY, dtype=jnp.float64)
    x, e = jax.random.normal(jax.random.key(1), (1, sizes[0])), jnp.arange(1.0, sizes[-1] + 1)[None]
    hidden = sizes[1:-1]
    jacobian = jax.jacobian(lambda dh: activities(network, dh, x)[0])([jnp.zeros(n) for n in hidden])
    full = np.concatenate(jacobian, axis=1)
    matrix, ends = full.T @ full, np.cumsum((0, *hidden))
    blocks = [slice(*pair) for pair in itertools.pairwise(ends)]
    diagonal = np.zeros_like(matrix)
    for block in blocks:
        diagonal[block, block] = matrix[block, block]
    step = -np.linalg.pinv(diagonal, rcond=1e-10) @ full.T @ e[0]
    found = GaussNewtonTargets(PseudoInverse()).target_updates(network, None, Minibatch(network.trace(x), -e))
    for block, dh in zip(blocks, found, strict=False):
        np.testing.assert_allclose(dh[0], step[block], rtol=1e-8, atol=1e-12)


def test_theorem_4_3_exact_inverses_give_these_steps_for_a_small_stepsize():
    """Away from a kink leaky ReLU is linear: the steps are then the very same."""
    network = mlp((3, 4, 4, 4), (LeakyReLU(0.35), Identity()), key=KEY, dtype=jnp.float64)
    x = jax.random.normal(jax.random.key(2), (5, 3))
    trace, rule = network.trace(x), TargetPropExact()
    dh = -1e-6 * jnp.ones((5, 4))
    ours = rule.target_updates(network, rule.init(network, key=KEY), Minibatch(trace, dh))
    for found, jacobian in zip(ours, output_jacobians(trace), strict=False):
        expected = np.linalg.solve(np.asarray(jacobian), np.asarray(dh)[..., None])[..., 0]
        np.testing.assert_allclose(found, expected, rtol=1e-7)
