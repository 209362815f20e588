"""The losses that train feedback mappings, and their gradients.

A loss is the mean over the batch of a squared norm summed over the layer. The loss of layer `i` trains the parameters of
`g_i` alone: what reaches `g_i` through other mappings is held fixed.

Noise travels as a displacement, never inside a perturbed activity, so float32 loses nothing at small sigma.
"""

import abc
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from ..network import Activity, Network, Trace, difference, evaluate, parameters
from .maps import DenseFeedback, FeedbackMaps

Noise = Sequence[Float[Array, "batch ..."]]


class FeedbackStep(NamedTuple):
    """What a batch teaches the feedback mappings: `gradients`, in the structure of their parameters, and the loss of each
    mapping, shape `(mappings,)`."""

    gradients: Any
    losses: Float[Array, " mappings"]


class Regulariser(eqx.Module):
    """What keeps the Jacobian of a feedback path small: the part of Tikhonov damping in equation (11) of the 2020 paper."""

    @abc.abstractmethod
    def probe(self, output: Activity, sigma: Any, key: PRNGKeyArray) -> Activity | None:
        """An output displacement whose way down the feedback path is to be penalised, if the penalty needs one."""

    @abc.abstractmethod
    def penalty(self, g: DenseFeedback, arrived: Activity | None, sigma: Any) -> Float[Array, ""]:
        """The penalty of the mapping `g`, where `arrived` is the probe as it leaves `g`."""


class WeightDecay(Regulariser):
    """`strength * ||parameters of g_i||^2` (Meulemans et al. 2020, equations 71 and 75)."""

    strength: float = 1e-5

    def probe(self, output, sigma, key):
        return None

    def penalty(self, g, arrived, sigma):
        return self.strength * optax.tree.norm(parameters(g), squared=True)


class OutputNoise(Regulariser):
    """`strength / sigma^2 * E ||g^diff(h_L + sigma eps) - h_i||^2`, the second term of the difference reconstruction loss
    (Meulemans et al. 2020, equation 9). For small sigma it is `strength * ||J_g||_F^2`: damping with `lambda = strength`."""

    strength: float = 1e-2

    def probe(self, output, sigma, key):
        return sigma * white_noise(key, output.shape, output.dtype)

    def penalty(self, g, arrived, sigma):
        assert arrived is not None  # there is a probe
        return self.strength * jnp.sum(arrived**2) / (sigma**2 * arrived.shape[0])


def white_noise(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Array:
    """Standard normal noise; one key gives the same numbers in float32 and in float64."""
    return jax.random.normal(key, shape, jnp.float32).astype(dtype)


def layer_noise(trace: Trace, sigma: Any, key: PRNGKeyArray) -> list[Activity]:
    """`sigma * eps_i` for the hidden layers `i = 1 .. L-1`.

    The layers take their noise from one draw per sample, as wide as the widest of them. No loss sees the noise of two
    layers, so each layer's loss has the same law as with a draw of its own, for a fraction of the random numbers.
    """
    hidden = trace.h[1:-1]
    widths = [math.prod(h.shape[1:]) for h in hidden]
    draw = sigma * white_noise(key, (hidden[0].shape[0], max(widths)), hidden[0].dtype)
    return [draw[:, :width].reshape(h.shape) for width, h in zip(widths, hidden, strict=True)]


def output_displacements(network: Network, trace: Trace, noise: Noise) -> Float[Array, "hidden batch ..."]:
    """How the output moves when layer `i` alone is perturbed by `noise[i - 1]`, for every hidden layer at once.

    The perturbations that start below a layer ride through it stacked along the batch axis, so a layer costs one matrix
    product however many perturbations pass.
    """
    moving = noise[0][None]
    for i in range(1, network.depth):
        moving = difference(network.layers[i], trace.points[i], moving)
        if i < network.depth - 1:
            moving = jnp.concatenate([moving, noise[i][None]])
    return moving


def layerwise_reconstruction(network: Network, maps: FeedbackMaps, trace: Trace, noise: Noise) -> FeedbackStep:
    """`||g_i(f_{i+1}(h_i + noise_i)) - (h_i + noise_i)||^2` for each layer (Meulemans et al. 2020, equation 39)."""

    def loss(g, i):
        noisy = trace.h[i] + noise[i - 1]
        reconstructed = g.at(evaluate(network.layers[i], noisy).h).h
        return jnp.sum((reconstructed - noisy) ** 2) / noisy.shape[0]

    return _collect(_own_gradient(loss)(g, i) for i, g in enumerate(maps, start=1))


class NoiseLoop(NamedTuple):
    """One noisy trip to the output: `noise[i - 1]` on hidden layer `i` alone moved the output by `moved[i - 1]`; `probe` is
    the regulariser's output displacement, or `None`."""

    noise: Noise
    moved: Float[Array, "hidden batch ..."]
    probe: Activity | None


def noise_loop(network: Network, trace: Trace, sigma: Any, regulariser: Regulariser, key: PRNGKeyArray) -> NoiseLoop:
    """Perturb every hidden layer and carry the displacements to the output."""
    noise_key, probe_key = jax.random.split(key)
    noise = layer_noise(trace, sigma, noise_key)
    return NoiseLoop(noise, output_displacements(network, trace, noise), regulariser.probe(trace.output, sigma, probe_key))


def direct_reconstruction(
    maps: FeedbackMaps, trace: Trace, loop: NoiseLoop, sigma: Any, regulariser: Regulariser
) -> FeedbackStep:
    """The difference reconstruction loss (Meulemans et al. 2020, equation 9) of mappings straight from the output."""
    return _collect(
        _own_gradient(_difference_loss)(g, trace.output, moved, noise, loop.probe, sigma, regulariser)
        for g, moved, noise in zip(maps, loop.moved, loop.noise, strict=True)
    )


def chained_reconstruction(
    maps: FeedbackMaps, trace: Trace, loop: NoiseLoop, sigma: Any, regulariser: Regulariser
) -> FeedbackStep:
    """The difference reconstruction loss (Meulemans et al. 2020, equation 9) of layer-wise mappings, all layers in one
    downward sweep: the displacements bound for lower layers pass each mapping stacked along the batch axis."""
    noise, moved, probe = loop
    steps = []
    for i in range(len(maps), 0, -1):
        g, above = maps[i - 1], trace.h[i + 1]
        steps.append(_own_gradient(_difference_loss)(g, above, moved[i - 1], noise[i - 1], probe, sigma, regulariser))
        if i > 1:
            point = g.at(above)
            moved = g.difference(point, moved[: i - 1])
            probe = None if probe is None else g.difference(point, probe)
    return _collect(reversed(steps))


def _difference_loss(g, above, incoming, noise, probe, sigma, regulariser):
    point = g.at(above)
    error = g.difference(point, incoming) - noise
    arrived = None if probe is None else g.difference(point, probe)
    return jnp.sum(error**2) / (sigma**2 * above.shape[0]) + regulariser.penalty(g, arrived, sigma)


def _own_gradient(loss: Callable) -> Callable:
    """Value and gradient with respect to the parameters of the first argument."""
    return eqx.filter_value_and_grad(loss)


def _collect(steps) -> FeedbackStep:
    losses, gradients = zip(*steps, strict=True)
    return FeedbackStep(gradients, jnp.stack(losses))


def average_over_noise(step: Callable[[PRNGKeyArray], FeedbackStep], samples: int, key: PRNGKeyArray) -> FeedbackStep:
    """The mean of `step(key)` over `samples` independent noise draws."""
    if samples == 1:
        return step(key)
    steps = jax.vmap(step)(jax.random.split(key, samples))
    return jax.tree.map(lambda x: jnp.mean(x, axis=0), steps)
