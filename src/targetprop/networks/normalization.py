"""Batch normalization, as a part of the layer that reads the normalized activity."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from .activations import Activation
from .layers import Activity, Dense, Layer, Point

EPSILON = 1e-5


class BatchNormalized(Layer):
    """A dense layer on normalized inputs: `f(x) = s(W (x - mean) / sd + b)`.

    `mean` and `sd` are the mean and standard deviation of each unit over the minibatch. There is
    no learned scale or shift (Meulemans 2019, Algorithms A.1 and A.3).

    - Derivatives treat `mean` and `sd` as constants. So `W` learns from the normalized activity,
      and a target travels back through `x = sd * x_n + mean`.
    - Every minibatch is normalized by its own statistics, also in an evaluation. Evaluate many
      samples at a time, not single ones.
    - `sd` is never below `sqrt(1e-5)`.
    """

    dense: Dense

    def nonlinearity(self) -> Activation:
        return self.dense.activation

    def has_bias(self) -> bool:
        return self.dense.has_bias()

    def scale(self, x: Activity) -> Float[Array, " units"]:
        """The standard deviation of each unit of `x` over the minibatch."""
        flat = x.reshape(x.shape[0], -1)
        return lax.stop_gradient(jnp.sqrt(jnp.var(flat, axis=0) + EPSILON))

    def at(self, x: Activity) -> Point:
        flat = x.reshape(x.shape[0], -1)
        point = self.dense.at((flat - lax.stop_gradient(jnp.mean(flat, axis=0))) / self.scale(x))
        return Point(x, point.a, point.h)

    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        leading = dx.shape[: dx.ndim - point.x.ndim + 1]
        flat = point._replace(x=point.x.reshape(point.x.shape[0], -1))
        return self.dense.difference(flat, dx.reshape(*leading, -1) / self.scale(point.x))
