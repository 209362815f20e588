"""Weight initialisers: `initializer(key, shape, dtype)` with `shape = (outputs, inputs)`, as Dense stores its weights."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.nn.initializers import Initializer

from .linear_algebra import one_decomposed

__all__ = ["Initializer", "clipped", "orthogonal", "rejected", "xavier_normal", "xavier_uniform"]


def xavier_normal(gain: float = 1.0) -> Initializer:
    """Normal with standard deviation `gain * sqrt(2 / (n_in + n_out))` (Glorot and Bengio 2010)."""
    return jax.nn.initializers.variance_scaling(gain**2, "fan_avg", "normal", in_axis=-1, out_axis=-2)


def xavier_uniform(gain: float = 1.0) -> Initializer:
    """Uniform on `±gain * sqrt(6 / (n_in + n_out))` (Glorot and Bengio 2010)."""
    return jax.nn.initializers.variance_scaling(gain**2, "fan_avg", "uniform", in_axis=-1, out_axis=-2)


def orthogonal(gain: float = 1.0) -> Initializer:
    """`gain` times a random matrix with orthonormal rows or columns, whichever are fewer."""

    def initialize(key, shape, dtype=jnp.float32, out_sharding=None):
        return jax.nn.initializers.orthogonal(gain, column_axis=-2)(key, shape, dtype, out_sharding)

    return initialize


def rejected(threshold: float = 0.4, initializer: Initializer | None = None, attempts: int = 1000) -> Initializer:
    """Draws of `initializer` (Xavier normal unless given) until the product of the smallest and the largest singular value
    reaches `threshold`; after so many attempts, the draw with the largest product (Meulemans 2019, section 4.2.3)."""
    draw = initializer or xavier_normal()

    def initialize(key, shape, dtype=jnp.float32, out_sharding=None):
        def attempt(carry):
            count, best, product = carry
            matrix = draw(jax.random.fold_in(key, count), shape, dtype, out_sharding)
            s = one_decomposed(matrix)[1]
            found = s[-1] * s[0]
            return count + 1, jnp.where(found > product, matrix, best), jnp.maximum(found, product)

        start = (0, jnp.zeros(shape, dtype), jnp.asarray(-1, dtype))
        return lax.while_loop(lambda carry: (carry[2] < threshold) & (carry[0] < attempts), attempt, start)[1]

    return initialize


def clipped(floor: float = 0.1, initializer: Initializer | None = None) -> Initializer:
    """A draw of `initializer` (Xavier normal unless given) with every singular value below `floor` raised to it (Meulemans
    2019, section 4.2.3)."""
    draw = initializer or xavier_normal()

    def initialize(key, shape, dtype=jnp.float32, out_sharding=None):
        left, s, right = one_decomposed(draw(key, shape, dtype, out_sharding))
        return (left * jnp.maximum(s, floor)) @ right

    return initialize
