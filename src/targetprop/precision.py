"""Which floating-point types JAX may use."""

from contextlib import AbstractContextManager

import jax
import jax.numpy as jnp


def precision(dtype: str) -> AbstractContextManager:
    """A context in which arrays of `dtype` can be made: 64-bit types are on for float64, and stay on where they were."""
    return jax.enable_x64(dtype == "float64" or jnp.result_type(float) == jnp.float64)
