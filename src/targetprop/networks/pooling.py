"""Max-pooling along one axis after the other, and its differences without cancellation."""

import functools
from collections.abc import Iterable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


class Windows(NamedTuple):
    """Windows along one axis.

    **Arguments:**

    - `axis`: the axis, counted from the last one, -1.
    - `size`: the number of entries in a window.
    - `stride`: the step from one window to the next.
    - `border`: the numbers of entries that are added before and after.
    """

    axis: int
    size: int
    stride: int
    border: tuple[int, int]


def max_pool(s: Float[Array, "..."], windows: Windows) -> Float[Array, "..."]:
    """The maximum of each window along an axis."""
    return functools.reduce(jnp.maximum, _entries(s, windows, -jnp.inf))


def max_pool_difference(s: Float[Array, "..."], ds: Float[Array, "..."], windows: Iterable[Windows]) -> Float[Array, "..."]:
    """`pool(s + ds) - pool(s)` as `max_j ((s_j - max_k s_k) + ds_j)`, along some axes in turn.

    The largest entry keeps its own displacement, however small. `ds` may have further axes in
    front.
    """
    for one in windows:
        top = max_pool(s, one)
        gaps = (entry - top for entry in _entries(s, one, -jnp.inf))
        moved = [gap + d for gap, d in zip(gaps, _entries(ds, one, 0.0), strict=True)]
        s, ds = top, functools.reduce(jnp.maximum, moved)
    return ds


def _entries(x: Array, windows: Windows, fill: float) -> list[Array]:
    """The first, second, .. entry of each window. Entries outside are `fill`."""
    axis, size, stride, border = windows
    widths = [(0, 0)] * x.ndim
    widths[axis] = border
    padded = jnp.pad(x, widths, constant_values=fill)
    last = (padded.shape[axis] - size) // stride * stride
    return [lax.slice_in_dim(padded, start, start + last + 1, stride, axis % x.ndim) for start in range(size)]
