"""Convolutional layers, on images of shape `(channels, rows, columns)`."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.nn.initializers import Initializer
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import ConfigError
from .activations import Activation
from .layers import Activity, Layer, Point

Images = Float[Array, "... rows columns channels"]

ROWS, COLUMNS = -3, -2


def xavier_normal_kernels(gain: float = 1.0) -> Initializer:
    """Normal with standard deviation `gain * sqrt(2 / (k k (c_in + c_out)))`.

    For kernels of shape `(c_out, c_in, k, k)`. Both fans include the receptive field (Glorot and
    Bengio 2010).
    """
    return jax.nn.initializers.variance_scaling(gain**2, "fan_avg", "normal", in_axis=1, out_axis=0)


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
        if size < 1 or size % 2 == 0:
            raise ConfigError(f"A kernel of size {size} cannot be centered on a pixel: use an odd size.")
        dtype, (c_in, c_out) = jnp.dtype(dtype or jnp.result_type(float)), channels
        weight = (initializer or xavier_normal_kernels())(key, (c_out, c_in, size, size), dtype)
        return cls(weight, jnp.zeros(c_out, dtype), activation)

    def at(self, x: Activity) -> Point:
        a = self._convolve(x) + self.bias
        return Point(x, _channels_first(a), _channels_first(_pool(_pool(self.activation(a), ROWS), COLUMNS)))

    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        a = _channels_last(point.a)
        da = self._convolve(dx.reshape(-1, *dx.shape[-3:])).reshape(*dx.shape[:-3], *a.shape[1:])
        s, ds = self.activation(a), self.activation.difference(a, da)
        return _channels_first(_pool_difference(_pool(s, ROWS), _pool_difference(s, ds, ROWS), COLUMNS))

    def _convolve(self, x: Float[Array, "batch c_in rows columns"]) -> Float[Array, "batch rows columns c_out"]:
        return convolve(_channels_last(x), jnp.transpose(self.weight, (2, 3, 1, 0)))


def _channels_first(x: Float[Array, "... rows columns channels"]) -> Float[Array, "... channels rows columns"]:
    return jnp.moveaxis(x, -1, -3)


def _channels_last(x: Float[Array, "... channels rows columns"]) -> Float[Array, "... rows columns channels"]:
    return jnp.moveaxis(x, -3, -1)


def convolve(
    x: Float[Array, "batch rows columns c_in"], weight: Float[Array, "k k c_in c_out"]
) -> Float[Array, "batch rows columns c_out"]:
    """A convolution with stride 1 that keeps rows and columns, with zeros outside the image.

    On a CPU and inside a loop, as in a training step, XLA is fast only with one order of the axes.
    The derivatives are written such that reverse mode gets this order. Forward mode is slow inside
    a loop.
    """
    return _convolve_on_cpu(x, weight) if jax.default_backend() == "cpu" else _convolve(x, weight)


def _convolve(x: Array, weight: Array, axes: tuple[str, str, str] = ("NHWC", "HWIO", "NHWC")) -> Array:
    return lax.conv_general_dilated(x, weight, (1, 1), "SAME", dimension_numbers=axes)


@jax.custom_jvp
def _convolve_on_cpu(x, weight):
    if x.shape[-1] != 3:
        return _convolve(x, weight)
    # XLA is several times slower with three channels than with four.
    return _convolve(jnp.pad(x, [(0, 0)] * 3 + [(0, 1)]), jnp.pad(weight, [(0, 0)] * 2 + [(0, 1), (0, 0)]))


@_convolve_on_cpu.defjvp
def _derivative(primals, tangents):
    (x, weight), (dx, dweight) = primals, tangents
    by_x = _convolve(dx, jnp.transpose(weight, (0, 1, 3, 2)), ("NHWC", "HWOI", "NHWC"))
    turned = jnp.transpose(x, (3, 1, 2, 0)), jnp.transpose(dweight, (2, 0, 1, 3))
    by_weight = jnp.transpose(_convolve(*turned, ("CHWN", "IHWO", "HWNC")), (2, 0, 1, 3))
    return _convolve_on_cpu(x, weight), by_x + by_weight


def _neighbors(s: Images, axis: int, border: float) -> tuple[Images, Images, Images]:
    """The first, middle and last entry of each window of 3 along an axis, with stride 2.

    Entries outside are `border`.
    """
    size = s.shape[axis]
    widths = [(0, 0)] * s.ndim
    widths[axis] = (1, 1)
    padded = jnp.pad(s, widths, constant_values=border)
    first, middle, last = (
        lax.slice_in_dim(padded, start, start + size + size % 2 - 1, 2, axis % s.ndim) for start in range(3)
    )
    return first, middle, last


def _pool(s: Images, axis: int) -> Images:
    """The maximum of 3 neighbors along an axis, with stride 2."""
    first, middle, last = _neighbors(s, axis, -jnp.inf)
    return jnp.maximum(jnp.maximum(first, middle), last)


def _pool_difference(s: Images, ds: Images, axis: int) -> Images:
    """`pool(s + ds) - pool(s)` as `max_j ((s_j - max_k s_k) + ds_j)`.

    The largest entry keeps its own displacement, however small. `ds` may have further axes in
    front.
    """
    top = _pool(s, axis)
    gaps = (entry - top for entry in _neighbors(s, axis, -jnp.inf))
    moved = [gap + d for gap, d in zip(gaps, _neighbors(ds, axis, 0.0), strict=True)]
    return jnp.maximum(jnp.maximum(moved[0], moved[1]), moved[2])
