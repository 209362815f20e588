"""Batch normalization, as a part of the layer that reads the normalized activity."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ..errors import ConfigError
from .activations import Activation
from .invertible import DenseOnFirstUnits
from .layers import Activity, Dense, Layer, Point, Statistics
from .network import Network

EPSILON = 1e-5


class BatchNormalized(Layer):
    """A dense layer on normalized inputs: `f(x) = s(W (x - mean) / sd + b)`.

    `mean` and `sd` are the mean and standard deviation of each unit over the minibatch. There is
    no learned scale or shift (Meulemans 2019, Algorithms A.1 and A.3).

    - Derivatives treat `mean` and `sd` as constants. So `W` learns from the normalized activity,
      and a target travels back through `x = sd * x_n + mean`.
    - An inverse undoes the normalization with the statistics of the minibatch that the layer was
      evaluated on.
    - Every minibatch is normalized by its own statistics, also in an evaluation. Evaluate many
      samples at a time, not single ones.
    - `sd` is never below `sqrt(1e-5)`.

    **Arguments:**

    - `dense`: the layer that reads the normalized activity. It may read only the first units.
    """

    dense: Dense | DenseOnFirstUnits

    def nonlinearity(self) -> Activation:
        return self.dense.nonlinearity()

    def has_bias(self) -> bool:
        return self.dense.has_bias()

    def inverted_part(self) -> Dense:
        return self.dense.inverted_part()

    def statistics(self, x: Activity) -> Statistics:
        flat = x.reshape(x.shape[0], -1)
        return lax.stop_gradient(Statistics(jnp.mean(flat, axis=0), jnp.sqrt(jnp.var(flat, axis=0) + EPSILON)))

    def inverted_input(self, x: Activity) -> Float[Array, "batch n"]:
        return self.dense.inverted_input(self._normalized(x))

    def input_displacement(self, x: Activity, dz: Float[Array, "batch n"]) -> Activity:
        flat = self.dense.input_displacement(x.reshape(x.shape[0], -1), dz)
        return (flat * self.statistics(x).deviation).reshape(x.shape)

    def at(self, x: Activity) -> Point:
        point = self.dense.at(self._normalized(x))
        return Point(x, point.a, point.h)

    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        leading = dx.shape[: dx.ndim - point.x.ndim + 1]
        flat = point._replace(x=point.x.reshape(point.x.shape[0], -1))
        return self.dense.difference(flat, dx.reshape(*leading, -1) / self.statistics(point.x).deviation)

    def _normalized(self, x: Activity) -> Float[Array, "batch units"]:
        mean, deviation = self.statistics(x)
        return (x.reshape(x.shape[0], -1) - mean) / deviation


def batch_normalized(network: Network) -> Network:
    """A network with the same weights, each of whose layers normalizes its input.

    **Arguments:**

    - `network`: a network of dense layers, which may have auxiliary units.

    **Returns:** the network.

    **Raises:** `ConfigError` if a layer is not dense. The message names the layer.
    """
    layers = []
    for i, layer in enumerate(network.layers, start=1):
        if not isinstance(layer, Dense | DenseOnFirstUnits):
            raise ConfigError(f"Layer {i} cannot be normalized: a {type(layer).__name__} is not dense. Use dense layers.")
        layers.append(BatchNormalized(layer))
    return Network(layers, network.input_shape)
