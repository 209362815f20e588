"""Feedback mappings `g_i`: how a signal from higher up is carried down to layer `i`."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from ..activations import Activation
from ..network import Activity, Dense, Layer, Network, Point


class DenseFeedback(Layer):
    """`g(h) = t(Q h + c)` on flattened activities, so that layers of any shape can be joined.

    `outputs` is the shape of the activity that is predicted. Meulemans et al. 2020, equation (3).
    """

    dense: Dense
    outputs: tuple[int, ...] = eqx.field(static=True)

    def at(self, x: Activity) -> Point:
        _, a, h = self.dense.at(x)
        return Point(x, a, h.reshape(x.shape[0], *self.outputs))

    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        moved = self.dense.difference(point, dx)
        return moved.reshape(*moved.shape[:-1], *self.outputs)


FeedbackMaps = tuple[DenseFeedback, ...]


def layerwise_maps(network: Network, activation: Activation, *, key: PRNGKeyArray) -> FeedbackMaps:
    """One mapping `g_i` from layer `i + 1` down to layer `i`, for `i = 1 .. L-1`; Xavier normal, biases zero."""
    return feedback_maps(network, network.shapes[2:], activation, key=key)


def direct_maps(network: Network, activation: Activation, *, key: PRNGKeyArray) -> FeedbackMaps:
    """One mapping `g_i` from the output straight to layer `i`, for `i = 1 .. L-1`; Xavier normal, biases zero."""
    return feedback_maps(network, network.shapes[-1:] * (network.depth - 1), activation, key=key)


def feedback_maps(
    network: Network, sources: Sequence[tuple[int, ...]], activation: Activation, *, key: PRNGKeyArray
) -> FeedbackMaps:
    """One mapping down to each layer `i = 1 .. L-1` from a source of shape `sources[i - 1]`; Xavier normal, biases zero."""
    return tuple(
        DenseFeedback(
            Dense.create(
                math.prod(source),
                math.prod(shape),
                activation,
                key=jax.random.fold_in(key, i),
                dtype=network.dtype,
            ),
            shape,
        )
        for i, (source, shape) in enumerate(zip(sources, network.shapes[1:-1], strict=True), start=1)
    )
