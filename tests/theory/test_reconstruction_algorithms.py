"""The reconstruction losses against Algorithms 1 to 3 of Meulemans et al. 2020, written out with
absolute activities.

The oracles go one layer and one perturbation at a time; the gradients are those of `jax.grad`,
with every parameter but the layer's own behind `stop_gradient`.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.feedback.learners import DifferenceReconstruction
from targetprop.feedback.maps import FeedbackMaps, direct_maps, direct_paths, layerwise_maps, layerwise_paths
from targetprop.feedback.noise import Gaussian, NoiseLoop, carry_noise, output_displacements
from targetprop.feedback.reconstruction import (
    chained_reconstruction,
    direct_reconstruction,
    layerwise_reconstruction,
    perturbed,
)
from targetprop.feedback.regularizers import OutputNoise, Regularizer, WeightDecay
from targetprop.networks.activations import Activation, LeakyReLU, Sigmoid, Tanh
from targetprop.networks.layers import parameters
from targetprop.networks.network import Network, Trace, mlp

SIZES = (8, 7, 6, 4, 3)
DEPTH = len(SIZES) - 1
SIGMA = 0.1
KEY = jax.random.key(0)

ACTIVATIONS = pytest.mark.parametrize("activation", [Tanh(), Sigmoid(), LeakyReLU()], ids=lambda a: type(a).__name__)
REGULARISERS = pytest.mark.parametrize(
    "regularizer", [OutputNoise(0.3), WeightDecay(0.3)], ids=lambda regularizer: type(regularizer).__name__
)


class Setting(NamedTuple):
    """A network, a batch of 4 through it and a noise loop."""

    network: Network
    trace: Trace
    loop: NoiseLoop


def setting(activation: Activation, regularizer: Regularizer) -> Setting:
    network = mlp(SIZES, activation, key=KEY)
    trace = network.trace(jnp.asarray(np.random.default_rng(1).normal(size=(4, SIZES[0]))))
    noise = DifferenceReconstruction(Gaussian(SIGMA), regularizer).draw(trace, jax.random.fold_in(KEY, 2))
    return Setting(network, trace, carry_noise(network, trace, noise))


def disturbed(maps: FeedbackMaps) -> FeedbackMaps:
    """The mappings with biases that are not zero."""
    numbers = np.random.default_rng(9)
    biases = [jnp.asarray(0.3 * numbers.normal(size=g.dense.bias.shape)) for g in maps]
    return eqx.tree_at(lambda maps: [g.dense.bias for g in maps], maps, biases)


def held(maps: FeedbackMaps, own: int) -> FeedbackMaps:
    """The mappings, all but number `own` held fixed."""
    return tuple(g if k == own else jax.lax.stop_gradient(g) for k, g in enumerate(maps))


def to_output(s: Setting, i: int, h):
    """`h_L` when layer `i` takes the values `h`."""
    for layer in s.network.layers[i:]:
        h = layer.at(h).h
    return h


def squared(x):
    """`1/B sum_b ||x_b||^2`."""
    return jnp.sum(x**2) / x.shape[0]


def penalty(g, regularizer, arrived):
    """The regularizer: weight decay, or the second term of equation (9) for a probe that `arrived`
    at the layer.
    """
    if isinstance(regularizer, WeightDecay):
        return regularizer.strength * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(parameters(g)))
    return regularizer.strength * squared(arrived) / SIGMA**2


def algorithm_1(maps, s: Setting, i: int, regularizer):
    g, corrupted = held(maps, i - 1)[i - 1], s.trace.h[i] + s.loop.noise[i - 1]
    return squared(g.at(s.network.layers[i].at(corrupted).h).h - corrupted)


def algorithm_2(maps, s: Setting, i: int, regularizer):
    maps, h = held(maps, i - 1), s.trace.h

    def down(reconstructed):
        for k in range(DEPTH - 1, i - 1, -1):
            g = maps[k - 1]
            reconstructed = g.at(reconstructed).h + h[k] - g.at(h[k + 1]).h
        return reconstructed

    corrupted = h[i] + s.loop.noise[i - 1]
    arrived = None if s.loop.probe is None else down(h[-1] + s.loop.probe) - h[i]
    return squared(down(to_output(s, i, corrupted)) - corrupted) / SIGMA**2 + penalty(maps[i - 1], regularizer, arrived)


def algorithm_3(maps, s: Setting, i: int, regularizer):
    g, h = held(maps, i - 1)[i - 1], s.trace.h

    def down(reached):
        return g.at(reached).h + h[i] - g.at(h[-1]).h

    corrupted = h[i] + s.loop.noise[i - 1]
    arrived = None if s.loop.probe is None else down(h[-1] + s.loop.probe) - h[i]
    return squared(down(to_output(s, i, corrupted)) - corrupted) / SIGMA**2 + penalty(g, regularizer, arrived)


def assert_same_losses_and_gradients(step, algorithm, maps, s: Setting, regularizer):
    losses = [lambda maps, i=i: algorithm(maps, s, i, regularizer) for i in range(1, DEPTH)]
    values, gradients = eqx.filter_jit(lambda maps: step_of_all(losses, maps))(maps)
    np.testing.assert_allclose(step.losses, values, rtol=1e-10)
    assert jax.tree.structure(step.gradients) == jax.tree.structure(gradients)
    for got, expected in zip(jax.tree.leaves(step.gradients), jax.tree.leaves(gradients), strict=True):
        # Subtracting activities leaves 1e-16 / sigma of relative rounding in a displacement,
        # squared over sigma^2.
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def step_of_all(losses, maps):
    """The values of all losses, and the sum of their gradients: each loss reaches its own mapping
    alone.
    """
    total = eqx.filter_grad(lambda maps: sum(loss(maps) for loss in losses))
    return [loss(maps) for loss in losses], total(maps)


@ACTIVATIONS
def test_the_stacked_sweep_is_the_loop_over_layers(activation):
    s = setting(activation, WeightDecay())
    moved = output_displacements(s.network, s.trace, s.loop.noise)
    assert moved.shape == (DEPTH - 1, 4, SIZES[-1])
    for i in range(1, DEPTH):
        alone = to_output(s, i, s.trace.h[i] + s.loop.noise[i - 1]) - s.trace.output
        np.testing.assert_allclose(moved[i - 1], alone, rtol=0, atol=1e-14)


def test_layerwise_reconstruction_is_algorithm_1():
    s = setting(Tanh(), WeightDecay())
    maps = disturbed(layerwise_maps(s.network, Tanh(), key=KEY))
    step = layerwise_reconstruction(s.network, maps, perturbed(s.trace, s.loop.noise))
    assert_same_losses_and_gradients(step, algorithm_1, maps, s, None)


@REGULARISERS
@pytest.mark.parametrize("activation", [Tanh(), Sigmoid()], ids=lambda a: type(a).__name__)
def test_chained_reconstruction_is_algorithm_2(activation, regularizer):
    s = setting(activation, regularizer)
    maps = disturbed(layerwise_maps(s.network, activation, key=KEY))
    step = jax.jit(lambda maps: chained_reconstruction(layerwise_paths(maps, s.trace), s.loop, SIGMA, regularizer))(maps)
    assert_same_losses_and_gradients(step, algorithm_2, maps, s, regularizer)


@REGULARISERS
def test_direct_reconstruction_is_algorithm_3(regularizer):
    s = setting(Tanh(), regularizer)
    maps = disturbed(direct_maps(s.network, Tanh(), key=KEY))
    step = jax.jit(lambda maps: direct_reconstruction(direct_paths(maps, s.trace), s.loop, SIGMA, regularizer))(maps)
    assert_same_losses_and_gradients(step, algorithm_3, maps, s, regularizer)


def test_a_lower_loss_would_otherwise_train_the_mappings_above_it():
    """What the oracles' `stop_gradient` holds back is not zero: the loss of layer 1 depends on
    every mapping.
    """
    s = setting(Tanh(), OutputNoise(0.3))
    maps = layerwise_maps(s.network, Tanh(), key=KEY)
    point = jax.jit(lambda own: algorithm_2((maps[0], own, *maps[2:]), s, 1, OutputNoise(0.3)))
    shifted = eqx.tree_at(lambda g: g.dense.weight, maps[1], replace_fn=lambda q: q + 0.01)
    assert abs(point(shifted) - point(maps[1])) > 1e-4
