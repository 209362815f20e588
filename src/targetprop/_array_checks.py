"""Checks of arrays and random keys of JAX, and of the fields of modules."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._checks import check_fields, shown
from .errors import ConfigError


class CheckedModule(eqx.Module):
    """A module whose fields are checked against their annotations when an object is made."""

    def __check_init__(self):
        check_fields(self)


def check_parameter(owner: Any, name: str, shape: tuple[int | None, ...]) -> None:
    """Check that a field is an array of floating-point numbers, or `None`.

    **Arguments:**

    - `owner`, `name`: the object and its field.
    - `shape`: the size of each axis, or `None` for any.

    **Raises:** `ConfigError` if it is not.
    """
    value, kind = getattr(owner, name), type(owner).__name__
    if value is None:
        return
    if not (hasattr(value, "shape") and hasattr(value, "dtype")) or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ConfigError(f"{kind} needs floating-point numbers as {name}, not {shown(value)}: use jnp.asarray(.., float).")
    if len(value.shape) != len(shape) or any(own not in (None, size) for own, size in zip(shape, value.shape, strict=True)):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ConfigError(f"{kind} needs {name} of shape ({wanted}), not of shape {tuple(value.shape)}.")


def floating_type(dtype: Any) -> jnp.dtype:
    """The type of new parameters. `None` stands for that of JAX.

    **Raises:** `ConfigError` if it is no floating-point type.
    """
    try:
        found = jnp.dtype(dtype or jnp.result_type(float))
    except TypeError as error:
        raise ConfigError(f"`dtype` is {shown(dtype)}: use float32 or float64.") from error
    if not jnp.issubdtype(found, jnp.floating):
        raise ConfigError(f"`dtype` is {found}: use float32 or float64.")
    return found


def check_key(key: Any, name: str = "key") -> None:
    """Check that an argument is one random key of JAX, of the new or the old kind.

    **Raises:** `TypeError` if it is none.
    """
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
    new = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    if not (shape == () if new else dtype == np.uint32 and shape in ((2,), (4,))):
        raise TypeError(f"`{name}` is {shown(key)}, not a random key: give jax.random.key(0).")
