"""The floating-point types that JAX may use."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import jax.numpy as jnp

from .._promotion import usual_promotion
from ..errors import ConfigError


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """A context in which arrays of `dtype` can be made.

    64-bit types are enabled for float64. If they were enabled before, they remain so. Arrays
    combine as usual there, whatever the user's settings of promotion.

    **Raises:** `ConfigError` if `dtype` is neither float32 nor float64.
    """
    if dtype not in ("float32", "float64"):
        raise ConfigError(f"`dtype` is {dtype}: use float32 or float64.")
    with jax.enable_x64(dtype == "float64" or jnp.result_type(float) == jnp.float64), usual_promotion():
        yield
