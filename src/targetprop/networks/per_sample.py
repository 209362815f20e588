"""Layers made of callables that map one sample, as the modules of Equinox do."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import shown
from .activations import Activation, Identity
from .convolution import convolve_images, is_plain_convolution
from .layers import Activity, Layer, Point
from .pooling import Windows, max_pool_difference
from .recognition import is_affine, is_module

SampleMap = Callable[[Array], Array]
"""A map of one sample."""

Part = Activation | SampleMap
MAX_POOLS = eqx.nn.MaxPool1d, eqx.nn.MaxPool2d, eqx.nn.MaxPool3d


class PerSample(Layer):
    """A layer that maps each sample of the batch by itself: `f(x) = then(module(before(x)))`.

    `module` is written for one sample, like the modules of Equinox, and the layer maps it over the
    batch. An example is `PerSample(eqx.nn.Conv2d(1, 8, 3, key=key), tp.Tanh())`. The
    pre-activation `a` of the layer is what `module` gives.

    Differences pass through the parts one by one:

    - A linear or affine part maps the displacement by its matrix: convolutions, transposed
      convolutions, mean pooling, and functions that only rearrange their input.
    - An `Activation` and max-pooling have stable differences.
    - For any other part the difference is computed by subtraction.

    **Arguments:**

    - `module`: a callable pytree from one sample to one sample. Its arrays are trained.
    - `then`: what follows, one part or several in their order. Each is an `Activation`, or a
      callable for one sample.
    - `before`: what comes first, in the same form.
    """

    module: SampleMap
    then: tuple[Part, ...]
    before: tuple[Part, ...]

    def __init__(self, module: SampleMap, then: Part | tuple[Part, ...] = (), before: Part | tuple[Part, ...] = ()):
        self.module = module
        self.then = then if isinstance(then, tuple) else (then,)
        self.before = before if isinstance(before, tuple) else (before,)

    def __check_init__(self):
        for name, parts in (("module", (self.module,)), ("then", self.then), ("before", self.before)):
            for part in parts:
                if not callable(part) and jax.tree.leaves(part):
                    raise TypeError(f"`{name}` has {shown(part)}: give an activation, or a callable for one sample.")

    def at(self, x: Activity) -> Point:
        below = x
        for part in self.before:
            below = _apply(part, below)
        a = h = _apply(self.module, below)
        for part in self.then:
            h = _apply(part, h)
        return Point(x, a, h)

    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        below, dx = _move(self.before, point.x, dx)
        da = _difference(self.module, below, point.a, dx)
        return _move(self.then, point.a, da)[1]

    def nonlinearity(self) -> Activation | None:
        if not self.then:
            return Identity()
        return self.then[0] if len(self.then) == 1 and isinstance(self.then[0], Activation) else None

    def has_bias(self) -> bool:
        return getattr(self.module, "bias", self.module) is not None


def _apply(part: Part, x: Activity) -> Activity:
    """A part on a batch."""
    if isinstance(part, Activation):
        return part(x)
    if is_plain_convolution(part):
        a = convolve_images(part, x)
        return a if part.bias is None else a + part.bias
    return jax.vmap(part)(x)


def _apply_linear(part: SampleMap, dx: Array) -> Array:
    """The linear part of an affine part, on a batch."""
    if is_plain_convolution(part):
        return convolve_images(part, dx)
    return jax.vmap(lambda d: jax.jvp(part, (jnp.zeros_like(d),), (d,))[1])(dx)


def _move(parts: tuple[Part, ...], x: Activity, dx: Array) -> tuple[Activity, Array]:
    """`x` and its displacement `dx` after some parts."""
    for part in parts:
        after = _apply(part, x)
        x, dx = after, _difference(part, x, after, dx)
    return x, dx


def _difference(part: Part, x: Activity, y: Activity, dx: Array) -> Array:
    """`part(x + dx) - y` with `y = part(x)`. `dx` may have further axes before the batch axis."""
    if isinstance(part, Activation):
        return part.difference(x, dx)
    if is_module(part, *MAX_POOLS) and not part.use_ceil:
        axes = range(-part.num_spatial_dims, 0)
        return max_pool_difference(x, dx, map(Windows, axes, part.kernel_size, part.stride, part.padding))

    def stacked(apply, given):
        out = apply(part, given.reshape(-1, *x.shape[1:]))
        return out.reshape(*given.shape[: given.ndim - x.ndim + 1], *y.shape[1:])

    if is_affine(part, jax.ShapeDtypeStruct(x.shape[1:], x.dtype)):
        return stacked(_apply_linear, dx)
    return stacked(_apply, x + dx) - y
