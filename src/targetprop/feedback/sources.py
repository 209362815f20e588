"""What direct feedback mappings read: the output itself, or a fixed random hidden layer above which they sit.

A mapping `g_i` is a layer; its source says at which activity it is evaluated, and how that activity moves with the output.
"""

import abc
import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import ConfigError
from ..networks.activations import Tanh
from ..networks.network import Activity, Dense, Fixed, Network, Point, Trace
from .maps import FeedbackMaps


class Source(eqx.Module):
    """What one direct mapping reads."""

    @property
    @abc.abstractmethod
    def activity(self) -> Activity:
        """What is read at the clean output, shape `(batch, ...)`."""

    @abc.abstractmethod
    def displacement(self, dx: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        """How `activity` moves when the output moves by `dx`."""


class OutputSource(Source):
    """The output itself."""

    output: Activity

    @property
    def activity(self) -> Activity:
        return self.output

    def displacement(self, dx: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        return dx


class HiddenSource(Source):
    """A feedback layer `u = tanh(R h_L + d)` on top of the output."""

    layer: Dense
    point: Point

    @property
    def activity(self) -> Activity:
        return self.point.h

    def displacement(self, dx: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        return self.layer.difference(self.point, dx.reshape(self.point.x.shape))


class RecurrentSource(Source):
    """Another source, side by side with the layer's own activity, which stays as it is when the output moves."""

    source: Source
    own: Activity

    @property
    def activity(self) -> Activity:
        return jnp.concatenate([_flat(self.source.activity), _flat(self.own)], axis=1)

    def displacement(self, dx: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        moved = _flat(self.source.displacement(dx))
        return jnp.concatenate([moved, jnp.zeros_like(_flat(self.own))], axis=1)


def _flat(activity: Activity) -> Activity:
    return activity.reshape(activity.shape[0], -1)


def output_sources(trace: Trace) -> tuple[Source, ...]:
    """The output, for every hidden layer."""
    return (OutputSource(trace.output),) * (len(trace.points) - 1)


class RandomHiddenFeedback(NamedTuple):
    """Direct mappings that share one random hidden layer `u = tanh(R h_L + d)`, which is not trained.

    `maps[i - 1]` leads from the hidden layer to layer `i`; the last one leads to layer `L - 1` from the output itself.
    """

    hidden: Fixed
    maps: FeedbackMaps

    def sources(self, trace: Trace) -> tuple[Source, ...]:
        """What each mapping reads: `u`, and for the last one `h_L`."""
        layer = self.hidden.value
        shared = HiddenSource(layer, layer.at(_flat(trace.output)))
        return (*(shared,) * (len(self.maps) - 1), OutputSource(trace.output))

    def recurrent_sources(self, trace: Trace) -> tuple[Source, ...]:
        """The same, with `u` beside the clean activity of the mapping's own layer: `(u, h_i)`."""
        *hidden, output = self.sources(trace)
        return (*(RecurrentSource(*pair) for pair in zip(hidden, trace.h[1:-2], strict=True)), output)


def random_hidden_layer(network: Network, width: int, *, key: PRNGKeyArray) -> Fixed:
    """`u = tanh(R h_L + d)` with `width` units; `R` and `d` are uniform on `±1 / sqrt(n_L)` and never trained."""
    if width < 1:
        raise ConfigError(f"A random hidden layer of {width} units carries nothing: choose a width of 1 or more.")
    outputs = math.prod(network.shapes[-1])
    bound = outputs**-0.5
    weight_key, bias_key = jax.random.split(key)
    weight = jax.random.uniform(weight_key, (width, outputs), network.dtype, -bound, bound)
    bias = jax.random.uniform(bias_key, (width,), network.dtype, -bound, bound)
    return Fixed(Dense(weight, bias, Tanh()))
