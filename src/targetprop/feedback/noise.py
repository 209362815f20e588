"""The noise from which feedback mappings learn, and its effect on the output.

Noise is a displacement, and is never added to an activity. So float32 loses nothing at a small
`sigma`.
"""

import abc
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._array_checks import CheckedModule
from ..errors import ConfigError, check_count, check_not_negative
from ..networks.layers import Activity, difference
from ..networks.network import Network, Trace

LayerNoise = Sequence[Float[Array, "batch ..."]]


class Noise(CheckedModule):
    """The distribution of the noise on the activities.

    The entries are independent, with mean 0 and standard deviation `sigma`. A step of the feedback
    is averaged over `samples` draws.
    """

    sigma: eqx.AbstractVar[Any]
    samples: eqx.AbstractVar[int]

    def __check_init__(self):
        check_count(self, "samples")
        check_not_negative(self, "sigma")

    @abc.abstractmethod
    def standard(self, key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Array:
        """Independent entries of mean 0 and variance 1.

        The same key gives the same numbers in float32 and in float64.
        """

    def draw(self, key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Array:
        """`sigma` times standard noise, in the given shape."""
        return self.sigma * self.standard(key, shape, dtype)

    def on_layers(self, trace: Trace, key: PRNGKeyArray) -> list[Activity]:
        """`sigma * eps_i` for the hidden layers `i = 1 .. L-1`, all of them on every sample.

        The layers share one draw per sample, as wide as the widest layer. No loss depends on the
        noise of two layers. So the loss of each layer has the same distribution as with a separate
        draw, and fewer random numbers are needed.
        """
        hidden = trace.h[1:-1]
        if not hidden:
            raise ConfigError(
                "There is no hidden layer, so the feedback has nothing to learn: give the network one, or use bp."
            )
        widths = [math.prod(h.shape[1:]) for h in hidden]
        draw = self.draw(key, (hidden[0].shape[0], max(widths)), hidden[0].dtype)
        return [draw[:, :width].reshape(h.shape) for width, h in zip(widths, hidden, strict=True)]


class Gaussian(Noise):
    """Normal noise, as in the papers."""

    word: ClassVar[str] = "gaussian"

    sigma: float = 0.1
    """Standard deviation of the noise."""
    samples: int = eqx.field(static=True, default=1)
    """Number of draws per step."""

    def standard(self, key, shape, dtype):
        return jax.random.normal(key, shape, jnp.float32).astype(dtype)


class Rademacher(Noise):
    """Noise with two values, plus and minus `sigma`, each with probability 1/2.

    It has the second moments of `Gaussian`. So losses that are quadratic in the noise have the
    same minima.
    """

    word: ClassVar[str] = "rademacher"

    sigma: float = 0.1
    """Size of the noise."""
    samples: int = eqx.field(static=True, default=1)
    """Number of draws per step."""

    def standard(self, key, shape, dtype):
        return jax.random.rademacher(key, shape, jnp.int8).astype(dtype)


class NoiseDraw(NamedTuple):
    """The random numbers of one feedback step.

    **Arguments:**

    - `layers`: `layers[i - 1]` is the displacement `sigma * eps_i` of hidden layer `i`, in the
      shape of its activity.
    - `probe`: a displacement of the output that the learner or its regularizer needs, or `None`.
    """

    layers: LayerNoise
    probe: Activity | None = None


class NoiseLoop(NamedTuple):
    """The noise on the hidden layers and its effect on the output.

    **Arguments:**

    - `noise`: `noise[i - 1]` is the noise on hidden layer `i`.
    - `moved`: `moved[i - 1]` is the displacement of the output if layer `i` alone has noise.
    - `probe`: a displacement of the output that the learner or its regularizer needs, or `None`.
    """

    noise: LayerNoise
    moved: Float[Array, "hidden batch ..."]
    probe: Activity | None


def carry_noise(network: Network, trace: Trace, noise: NoiseDraw) -> NoiseLoop:
    """Perturb every hidden layer separately, and compute the displacements of the output."""
    return NoiseLoop(noise.layers, output_displacements(network, trace, noise.layers), noise.probe)


def output_displacements(network: Network, trace: Trace, noise: LayerNoise) -> Float[Array, "hidden batch ..."]:
    """How the output moves if one hidden layer `i` is perturbed by `noise[i - 1]`, for every `i`.

    The perturbations of all layers below pass through a layer as one batch. So each layer costs
    one matrix product.
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
