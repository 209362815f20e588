"""How arrays of different shapes and types combine in the library, whatever the user's settings."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def usual_promotion() -> Iterator[None]:
    """NumPy's rules inside, also where JAX_NUMPY_RANK_PROMOTION or JAX_NUMPY_DTYPE_PROMOTION forbid
    them. Those settings are for the user's own code. Usable as a decorator.
    """
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield
