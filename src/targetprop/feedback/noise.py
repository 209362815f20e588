"""Noise from which feedback mappings learn: its law, one draw of it, and its way up to the output.

Noise travels as a displacement, never inside a perturbed activity. So float32 loses nothing at a small `sigma`.
"""

import abc
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import check_not_negative, check_positive
from ..networks.layers import Activity, difference
from ..networks.network import Network, Trace

LayerNoise = Sequence[Float[Array, "batch ..."]]


class Noise(eqx.Module):
    """The law of the noise on the activities: independent entries of mean 0 and standard deviation `sigma`.

    `samples` is the number of draws per step, over which the step of the feedback is averaged.
    """

    sigma: eqx.AbstractVar[Any]
    samples: eqx.AbstractVar[int]

    def __check_init__(self):
        check_positive(self, "samples")
        check_not_negative(self, "sigma")

    @abc.abstractmethod
    def standard(self, key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Array:
        """Independent entries of mean 0 and variance 1. One key gives the same numbers in float32 and in float64."""

    def draw(self, key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Array:
        """A displacement of the given shape: `sigma` times standard noise."""
        return self.sigma * self.standard(key, shape, dtype)

    def on_layers(self, trace: Trace, key: PRNGKeyArray) -> list[Activity]:
        """`sigma * eps_i` for the hidden layers `i = 1 .. L-1`, every layer's noise on every sample.

        The layers take their noise from one draw per sample, as wide as the widest of them. No loss sees the noise of two
        layers. So each layer's loss has the same law as with a draw of its own, for a fraction of the random numbers.
        """
        hidden = trace.h[1:-1]
        widths = [math.prod(h.shape[1:]) for h in hidden]
        draw = self.draw(key, (hidden[0].shape[0], max(widths)), hidden[0].dtype)
        return [draw[:, :width].reshape(h.shape) for width, h in zip(widths, hidden, strict=True)]


class Gaussian(Noise):
    """Normal noise, as in the papers."""

    word: ClassVar[str] = "gaussian"

    sigma: float = 0.1
    """Standard deviation of the noise."""
    samples: int = eqx.field(static=True, default=1)
    """Draws per step."""

    def standard(self, key, shape, dtype):
        return jax.random.normal(key, shape, jnp.float32).astype(dtype)


class Rademacher(Noise):
    """Noise of two values, plus and minus `sigma`, each with probability 1/2.

    It has the second moments of `Gaussian`, so losses that are quadratic in the noise have the same minima.
    """

    word: ClassVar[str] = "rademacher"

    sigma: float = 0.1
    """Size of the noise."""
    samples: int = eqx.field(static=True, default=1)
    """Draws per step."""

    def standard(self, key, shape, dtype):
        return jax.random.rademacher(key, shape, jnp.int8).astype(dtype)


class NoiseDraw(NamedTuple):
    """The random numbers of one feedback step: `layers[i - 1]`, the displacement `sigma * eps_i` of hidden layer `i`, shaped
    like its activity, and `probe`, the output displacement that a regularizer needs, or `None`."""

    layers: LayerNoise
    probe: Activity | None = None


class NoiseLoop(NamedTuple):
    """One noisy trip to the output: `noise[i - 1]` on hidden layer `i` alone moved the output by `moved[i - 1]`; `probe` is
    the regularizer's output displacement, or `None`."""

    noise: LayerNoise
    moved: Float[Array, "hidden batch ..."]
    probe: Activity | None


def carry_noise(network: Network, trace: Trace, noise: NoiseDraw) -> NoiseLoop:
    """Perturb every hidden layer by itself and carry the displacements to the output."""
    return NoiseLoop(noise.layers, output_displacements(network, trace, noise.layers), noise.probe)


def output_displacements(network: Network, trace: Trace, noise: LayerNoise) -> Float[Array, "hidden batch ..."]:
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


def average_over_draws(step: Callable[[PRNGKeyArray], Any], samples: int, key: PRNGKeyArray) -> Any:
    """The mean of `step(key)`, a pytree of arrays, over `samples` independent keys."""
    if samples == 1:
        return step(key)
    steps = jax.vmap(step)(jax.random.split(key, samples))
    return jax.tree.map(lambda x: jnp.mean(x, axis=0), steps)
