"""Weight initialisers: `initializer(key, shape, dtype)` with `shape = (outputs, inputs)`, as Dense stores its weights."""

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

__all__ = ["Initializer", "orthogonal", "xavier_normal", "xavier_uniform"]


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
