"""Networks whose layers can be inverted: square weights, invertible activations, auxiliary units.

From layer 2 on, the weight of layer `i` is a square matrix that acts on the first `n_i` units of layer `i - 1`. The others
are the auxiliary units of that layer: nothing reads them on the way up, they are copied from the forward pass on the way
down, and they get no learning signal (Ahmad, van Gerven and Ambrogioni 2020, equation 22). The first layer is never
inverted and may be of any shape.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import ConfigError
from .activations import Activation, NotInvertibleError
from .initializers import Initializer
from .layers import Activity, Dense, Layer, LayerLike, Point, as_layer
from .network import Network

WIDE_RANGE = 10.0  # an activation onto the real line has finite inverses at plus and minus this


class DenseOnFirstUnits(Layer):
    """`f(x) = s(W x[:n] + b)`: a dense layer on the first units of the layer below. The others are auxiliary."""

    dense: Dense

    def at(self, x: Activity) -> Point:
        _, a, h = self.dense.at(x[..., : self._inputs])
        return Point(x, a, h)

    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        read = point._replace(x=point.x[..., : self._inputs])
        return self.dense.difference(read, dx[..., : self._inputs])

    def nonlinearity(self) -> Activation:
        return self.dense.activation

    def inverted_part(self) -> Dense:
        return self.dense

    def has_bias(self) -> bool:
        return self.dense.has_bias()

    @property
    def _inputs(self) -> int:
        return self.dense.weight.shape[1]


def invertible_mlp(
    sizes: Sequence[int],
    activation: Activation,
    *,
    bias: bool = True,
    initializer: Initializer | None = None,
    key: PRNGKeyArray,
    dtype: Any = None,
) -> Network:
    """A network of the given `sizes` (`n_0, n_1, .., n_L`) whose layers from 2 on can be inverted; the activation is that of
    the output too. Where a layer is narrower than the one below, the rest of that one are auxiliary units.

    Weights are Xavier normal unless an `initializer` is given, biases zero. Raises `ConfigError` for a layer `i > 1` that is
    wider than the one below.
    """
    layers: list[LayerLike] = []
    for i, (below, width) in enumerate(itertools.pairwise(sizes), start=1):
        if i > 1 and width > below:
            raise ConfigError(
                f"Layer {i} cannot be inverted: it has {width} units and the layer below has only {below}. Widths may "
                "shrink from layer to layer, or stay; they must not grow."
            )
        inputs = below if i == 1 else width
        dense = Dense.create(
            (inputs, width), activation, bias=bias, initializer=initializer, key=jax.random.fold_in(key, i), dtype=dtype
        )
        layers.append(dense if inputs == below else DenseOnFirstUnits(dense))
    return Network(layers, sizes[0])


def inverted_layers(network: Network, onto: bool = True) -> tuple[Dense, ...]:
    """The dense parts of the layers 2 .. L, those that targets pass on their way down.

    Raises `ConfigError` naming the layer and the reason where one has no inverse. With `onto=False`, activations with a
    bounded image pass: their inverses exist only near the activities, which is enough for vanishing displacements.
    """
    return tuple(_inverted(layer, i, onto) for i, layer in enumerate(network.layers[1:], start=2))


def _inverted(layer: LayerLike, i: int, onto: bool) -> Dense:
    dense = as_layer(layer).inverted_part()
    if dense is None:
        raise ConfigError(
            f"Layer {i} cannot be inverted: {getattr(layer, '__name__', type(layer).__name__)} is no dense layer. Use a "
            "square Dense, or a rule with learned feedback."
        )
    outputs, inputs = dense.weight.shape
    if outputs != inputs:
        raise ConfigError(
            f"Layer {i} cannot be inverted: its weight is {outputs} x {inputs}, not square. Give it {inputs} units, or let "
            f"it read the first {outputs} units of the layer below (DenseOnFirstUnits)."
        )
    check_invertible(dense.activation, i, onto)
    return dense


def check_invertible(activation: Activation, i: int, onto: bool = True) -> None:
    """Raises `ConfigError` naming layer `i` where its activation has no inverse, or, with `onto`, none on all of the real
    line."""
    name = type(activation).__name__
    try:
        with jax.ensure_compile_time_eval():
            ends = activation.inverse(jnp.array([-WIDE_RANGE, WIDE_RANGE]))
    except NotInvertibleError as error:
        raise ConfigError(f"Layer {i} cannot be inverted: {error}") from error
    if onto and not np.all(np.isfinite(ends)):
        raise ConfigError(
            f"Layer {i} cannot be inverted: {name} takes values in a part of the real line only, and targets may lie "
            "outside. Use LeakyReLU or Identity, or vanishing displacements (gamma None)."
        )
