"""Weight decay in place of the noise on the output: Meulemans et al. 2020, equations (66) to
(71).
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.feedback.maps import direct_maps, direct_paths, layerwise_maps, layerwise_paths
from targetprop.feedback.noise import NoiseLoop, output_displacements
from targetprop.feedback.reconstruction import chained_reconstruction, direct_reconstruction
from targetprop.feedback.regularizers import NO_DECAY, OutputNoise, WeightDecay
from targetprop.networks.activations import Identity, Sigmoid, Tanh
from targetprop.networks.network import mlp

SIZES, BATCH, DAMPING, SIGMA = (5, 2, 7, 4), 4, 0.3, 1e-6
HIDDEN = SIZES[1:-1]


@pytest.fixture(scope="module")
def case():
    """A network whose first hidden layer is narrow, and noise: little in the layers, and at the
    output as many samples as outputs, whose second moment is `SIGMA^2 I`."""
    with jax.enable_x64(True):
        network = mlp(SIZES, Tanh(), key=jax.random.key(0), dtype=jnp.float64)
        sample = jax.random.normal(jax.random.key(1), (1, SIZES[0]))
        trace = network.trace(jnp.repeat(sample, BATCH, axis=0))
        noise = [SIGMA * jax.random.normal(jax.random.key(i), (BATCH, width)) for i, width in enumerate(HIDDEN)]
        probe = SIGMA * np.sqrt(BATCH) * jnp.eye(BATCH)
        return network, trace, NoiseLoop(noise, output_displacements(network, trace, noise), probe)


def test_equations_66_and_67_the_noise_penalizes_the_jacobian_of_the_path(case):
    """With the factor `lambda`, which (67) leaves out."""
    network, trace, loop = case
    maps = layerwise_maps(network, Tanh(), key=jax.random.key(2))
    losses = [
        chained_reconstruction(layerwise_paths(maps, trace), loop, SIGMA, regularizer).losses
        for regularizer in (OutputNoise(DAMPING), NO_DECAY)
    ]
    jacobian = np.eye(SIZES[-1])
    for i in (2, 1):
        q, c, h = (np.asarray(x) for x in (maps[i - 1].dense.weight, maps[i - 1].dense.bias, trace.h[i + 1][0]))
        jacobian = (1 - np.tanh(q @ h + c) ** 2)[:, None] * (q @ jacobian)
        found = float(losses[0][i - 1] - losses[1][i - 1])
        assert found == pytest.approx(DAMPING * np.sum(jacobian**2), rel=1e-4)


@pytest.mark.parametrize("activation", [Tanh(), Sigmoid(), Identity()], ids=lambda s: type(s).__name__)
def test_equations_68_to_70_bound_it_by_the_norms_of_the_weights(activation):
    """With `n_k` in (70): `D_k` has as many entries as layer `k` has units. With the printed `n_i`,
    (69) exceeds (70) where the layers above are wider than layer `i`. No width is needed at all:
    with slopes in [0, 1] the path is below the product of the norms.
    """
    widths = [2, 7, 9, 6, 4]  # n_i .. n_L
    for seed in range(20):
        numbers = np.random.default_rng(seed)
        weights = [0.05 * numbers.normal(size=pair) for pair in itertools.pairwise(widths)]
        path, slopes = np.eye(widths[-1]), []
        for q in reversed(weights):
            d = np.asarray(activation.slope(jnp.asarray(q @ numbers.normal(size=q.shape[1]))))
            path = d[:, None] * (q @ path)
            slopes.insert(0, d)
        norms = np.prod([np.sum(q**2) for q in weights])
        left = np.sum(path**2)
        middle = np.prod([np.sum(d**2) for d in slopes]) * norms
        assert left <= middle * (1 + 1e-12)
        assert middle <= np.prod(widths[:-1]) * norms * (1 + 1e-12)
        assert left <= norms * (1 + 1e-12)
        if not isinstance(activation, Sigmoid):  # its slopes are at most 1/4
            assert middle > widths[0] ** len(weights) * norms


def test_equation_71_is_the_same_for_linear_direct_mappings(case):
    """ "Exactly": losses and gradients of the weights, for noise whose second moment is that of
    white noise. Weight decay acts on the biases too, here zero.
    """
    network, trace, loop = case
    maps = direct_maps(network, Identity(), key=jax.random.key(2))
    maps = eqx.tree_at(lambda maps: [g.dense.bias for g in maps], maps, [jnp.zeros(width) for width in HIDDEN])
    noisy, decayed = (
        direct_reconstruction(direct_paths(maps, trace), loop, SIGMA, regularizer)
        for regularizer in (OutputNoise(DAMPING), WeightDecay(DAMPING))
    )
    np.testing.assert_allclose(noisy.losses, decayed.losses, rtol=1e-8)
    for one, other in zip(noisy.gradients, decayed.gradients, strict=True):
        np.testing.assert_allclose(one.dense.weight, other.dense.weight, rtol=1e-6, atol=1e-9)
