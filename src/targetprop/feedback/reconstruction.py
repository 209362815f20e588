"""The losses that train feedback mappings, and their gradients.

A loss is the mean over the batch of a squared norm summed over the layer. The loss of layer `i` trains the parameters of
`g_i` alone: what reaches `g_i` through other mappings is held fixed.

Noise travels as a displacement, never inside a perturbed activity, so float32 loses nothing at small sigma.
"""

import abc
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import check_not_negative
from ..networks.network import Activity, Network, Trace, difference, evaluate, parameters, split_parameters
from .maps import FeedbackMap, FeedbackMaps
from .sources import Source, output_sources

Noise = Sequence[Float[Array, "batch ..."]]


class FeedbackStep(NamedTuple):
    """What a batch teaches the feedback mappings: `gradients`, in the structure of their parameters, and the loss of each
    mapping, shape `(mappings,)`."""

    gradients: Any
    losses: Float[Array, " mappings"]


class Regularizer(eqx.Module):
    """What keeps the Jacobian of a feedback path small: the part of Tikhonov damping in equation (11) of the 2020 paper."""

    @abc.abstractmethod
    def probe(self, output: Activity, sigma: Any, key: PRNGKeyArray) -> Activity | None:
        """An output displacement whose way down the feedback path is to be penalized, if the penalty needs one."""

    @abc.abstractmethod
    def penalty(self, g: FeedbackMap, arrived: Activity | None, sigma: Any) -> Float[Array, ""]:
        """The penalty of the mapping `g`, where `arrived` is the probe as it leaves `g`."""


class Decay(Regularizer):
    """A penalty on the parameters of a mapping alone."""

    def probe(self, output, sigma, key):
        return None


class WeightDecay(Decay):
    """`strength * ||parameters of g_i||^2` (Meulemans et al. 2020, equations 71 and 75)."""

    word: ClassVar[str] = "weight-decay"

    strength: float = 1e-5

    def __check_init__(self):
        check_not_negative(self, "strength")

    def penalty(self, g, arrived, sigma):
        return self.strength * optax.tree.norm(parameters(g), squared=True)


class WeightDecayPerUnit(Decay):
    """`strength * n_i * ||parameters of g_i||^2` with `n_i` the size of the layer that `g_i` rebuilds: to a reconstruction
    loss averaged over that layer what `WeightDecay` is to its sum, for layers of unlike sizes."""

    word: ClassVar[str] = "weight-decay-per-unit"

    strength: float = 1e-7

    def __check_init__(self):
        check_not_negative(self, "strength")

    def penalty(self, g, arrived, sigma):
        return self.strength * math.prod(g.outputs) * optax.tree.norm(parameters(g), squared=True)


NO_DECAY = WeightDecay(0.0)


class OutputNoise(Regularizer):
    """`strength / sigma^2 * E ||g^diff(h_L + sigma eps) - h_i||^2`, the second term of the difference reconstruction loss
    (Meulemans et al. 2020, equation 9). For small sigma it is `strength * ||J_g||_F^2`: damping with `lambda = strength`."""

    word: ClassVar[str] = "output-noise"

    strength: float = 1e-2

    def __check_init__(self):
        check_not_negative(self, "strength")

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


def perturbed(trace: Trace, noise: Noise) -> list[Activity]:
    """The activities of the hidden layers, each with its noise: `h_i + noise[i - 1]`."""
    return [h + eps for h, eps in zip(trace.h[1:-1], noise, strict=True)]


def layerwise_reconstruction(
    network: Network, maps: Sequence[FeedbackMap], activities: Sequence[Activity], decay: Decay = NO_DECAY
) -> FeedbackStep:
    """`||g_i(f_{i+1}(x_i)) - x_i||^2` with `x_i = activities[i - 1]`, for each hidden layer, with weight decay where a
    strength is given. Noisy activities (`perturbed`): Meulemans et al. 2020, equation 39; those of the forward pass, or
    white noise: Meulemans 2019, equation 4.91, and with weight decay 4.97."""

    def loss(g, layer, x):
        rebuilt = g.at(evaluate(layer, x).h).h
        return jnp.sum((rebuilt - x) ** 2) / x.shape[0] + decay.penalty(g, None, None)

    return _collect(_own_gradient(loss)(*each) for each in zip(maps, network.layers[1:], activities, strict=True))


def activity_reconstruction(
    maps: Sequence[FeedbackMap], sources: Sequence[Activity], goals: Sequence[Activity], decay: Decay = NO_DECAY
) -> FeedbackStep:
    """`||g_i(x) - y||^2` with weight decay, `x = sources[i - 1]`, `y = goals[i - 1]`, for each hidden layer. With the
    activities `h_{i+1}` and `h_i` at which a network rests: Meulemans 2019, equations 6.24 and 6.26, whose learning rate
    is twice ours."""

    def loss(g, source, goal):
        return jnp.sum((g.at(source).h - goal) ** 2) / goal.shape[0] + decay.penalty(g, None, None)

    return _collect(_own_gradient(loss)(*each) for each in zip(maps, sources, goals, strict=True))


class NoiseDraw(NamedTuple):
    """The random numbers of one feedback step: `layers[i - 1]`, the displacement `sigma * eps_i` of hidden layer `i`, shaped
    like its activity, and `probe`, the output displacement that a regularizer asks for, or `None`."""

    layers: Noise
    probe: Activity | None = None


class NoiseLoop(NamedTuple):
    """One noisy trip to the output: `noise[i - 1]` on hidden layer `i` alone moved the output by `moved[i - 1]`; `probe` is
    the regularizer's output displacement, or `None`."""

    noise: Noise
    moved: Float[Array, "hidden batch ..."]
    probe: Activity | None


def draw_noise(trace: Trace, sigma: Any, regularizer: Regularizer, key: PRNGKeyArray) -> NoiseDraw:
    """Fresh noise for the hidden layers, and for the output where the regularizer asks for it."""
    noise_key, probe_key = jax.random.split(key)
    return NoiseDraw(layer_noise(trace, sigma, noise_key), regularizer.probe(trace.output, sigma, probe_key))


def carry_noise(network: Network, trace: Trace, noise: NoiseDraw) -> NoiseLoop:
    """Perturb every hidden layer by itself and carry the displacements to the output."""
    return NoiseLoop(noise.layers, output_displacements(network, trace, noise.layers), noise.probe)


def direct_reconstruction(
    maps: FeedbackMaps, trace: Trace, loop: NoiseLoop, sigma: Any, regularizer: Regularizer
) -> FeedbackStep:
    """The difference reconstruction loss (Meulemans et al. 2020, equation 9) of mappings straight from the output."""
    return source_reconstruction(maps, output_sources(trace), loop, sigma, regularizer)


def source_reconstruction(
    maps: FeedbackMaps, sources: Sequence[Source], loop: NoiseLoop, sigma: Any, regularizer: Regularizer
) -> FeedbackStep:
    """The difference reconstruction loss (Meulemans et al. 2020, equation 9) of direct mappings that read `sources`."""

    def step(g, source, moved, noise):
        probe = None if loop.probe is None else source.displacement(loop.probe)
        incoming = source.displacement(moved)
        return _own_gradient(_difference_loss)(g, source.activity, incoming, noise, probe, sigma, regularizer)

    return _collect(step(*each) for each in zip(maps, sources, loop.moved, loop.noise, strict=True))


def control_reconstruction(maps: FeedbackMaps, trace: Trace, loop: NoiseLoop, decay: Decay) -> FeedbackStep:
    """`||g_i(f(h_i + noise_i)) - (h_i + noise_i)||^2` with `f` from layer `i` to the output, for mappings straight from the
    output: no difference correction and no `1/sigma^2` (Meulemans et al. 2020, Algorithm 5)."""

    def loss(g, clean, noise, moved):
        error = (g.at(trace.output + moved).h - clean) - noise
        return jnp.sum(error**2) / clean.shape[0] + decay.penalty(g, None, None)

    return _collect(_own_gradient(loss)(*each) for each in zip(maps, trace.h[1:-1], loop.noise, loop.moved, strict=True))


def chained_reconstruction(
    maps: FeedbackMaps, trace: Trace, loop: NoiseLoop, sigma: Any, regularizer: Regularizer
) -> FeedbackStep:
    """The difference reconstruction loss (Meulemans et al. 2020, equation 9) of layer-wise mappings, all layers in one
    downward sweep: the displacements bound for lower layers pass each mapping stacked along the batch axis."""
    noise, moved, probe = loop
    steps = []
    for i in range(len(maps), 0, -1):
        g, above = maps[i - 1], trace.h[i + 1]
        steps.append(_own_gradient(_difference_loss)(g, above, moved[i - 1], noise[i - 1], probe, sigma, regularizer))
        if i > 1:
            point = g.at(above)
            moved = g.difference(point, moved[: i - 1])
            probe = None if probe is None else g.difference(point, probe)
    return _collect(reversed(steps))


def _difference_loss(g, above, incoming, noise, probe, sigma, regularizer):
    point = g.at(above)
    error = g.difference(point, incoming) - noise
    arrived = None if probe is None else g.difference(point, probe)
    return jnp.sum(error**2) / (sigma**2 * above.shape[0]) + regularizer.penalty(g, arrived, sigma)


def _own_gradient(loss: Callable) -> Callable:
    """Value and gradient with respect to the parameters of the first argument."""

    def value_and_gradient(g, *rest):
        trained, kept = split_parameters(g)
        return jax.value_and_grad(lambda trained: loss(eqx.combine(trained, kept), *rest))(trained)

    return value_and_gradient


def _collect(steps) -> FeedbackStep:
    losses, gradients = zip(*steps, strict=True)
    return FeedbackStep(gradients, jnp.stack(losses))


def average_over_noise(step: Callable[[PRNGKeyArray], FeedbackStep], samples: int, key: PRNGKeyArray) -> FeedbackStep:
    """The mean of `step(key)` over `samples` independent noise draws."""
    if samples == 1:
        return step(key)
    steps = jax.vmap(step)(jax.random.split(key, samples))
    return jax.tree.map(lambda x: jnp.mean(x, axis=0), steps)
