"""The layers that feedback mappings `g_i` consist of, and the paths of targets through them."""

import dataclasses
import math
from collections.abc import Sequence

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from .._linear_algebra import pseudo_inverse
from ..errors import ConfigError
from ..networks.activations import Activation, Identity
from ..networks.invertible import check_invertible
from ..networks.layers import Activity, Dense, Fixed, Layer, LayerLike, Point, Statistics, as_layer
from ..networks.network import Network, Trace
from .readings import ActivityReading, Reading


class DenseFeedback(Layer):
    """`g(h) = t(Q h + c)` on flattened activities, between layers of any shape.

    Meulemans et al. 2020, equation (3).

    **Arguments:**

    - `dense`: `Q`, `c` and `t`.
    - `outputs`: the shape of the activity that is predicted.
    """

    dense: Dense
    outputs: tuple[int, ...] = eqx.field(static=True)

    def at(self, x: Activity) -> Point:
        _, a, h = self.dense.at(x)
        return Point(x, a, h.reshape(x.shape[0], *self.outputs))

    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        moved = self.dense.difference(point, dx)
        return moved.reshape(*moved.shape[:-1], *self.outputs)


class InverseFeedback(Layer):
    """`g(h) = Q s^{-1}(h) + c`, in the form of the inverse of `h = s(W x + b)`.

    `s` is the nonlinearity of the layer that is read. `g` is its inverse for `Q = W^{-1}` and
    `c = -Q b` (Meulemans 2019, equation 4.90, without `c`).

    **Arguments:**

    - `linear`: `a -> Q a + c`.
    - `activation`: `s`.
    - `outputs`: the shape of the activity that is predicted.
    - `normalization`: the `Statistics` of that activity, if the layer that is read normalizes it. Then
      `Q s^{-1}(h) + c` is the normalized activity (Meulemans 2019, Algorithm A.1).
    """

    linear: Dense
    activation: Activation
    outputs: tuple[int, ...] = eqx.field(static=True)
    normalization: Fixed | None = None

    def at(self, x: Activity) -> Point:
        a = h = self.linear.at(self.activation.inverse(x)).h
        if self.normalization is not None:
            h = h * self.normalization.value.deviation + self.normalization.value.mean
        return Point(x, a, h.reshape(x.shape[0], *self.outputs))

    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        moved = self.activation.inverse_difference(point.x, dx) @ self.linear.weight.T
        if self.normalization is not None:
            moved = moved * self.normalization.value.deviation
        return moved.reshape(*moved.shape[:-1], *self.outputs)

    def with_statistics(self, statistics: Statistics | None) -> "InverseFeedback":
        """The mapping for a minibatch with these statistics. `None`: without normalization."""
        return dataclasses.replace(self, normalization=None if statistics is None else Fixed(statistics))


FeedbackMap = DenseFeedback | InverseFeedback
FeedbackMaps = tuple[DenseFeedback, ...]
InverseMaps = tuple[InverseFeedback, ...]


class Path(eqx.Module):
    """The path of a target to one hidden layer.

    **Arguments:**

    - `g`: the mapping.
    - `reading`: what `g` reads.
    - `above`: the number of the layer whose displacement `g` reads. 1 is the first layer.
    """

    g: Layer
    reading: Reading
    above: int = eqx.field(static=True)

    @property
    def point(self) -> Point:
        """Where `g` is evaluated without any displacement."""
        return self.g.at(self.reading.activity)


def layerwise_paths(maps: Sequence[Layer], trace: Trace) -> tuple[Path, ...]:
    """The paths of mappings that each read the activity of the layer above."""
    above = enumerate(trace.h[2:], start=2)
    return tuple(Path(g, ActivityReading(h), i) for g, (i, h) in zip(maps, above, strict=True))


def direct_paths(maps: Sequence[Layer], trace: Trace) -> tuple[Path, ...]:
    """The paths of mappings that read the output."""
    output = ActivityReading(trace.output)
    return tuple(Path(g, output, len(trace.points)) for g in maps)


def inverse_maps(network: Network) -> InverseMaps:
    """One mapping `g_i(h) = Q_i s_{i+1}^{-1}(h) + c_i` from layer `i + 1` to layer `i = 1 .. L-1`.

    They start at the pseudo-inverse: `Q_i = W_{i+1}^†`, `c_i = -Q_i b_{i+1}` (Meulemans 2019,
    sections 4.3.2 and 5.2.2).

    **Raises:** `ConfigError` if one of the layers 2 .. L is not dense, or if its activation is not
    invertible on the whole real line. The message names the layer.
    """
    pairs = enumerate(zip(network.layers[1:], network.shapes[1:-1], strict=True), start=2)
    return tuple(_inverse_map(layer, shape, i) for i, (layer, shape) in pairs)


def _inverse_map(layer: LayerLike, shape: tuple[int, ...], i: int) -> InverseFeedback:
    dense = as_layer(layer).inverted_part()
    if dense is None or dense.weight.shape[1] != math.prod(shape):
        raise ConfigError(
            "Feedback of the form Q s^{-1}(h) needs dense layers with a known nonlinearity s, "
            f"but layer {i} is not dense. Use a rule whose feedback is t(Q h), such as dtp."
        )
    check_invertible(dense.activation, i)
    weight = pseudo_inverse(dense.weight)
    bias = None if dense.bias is None else -weight @ dense.bias
    return InverseFeedback(Dense(weight, bias, Identity()), dense.activation, shape)


def for_minibatch(network: Network, maps: InverseMaps, trace: Trace) -> InverseMaps:
    """The mappings with the statistics of a minibatch, where the layer above normalizes its input."""
    layers = zip(network.layers[1:], maps, trace.points[1:], strict=True)
    return tuple(g.with_statistics(as_layer(layer).statistics(point.x)) for layer, g, point in layers)


def without_normalization(network: Network, maps: Sequence[Layer]) -> tuple[Network, tuple[Layer, ...]]:
    """Layers and mappings between normalized activities.

    Where a mapping of the form of an inverse has statistics, these are left out, and the layer is
    replaced by its dense part.
    """
    layers, inner = list(network.layers), list(maps)
    for i, g in enumerate(maps):
        if isinstance(g, InverseFeedback) and g.normalization is not None:
            dense = as_layer(layers[i + 1]).inverted_part()
            assert dense is not None  # `inverse_maps` checked it
            layers[i + 1], inner[i] = dense, g.with_statistics(None)
    return eqx.tree_at(lambda tree: tree.layers, network, tuple(layers)), tuple(inner)


def layerwise_maps(network: Network, activation: Activation, *, key: PRNGKeyArray) -> FeedbackMaps:
    """One mapping `g_i` from layer `i + 1` to layer `i`, for `i = 1 .. L-1`.

    Weights start Xavier normal, biases at zero.
    """
    return feedback_maps(network, network.shapes[2:], activation, key=key)


def direct_maps(network: Network, activation: Activation, *, key: PRNGKeyArray) -> FeedbackMaps:
    """One mapping `g_i` from the output directly to layer `i`, for `i = 1 .. L-1`.

    Weights start Xavier normal, biases at zero.
    """
    return feedback_maps(network, network.shapes[-1:] * (network.depth - 1), activation, key=key)


def feedback_maps(
    network: Network, sources: Sequence[tuple[int, ...]], activation: Activation, *, key: PRNGKeyArray
) -> FeedbackMaps:
    """One mapping to each layer `i = 1 .. L-1` from a source of shape `sources[i - 1]`.

    Weights start Xavier normal, biases at zero. A mapping has no bias if the layer that it
    predicts has none.
    """
    return tuple(
        DenseFeedback(
            Dense.create(
                (math.prod(source), math.prod(shape)),
                activation,
                bias=as_layer(layer).has_bias(),
                key=jax.random.fold_in(key, i),
                dtype=network.dtype,
            ),
            shape,
        )
        for i, (source, shape, layer) in enumerate(
            zip(sources, network.shapes[1:-1], network.layers[:-1], strict=True), start=1
        )
    )
