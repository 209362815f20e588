"""Which floating-point types JAX may use."""

from contextlib import AbstractContextManager

import jax
import jax.numpy as jnp

from ..errors import ConfigError


def precision(dtype: str) -> AbstractContextManager:
    """A context in which arrays of `dtype` can be made: 64-bit types are on for float64, and stay on where they were.
    Raises `ConfigError` for a type but float32 and float64."""
    if dtype not in ("float32", "float64"):
        raise ConfigError(f"Nothing is computed in {dtype}: use the dtype float32 or float64.")
    return jax.enable_x64(dtype == "float64" or jnp.result_type(float) == jnp.float64)
