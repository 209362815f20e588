"""What the difference reconstruction loss teaches: Meulemans et al. 2020, Theorem 4 (supplement,
Theorem S5) and B.1.

Expectations over white noise are taken exactly: noise whose second moment over the batch is the
identity.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.feedback.learners import DifferenceReconstruction
from targetprop.feedback.maps import direct_maps, direct_paths, layerwise_maps, layerwise_paths
from targetprop.feedback.noise import Gaussian, NoiseLoop, average_over_draws, carry_noise, output_displacements
from targetprop.feedback.reconstruction import (
    FeedbackStep,
    chained_reconstruction,
    direct_reconstruction,
    layerwise_reconstruction,
    perturbed,
)
from targetprop.feedback.regularizers import OutputNoise, WeightDecay
from targetprop.networks.activations import Identity
from targetprop.networks.network import Network, mlp

SIZES = (8, 7, 6, 4, 3)
HIDDEN = SIZES[1:-1]
BATCH = 8
SIGMA = 0.3
DAMPING = 0.2
DEPTH = len(SIZES) - 1


def linear_network() -> Network:
    return mlp(SIZES, Identity(), key=jax.random.key(0))


def white(width: int, seed: int) -> jax.Array:
    """`(BATCH, width)` numbers whose second moment over the batch is the identity."""
    square = np.random.default_rng(seed).normal(size=(BATCH, BATCH))
    return jnp.asarray(np.sqrt(BATCH) * np.linalg.qr(square)[0][:, :width])


def same_sample(network: Network) -> jax.Array:
    return jnp.broadcast_to(np.random.default_rng(1).normal(size=SIZES[0]), (BATCH, SIZES[0]))


def exact_loop(network: Network, probed: bool) -> NoiseLoop:
    noise = [SIGMA * white(width, seed) for seed, width in enumerate(HIDDEN)]
    probe = SIGMA * white(SIZES[-1], 9) if probed else None
    return NoiseLoop(noise, output_displacements(network, network.trace(same_sample(network)), noise), probe)


def jacobian(network: Network, i: int) -> np.ndarray:
    """`J_i = dh_L / dh_i` of a linear network."""
    product = np.eye(SIZES[i])
    for layer in network.layers[i:]:
        product = np.asarray(layer.weight) @ product
    return product


def damped_inverse(j: np.ndarray, damping: float) -> np.ndarray:
    """`J^T (J J^T + damping I)^{-1}`, the right-hand side of equation (11)."""
    return j.T @ np.linalg.inv(j @ j.T + damping * np.eye(len(j)))


def weights(maps) -> list:
    return [g.dense.weight for g in maps]


REGULARISERS = pytest.mark.parametrize(
    "regularizer", [OutputNoise(DAMPING), WeightDecay(DAMPING)], ids=lambda regularizer: type(regularizer).__name__
)


@REGULARISERS
def test_theorem_4_descent_on_direct_linear_maps_reaches_the_damped_inverse(regularizer):
    network = linear_network()
    trace = network.trace(same_sample(network))
    loop = exact_loop(network, probed=isinstance(regularizer, OutputNoise))
    # The loss is quadratic with curvature 2 (J J^T + damping), so a step of 1 over the largest one
    # converges.
    curvature = max(2 * np.linalg.norm(jacobian(network, i), 2) ** 2 + 2 * DAMPING for i in range(1, DEPTH))

    @jax.jit
    def descend(maps):
        def step(_, maps):
            gradients = direct_reconstruction(direct_paths(maps, trace), loop, SIGMA, regularizer).gradients
            return jax.tree.map(lambda leaf, gradient: leaf - gradient / curvature, maps, gradients)

        return jax.lax.fori_loop(0, 3000, step, maps)

    maps = descend(direct_maps(network, Identity(), key=jax.random.key(2)))
    for i, q in enumerate(weights(maps), start=1):
        expected = damped_inverse(jacobian(network, i), DAMPING)
        np.testing.assert_allclose(q, expected, rtol=0, atol=1e-9)
        assert np.linalg.norm(expected - np.linalg.pinv(jacobian(network, i))) > 1e-2, "the damping should matter"


def test_theorem_4_without_damping_the_pseudo_inverse_is_the_minimum():
    network = linear_network()
    trace, loop = network.trace(same_sample(network)), exact_loop(network, probed=True)
    maps = direct_maps(network, Identity(), key=jax.random.key(2))
    inverses = [jnp.asarray(np.linalg.pinv(jacobian(network, i))) for i in range(1, DEPTH)]
    best = direct_reconstruction(direct_paths(eqx.tree_at(weights, maps, inverses), trace), loop, SIGMA, OutputNoise(0.0))
    for i, gradient in enumerate(best.gradients, start=1):
        np.testing.assert_allclose(gradient.dense.weight, np.zeros_like(gradient.dense.weight), atol=1e-12)
        # ||J^+ J - I||^2 is the dimension of the kernel of J.
        assert best.losses[i - 1] == pytest.approx(SIZES[i] - SIZES[-1], rel=1e-12)


def test_one_linear_map_for_all_samples_is_their_damped_compromise():
    """In a nonlinear network the Jacobian `J_b` differs from sample to sample and `Q` cannot. For
    small noise the loss is the mean over the samples of `||Q J_b - I||^2`, plus `damping ||Q||^2`;
    its gradient vanishes at `Q = mean(J_b)^T (mean(J_b J_b^T) + damping I)^{-1}`.
    """
    samples, width, sigma = 6, 4, 1e-7
    network = mlp((5, width, width, 3), key=jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(samples, 5))
    trace = network.trace(jnp.repeat(jnp.asarray(x), width, axis=0))  # each sample once for every direction of the noise
    noise = jnp.tile(sigma * np.sqrt(width) * jnp.eye(width), (samples, 1))
    loop = NoiseLoop([noise] * 2, output_displacements(network, trace, [noise] * 2), None)
    top = Network(network.layers[1:], width)
    jacobians = np.stack([jax.jacobian(lambda h: top(h[None])[0])(h) for h in trace.h[1][::width]])
    assert np.std(jacobians, axis=0).max() > 1e-2
    grams = jacobians @ np.swapaxes(jacobians, 1, 2)
    compromise = jacobians.mean(axis=0).T @ np.linalg.inv(grams.mean(axis=0) + DAMPING * np.eye(3))
    average = np.mean([damped_inverse(j, DAMPING) for j in jacobians], axis=0)

    def gradient(weight):
        maps = direct_maps(network, Identity(), key=jax.random.key(2))
        maps = eqx.tree_at(lambda maps: maps[0].dense.weight, maps, jnp.asarray(weight))
        return direct_reconstruction(direct_paths(maps, trace), loop, sigma, WeightDecay(DAMPING)).gradients[0].dense.weight

    assert np.linalg.norm(gradient(compromise)) < 1e-5
    assert np.linalg.norm(gradient(average)) > 1e-2


def test_theorem_4_holds_for_a_chain_of_layerwise_maps():
    """In a contracting linear network each `Q_i` can make the product `Q_i .. Q_{L-1}` the damped
    inverse: Algorithm 2's losses are then all at their minimum at once, where every gradient
    vanishes.
    """
    network = linear_network()
    trace, loop = network.trace(same_sample(network)), exact_loop(network, probed=True)
    above, best = np.eye(SIZES[-1]), []
    for i in range(DEPTH - 1, 0, -1):
        product = damped_inverse(jacobian(network, i), DAMPING)
        best.insert(0, jnp.asarray(product @ np.linalg.pinv(above)))
        above = product
    maps = layerwise_maps(network, Identity(), key=jax.random.key(2))
    start = chained_reconstruction(layerwise_paths(maps, trace), loop, SIGMA, OutputNoise(DAMPING))
    end = chained_reconstruction(layerwise_paths(eqx.tree_at(weights, maps, best), trace), loop, SIGMA, OutputNoise(DAMPING))
    for i, (first, last) in enumerate(zip(start.gradients, end.gradients, strict=True), start=1):
        assert np.linalg.norm(first.dense.weight) > 1e-2
        np.testing.assert_allclose(last.dense.weight, np.zeros_like(last.dense.weight), atol=1e-12)
        # At the minimum the loss is damping tr (J J^T + damping)^{-1} plus the dimension of the
        # kernel of J.
        j = jacobian(network, i)
        expected = DAMPING * np.trace(np.linalg.inv(j @ j.T + DAMPING * np.eye(len(j)))) + SIZES[i] - SIZES[-1]
        assert end.losses[i - 1] == pytest.approx(expected, rel=1e-12)


def test_layerwise_reconstruction_of_white_noise_teaches_layerwise_pseudo_inverses():
    """Equation (43): with activities that are white noise, `Q_i` is best at the pseudo-inverse of
    `W_{i+1}`.
    """
    network = linear_network()
    trace = network.trace(jnp.zeros((BATCH, SIZES[0])))
    noise = [white(width, seed) for seed, width in enumerate(HIDDEN)]
    maps = layerwise_maps(network, Identity(), key=jax.random.key(2))
    inverses = [jnp.asarray(np.linalg.pinv(layer.weight)) for layer in network.layers[1:]]
    start = layerwise_reconstruction(network, maps, perturbed(trace, noise))
    end = layerwise_reconstruction(network, eqx.tree_at(weights, maps, inverses), perturbed(trace, noise))
    for i, (first, last) in enumerate(zip(start.gradients, end.gradients, strict=True), start=1):
        assert np.linalg.norm(first.dense.weight) > 1e-2
        np.testing.assert_allclose(last.dense.weight, np.zeros_like(last.dense.weight), atol=1e-12)
        assert end.losses[i - 1] == pytest.approx(SIZES[i] - SIZES[i + 1], rel=1e-12, abs=1e-12)


def test_equation_10_the_loss_for_small_noise():
    """The loss of a nonlinear network tends to `E ||J_g J_f eps - eps||^2 + damping E ||J_g
    eps||^2` linearly in sigma.
    """
    network = mlp(SIZES, key=jax.random.key(0))
    maps = layerwise_maps(network, network.layers[0].activation, key=jax.random.key(2))
    x = jnp.asarray(np.random.default_rng(1).normal(size=(BATCH, SIZES[0])))
    trace = network.trace(x)
    sigmas = 2.0 ** -np.arange(9, 15)
    key, learner = jax.random.key(3), DifferenceReconstruction(Gaussian(1.0), OutputNoise(DAMPING))

    @jax.jit
    def losses(sigma):
        scaled = eqx.tree_at(lambda learner: learner.noise.sigma, learner, sigma)
        loop = carry_noise(network, trace, scaled.draw(trace, key))
        return chained_reconstruction(layerwise_paths(maps, trace), loop, sigma, OutputNoise(DAMPING)).losses

    unit = jax.tree.map(np.asarray, learner.draw(trace, key))
    points = jax.tree.map(np.asarray, trace.points)
    limit = []
    for i in range(1, DEPTH):
        total = 0.0
        for b in range(BATCH):
            forward, back = np.eye(SIZES[i]), np.eye(SIZES[i])
            for k in range(i, DEPTH):
                w, a, h = np.asarray(network.layers[k].weight), points[k].a[b], points[k].h[b]
                slope = 1 - np.tanh(a) ** 2 if k < DEPTH - 1 else np.ones(SIZES[-1])
                forward = np.diag(slope) @ w @ forward
                q, c = (np.asarray(leaf) for leaf in (maps[k - 1].dense.weight, maps[k - 1].dense.bias))
                back = back @ np.diag(1 - np.tanh(q @ h + c) ** 2) @ q
            noise, probe = unit.layers[i - 1][b], unit.probe[b]
            total += np.sum((back @ forward @ noise - noise) ** 2) + DAMPING * np.sum((back @ probe) ** 2)
        limit.append(total / BATCH)
    left = np.abs(np.stack([losses(sigma) for sigma in sigmas]) - np.array(limit))
    assert left[-1].max() < 1e-2 * min(limit)
    slopes = np.polyfit(np.log(sigmas), np.log(left), 1)[0]
    np.testing.assert_allclose(slopes, 1, atol=0.1)


def test_noise_is_white_and_scaled_by_sigma():
    """Mean and covariance of what each layer receives, to five standard errors."""
    network, draws = linear_network(), 20_000
    trace = network.trace(jnp.zeros((draws, SIZES[0])))
    for noise, width in zip(Gaussian(SIGMA).on_layers(trace, jax.random.key(0)), HIDDEN, strict=True):
        assert noise.shape == (draws, width)
        noise = np.asarray(noise) / SIGMA
        assert np.abs(noise.mean(axis=0)).max() < 5 / np.sqrt(draws)
        assert np.abs(noise.T @ noise / draws - np.eye(width)).max() < 5 * np.sqrt(2 / draws)


def test_more_samples_average_independent_draws():
    key = jax.random.key(5)

    def step(key):
        return FeedbackStep((jax.random.normal(key, (3,)),), jax.random.normal(key, (2,)))

    draws = [step(k) for k in jax.random.split(key, 4)]
    got = average_over_draws(step, 4, key)
    np.testing.assert_allclose(got.losses, np.mean([d.losses for d in draws], axis=0), rtol=1e-12)
    np.testing.assert_allclose(got.gradients[0], np.mean([d.gradients[0] for d in draws], axis=0), rtol=1e-12)
    assert len({float(d.losses[0]) for d in draws}) == 4
