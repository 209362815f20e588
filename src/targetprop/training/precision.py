"""The floating-point types that JAX may use."""

from contextlib import AbstractContextManager

import jax
import jax.numpy as jnp

from ..errors import ConfigError


def precision(dtype: str) -> AbstractContextManager:
    """A context in which arrays of `dtype` can be made.

    64-bit types are enabled for float64. If they were enabled before, they remain so.

    **Raises:** `ConfigError` if `dtype` is neither float32 nor float64.
    """
    if dtype not in ("float32", "float64"):
        raise ConfigError(f"`dtype` is {dtype}: use float32 or float64.")
    return jax.enable_x64(dtype == "float64" or jnp.result_type(float) == jnp.float64)
