"""Contracting linear networks: Meulemans et al. 2020, Theorem 5 (supplement, Theorem S6) and
Corollary S6.1.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.feedback.maps import direct_maps, layerwise_maps
from targetprop.losses import SquaredError
from targetprop.networks.activations import Identity
from targetprop.networks.network import mlp
from targetprop.rules.contract import Minibatch, output_update
from targetprop.rules.presets import ddtp_linear, dtp
from targetprop.rules.updates import local_gradients

SIZES = (8, 7, 6, 4, 3)
DEPTH = len(SIZES) - 1
STEPSIZE, LEARNING_RATE = 0.1, 0.5


class Case:
    """One sample through a random linear network, and what DTP and Gauss-Newton targets make of
    it.

    DTP has the layer-wise pseudo-inverses that its loss teaches, Gauss-Newton targets the
    pseudo-inverses of the whole path.
    """

    def __init__(self, seed: int):
        key = jax.random.key(seed)
        self.network = mlp(SIZES, Identity(), bias=False, key=key)
        weights = [np.asarray(layer.weight) for layer in self.network.layers]
        self.paths = [np.linalg.multi_dot([*weights[:i:-1], np.eye(SIZES[i + 1])]) for i in range(DEPTH - 1)]
        numbers = np.random.default_rng(seed)
        x, target = (jnp.asarray(numbers.normal(size=(1, width))) for width in (SIZES[0], SIZES[-1]))
        self.trace = self.network.trace(x)
        self.h = [np.asarray(h[0]) for h in self.trace.h]
        self.error = np.asarray(SquaredError().error(self.trace.output, target)[0])
        self.output_update = output_update(SquaredError(), self.trace.output, target, STEPSIZE)
        layerwise = layerwise_maps(self.network, Identity(), key=key)
        direct = direct_maps(self.network, Identity(), key=key)
        self.dtp = self.run(dtp(feedback_activation=Identity()), layerwise, weights[1:])
        self.gauss_newton = self.run(ddtp_linear(), direct, self.paths)

    def run(self, rule, maps, forward) -> tuple[list, list]:
        """Target updates `dh_i` and weight updates `dW_i`, with the pseudo-inverses of `forward`
        as feedback.
        """
        inverses = [jnp.asarray(np.linalg.pinv(matrix)) for matrix in forward]
        maps = eqx.tree_at(lambda maps: [g.dense.weight for g in maps], maps, inverses)
        updates = rule.target_updates(self.network, maps, Minibatch(self.trace, self.output_update))
        gradients = local_gradients(self.network, self.trace, updates)
        steps = [-LEARNING_RATE * np.asarray(layer.weight) for layer in gradients.layers]
        return [np.asarray(dh[0]) for dh in updates], steps


@pytest.fixture(scope="module", params=[0, 1], ids=lambda seed: f"seed{seed}")
def case(request) -> Case:
    with jax.enable_x64(True):
        return Case(request.param)


@pytest.mark.parametrize("rule", ["dtp", "gauss_newton"])
def test_both_push_the_output_along_the_negative_error(case, rule):
    """Layer `i` alone moves the output by `-c_i e_L` with `c_i = learning rate * stepsize *
    ||h_{i-1}||^2`.
    """
    updates, steps = getattr(case, rule)
    for i in range(DEPTH):
        path = case.paths[i] if i < DEPTH - 1 else np.eye(SIZES[-1])
        np.testing.assert_allclose(path @ updates[i], -STEPSIZE * case.error, rtol=1e-10)
        c = LEARNING_RATE * STEPSIZE * np.sum(case.h[i] ** 2)
        np.testing.assert_allclose(path @ steps[i] @ case.h[i], -c * case.error, rtol=1e-10)


def test_corollary_s6_1_updates_of_dtp_are_not_smaller(case):
    ratios = [np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(case.dtp[1], case.gauss_newton[1], strict=True)]
    assert min(ratios) >= 1 - 1e-12
    np.testing.assert_allclose(ratios[-2:], 1, rtol=1e-12)  # one layer below the output the two inverses are the same
    assert min(ratios[:-2]) > 1 + 1e-6  # further down a product's pseudo-inverse is not the product of pseudo-inverses


def test_theorem_5_gauss_newton_updates_are_minimum_norm(case):
    """The least-norm `dW` that moves the output as asked, from a dense least-norm solver."""
    for i in range(DEPTH - 1):
        constraint = np.kron(case.paths[i], case.h[i])  # acts on the rows of dW, one after another
        asked = -LEARNING_RATE * STEPSIZE * np.sum(case.h[i] ** 2) * case.error
        least = np.linalg.lstsq(constraint, asked, rcond=None)[0].reshape(SIZES[i + 1], SIZES[i])
        np.testing.assert_allclose(case.gauss_newton[1][i], least, rtol=0, atol=1e-10)
