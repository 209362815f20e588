"""Convolutional layers, on images of shape `(channels, rows, columns)`."""

import functools
from typing import Any, NamedTuple, TypeGuard

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.nn.initializers import Initializer
from jaxtyping import Array, Float, PRNGKeyArray

from .._array_checks import check_key, check_parameter, floating_type
from .._checks import check_fields, check_sizes
from ..errors import ConfigError
from .activations import Activation
from .layers import Activity, Layer, Point
from .pooling import Windows, max_pool, max_pool_difference
from .recognition import is_module

ROWS, COLUMNS = Windows(-3, 3, 2, (1, 1)), Windows(-2, 3, 2, (1, 1))


def xavier_normal_kernels(gain: float = 1.0) -> Initializer:
    """Normal with standard deviation `gain * sqrt(2 / (k k (c_in + c_out)))`.

    For kernels of shape `(c_out, c_in, k, k)`. Both fans include the receptive field (Glorot and
    Bengio 2010).
    """
    return jax.nn.initializers.variance_scaling(gain**2, "fan_avg", "normal", in_axis=1, out_axis=0)


def check_odd(name: str, size: int) -> None:
    """Raises `ConfigError` if the side of a kernel is even: it could not keep rows and columns."""
    if size < 1 or size % 2 == 0:
        raise ConfigError(f"`{name}`: a kernel of size {size} cannot be centered on a pixel: use an odd size.")


class ConvPool(Layer):
    """A convolution, an activation and max-pooling: `f(x) = pool(s(W * x + b))`.

    The convolution has stride 1 and keeps rows and columns. The pooling takes the maximum over
    windows of 3 x 3 with stride 2 and a border of one pixel (Meulemans et al. 2020, Table 3;
    stride and border as in the code of the paper). An input of shape
    `(batch, c_in, rows, columns)` gives an output of shape
    `(batch, c_out, ceil(rows / 2), ceil(columns / 2))`. The pre-activation `a` of the layer is the
    one before pooling.

    **Arguments:**

    - `weight`: `W`, shape `(c_out, c_in, k, k)` with `k` odd.
    - `bias`: `b`, shape `(c_out,)`.
    - `activation`: `s`.
    """

    weight: Float[Array, "c_out c_in k k"]
    bias: Float[Array, " c_out"]
    activation: Activation

    def __check_init__(self):
        check_fields(self)
        check_parameter(self, "weight", (None,) * 4)
        if hasattr(self.weight, "shape"):  # not in the structure of gradients that are left out
            check_parameter(self, "bias", self.weight.shape[:1])
            check_odd("weight", self.weight.shape[-1])

    @classmethod
    def create(
        cls,
        channels: tuple[int, int],
        activation: Activation,
        *,
        size: int = 5,
        initializer: Initializer | None = None,
        key: PRNGKeyArray,
        dtype: Any = None,
    ) -> "ConvPool":
        """A layer with random kernels and zero bias.

        **Arguments:**

        - `channels`: the numbers of channels of input and output.
        - `activation`: the nonlinearity.
        - `size`: the side of the kernels in pixels, odd.
        - `initializer`: initial kernels. Default: Xavier normal.
        - `key`: random key of the kernels.
        - `dtype`: floating-point type. Default: the one of JAX.

        **Returns:** the layer.

        **Raises:** `ConfigError` if `size` is even: such a convolution cannot keep rows and
        columns.
        """
        check_odd("size", size)
        dtype, (c_in, c_out) = floating_type(dtype), check_sizes("channels", channels, least=2)
        check_key(key)
        weight = (initializer or xavier_normal_kernels())(key, (c_out, c_in, size, size), dtype)
        return cls(weight, jnp.zeros(c_out, dtype), activation)

    def at(self, x: Activity) -> Point:
        a = self._convolve(x) + self.bias
        return Point(x, _channels_first(a), _channels_first(max_pool(max_pool(self.activation(a), ROWS), COLUMNS)))

    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        a = _channels_last(point.a)
        da = self._convolve(dx.reshape(-1, *dx.shape[-3:])).reshape(*dx.shape[:-3], *a.shape[1:])
        s, ds = self.activation(a), self.activation.difference(a, da)
        return _channels_first(max_pool_difference(s, ds, (ROWS, COLUMNS)))

    def _convolve(self, x: Float[Array, "batch c_in rows columns"]) -> Float[Array, "batch rows columns c_out"]:
        return convolve(_channels_last(x), jnp.transpose(self.weight, (2, 3, 1, 0)))


def _channels_first(x: Float[Array, "... rows columns channels"]) -> Float[Array, "... channels rows columns"]:
    return jnp.moveaxis(x, -1, -3)


def _channels_last(x: Float[Array, "... channels rows columns"]) -> Float[Array, "... rows columns channels"]:
    return jnp.moveaxis(x, -3, -1)


class Window(NamedTuple):
    """How the kernel of a convolution moves over the rows and columns of an image."""

    strides: tuple[int, ...] = (1, 1)
    padding: str | tuple[tuple[int, int], ...] = "SAME"


KEEPING_SIZE = Window()


def convolve(
    x: Float[Array, "batch rows columns c_in"],
    weight: Float[Array, "rows columns c_in c_out"],
    window: Window = KEEPING_SIZE,
) -> Float[Array, "batch rows columns c_out"]:
    """A convolution, by default with stride 1 and as many rows and columns as the image has.

    On a CPU and inside a loop, as in a training step, XLA is fast only with one order of the axes.
    The derivatives are written such that reverse mode gets this order. Forward mode is slow inside
    a loop.
    """
    return _convolve_on_cpu(x, weight, window) if jax.default_backend() == "cpu" else _convolve(x, weight, window)


def _convolve(x: Array, weight: Array, window: Window, axes: tuple[str, str, str] = ("NHWC", "HWIO", "NHWC")) -> Array:
    return lax.conv_general_dilated(x, weight, *window, dimension_numbers=axes)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _convolve_on_cpu(x, weight, window):
    if x.shape[-1] != 3:
        return _convolve(x, weight, window)
    # XLA is several times slower with three channels than with four.
    x, weight = jnp.pad(x, [(0, 0)] * 3 + [(0, 1)]), jnp.pad(weight, [(0, 0)] * 2 + [(0, 1), (0, 0)])
    return _convolve(x, weight, window)


@_convolve_on_cpu.defjvp
def _derivative(window, primals, tangents):
    (x, weight), (dx, dweight) = primals, tangents
    by_x = _convolve(dx, jnp.transpose(weight, (0, 1, 3, 2)), window, ("NHWC", "HWOI", "NHWC"))
    turned = jnp.transpose(x, (3, 1, 2, 0)), jnp.transpose(dweight, (2, 0, 1, 3))
    by_weight = jnp.transpose(_convolve(*turned, window, ("CHWN", "IHWO", "HWNC")), (2, 0, 1, 3))
    return _convolve_on_cpu(x, weight, window), by_x + by_weight


def is_plain_convolution(part: Any) -> TypeGuard[eqx.nn.Conv2d]:
    """Whether `part` is an `eqx.nn.Conv2d` that `convolve_images` can compute.

    It is, unless it has groups, a dilation, or a border of other values than zeros.
    """
    return (
        is_module(part, eqx.nn.Conv2d)
        and (part.groups, part.dilation, part.padding_mode) == (1, (1, 1), "ZEROS")
        and eqx.is_inexact_array(part.weight)
    )


def convolve_images(conv: eqx.nn.Conv2d, x: Float[Array, "batch c_in _ _"]) -> Float[Array, "batch c_out _ _"]:
    """The linear part of a convolution of Equinox on a batch of images, by `convolve`."""
    kernels = jnp.transpose(conv.weight, (2, 3, 1, 0))
    return _channels_first(convolve(_channels_last(x), kernels, Window(conv.stride, conv.padding)))
