"""Networks with invertible layers: square weights, invertible activations, auxiliary units.

From layer 2 on, the weight of layer `i` is a square matrix. It acts on the first `n_i` units of
layer `i - 1`. The other units of layer `i - 1` are auxiliary: no layer reads them in the forward
pass, their targets are copies of their activities, and they get no learning signal (Ahmad, van
Gerven and Ambrogioni 2020, equation 22). The first layer is never inverted and may have any shape.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._array_checks import check_key
from .._checks import check_fields, check_is, check_sizes
from .._promotion import usual_promotion
from ..errors import ConfigError
from .activations import Activation, NotInvertibleError
from .initializers import Initializer
from .layers import Activity, Dense, Layer, LayerLike, Point, as_layer
from .network import Network

WIDE_RANGE = 10.0
"""The inverse of an activation onto the real line is finite at plus and minus this value."""


class DenseOnFirstUnits(Layer):
    """`f(x) = s(W x[:n] + b)`: a dense layer on the first `n` units of the layer below.

    The other units of the layer below are auxiliary.
    """

    dense: Dense

    def __check_init__(self):
        check_fields(self)

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

    def inverted_input(self, x: Activity) -> Float[Array, "batch n"]:
        return x.reshape(x.shape[0], -1)[:, : self._inputs]

    def input_displacement(self, x: Activity, dz: Float[Array, "batch n"]) -> Activity:
        auxiliary = math.prod(x.shape[1:]) - self._inputs
        return jnp.pad(dz, ((0, 0), (0, auxiliary))).reshape(x.shape)

    def has_bias(self) -> bool:
        return self.dense.has_bias()

    @property
    def _inputs(self) -> int:
        return self.dense.weight.shape[1]


@usual_promotion()
def invertible_mlp(
    sizes: Sequence[int],
    activation: Activation,
    *,
    bias: bool = True,
    initializer: Initializer | None = None,
    key: PRNGKeyArray,
    dtype: Any = None,
) -> Network:
    """A dense network whose layers are invertible from layer 2 on.

    If a layer is narrower than the layer below, it reads the first units of the layer below. The
    other units are auxiliary. Biases start at zero.

    **Arguments:**

    - `sizes`: the widths `n_0, n_1, .., n_L`.
    - `activation`: the nonlinearity of all layers, the output layer too.
    - `bias`: whether layers have biases.
    - `initializer`: initial weights. Default: Xavier normal.
    - `key`: random key of the weights.
    - `dtype`: floating-point type. Default: the one of JAX.

    **Returns:** the network.

    **Raises:** `ConfigError` if a layer `i > 1` is wider than the layer below.
    """
    layers: list[LayerLike] = []
    sizes = check_sizes("sizes", sizes, least=2)
    check_is("activation", activation, Activation)
    check_key(key)
    for i, (below, width) in enumerate(itertools.pairwise(sizes), start=1):
        if i > 1 and width > below:
            raise ConfigError(
                f"Layer {i} cannot be inverted: it has {width} units and the layer below has only {below}. "
                "Use widths that do not grow from layer to layer."
            )
        inputs = below if i == 1 else width
        dense = Dense.create(
            (inputs, width), activation, bias=bias, initializer=initializer, key=jax.random.fold_in(key, i), dtype=dtype
        )
        layers.append(dense if inputs == below else DenseOnFirstUnits(dense))
    return Network(layers, sizes[0])


def inverted_layers(network: Network, onto: bool = True) -> tuple[Dense, ...]:
    """The dense parts of the layers 2 .. L, which exact inverses invert.

    **Arguments:**

    - `network`: the network.
    - `onto`: whether the inverse of each activation must exist on the whole real line. If not,
      activations with a bounded image are accepted too. Their inverses exist only near the
      activities, which is enough for infinitesimal displacements.

    **Returns:** one dense layer for each of the layers 2 .. L.

    **Raises:** `ConfigError` if a layer has no inverse. The message names the layer and the
    reason.
    """
    return tuple(_inverted(layer, i, onto) for i, layer in enumerate(network.layers[1:], start=2))


def _inverted(layer: LayerLike, i: int, onto: bool) -> Dense:
    dense = as_layer(layer).inverted_part()
    if dense is None:
        raise ConfigError(
            f"Layer {i} cannot be inverted: {getattr(layer, '__name__', type(layer).__name__)} is not a dense layer. "
            "Use a square Dense, or a rule with learned feedback."
        )
    outputs, inputs = dense.weight.shape
    if outputs != inputs:
        raise ConfigError(
            f"Layer {i} cannot be inverted: its weight is {outputs} x {inputs}, not square. Give it {inputs} units, "
            f"or let it read the first {outputs} units of the layer below (DenseOnFirstUnits)."
        )
    check_invertible(dense.activation, i, onto)
    return dense


def check_invertible(activation: Activation, i: int, onto: bool = True) -> None:
    """Check that the activation of layer `i` has an inverse; with `onto`, on the whole real line.

    **Raises:** `ConfigError` if it has none. The message names the layer.
    """
    name = type(activation).__name__
    try:
        with jax.ensure_compile_time_eval():
            ends = activation.inverse(jnp.array([-WIDE_RANGE, WIDE_RANGE]))
    except NotInvertibleError as error:
        raise ConfigError(f"Layer {i} cannot be inverted: {error}") from error
    if onto and not np.all(np.isfinite(ends)):
        raise ConfigError(
            f"Layer {i} cannot be inverted: {name} takes values in a part of the real line only, and targets may lie "
            "outside. Use LeakyReLU or Identity, or infinitesimal displacements (gamma None)."
        )
