"""Element-wise nonlinearities, with the differences that target propagation needs.

Each activation `s` gives its value, its slope, its inverse if there is one, and two *differences*:

    difference(a, d)         = s(a + d) - s(a)
    inverse_difference(h, d) = s^{-1}(h + d) - s^{-1}(h)

They are computed without cancellation. The relative error stays at the rounding level for all `a`
and `d`, even for tiny displacements and saturated activations. The subtraction of two float32
activations loses a displacement below 1e-7. The same holds for the derivatives of the differences:

    d difference(a, d) = s'(a + d) dd + (s'(a + d) - s'(a)) da

with the difference of the slopes in a form that does not cancel. The other way to write it,
`s'(a + d)(da + dd) - s'(a) da`, loses digits as `1 / d`.
"""

import abc
import math
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._array_checks import CheckedModule
from ..errors import ConfigError

Values = Float[Array, "..."]


class NotInvertibleError(ConfigError):
    """The activation has no inverse."""


class Activation(CheckedModule):
    """An element-wise nonlinearity `s`.

    Subclasses implement `__call__`, `slope` and `difference`, and the two inverses. If `s` has no
    inverse, these raise `NotInvertibleError`.
    """

    @abc.abstractmethod
    def __call__(self, a: Values) -> Values:
        """`s(a)`, same shape as `a`."""

    @abc.abstractmethod
    def slope(self, a: Values) -> Values:
        """`s'(a)`, same shape as `a`."""

    @abc.abstractmethod
    def difference(self, a: Values, d: Values) -> Values:
        """`s(a + d) - s(a)` without cancellation; `a` and `d` broadcast."""

    @abc.abstractmethod
    def inverse(self, h: Values) -> Values:
        """`s^{-1}(h)`. Raises `NotInvertibleError` if `s` has no inverse."""

    @abc.abstractmethod
    def inverse_difference(self, h: Values, d: Values) -> Values:
        """`s^{-1}(h + d) - s^{-1}(h)` without cancellation.

        **Raises:** `NotInvertibleError` if `s` has no inverse.
        """


def _with_slopes(difference: Callable, slope: Callable, slope_difference: Callable) -> Callable:
    """Give a difference its exact derivative.

    **Arguments:**

    - `difference`: the difference, a function of `a` and `d`.
    - `slope`: `s'`.
    - `slope_difference`: `s'(a + d) - s'(a)` as a function of `a`, `d` and the difference. It must
      not cancel where the slopes are alike. Elsewhere the slopes are subtracted.
    """
    difference = jax.custom_jvp(difference)

    @difference.defjvp
    def _jvp(primals, tangents):
        (a, d), (da, dd) = primals, tangents
        value, start, moved = difference(a, d), slope(a), slope(a + d)
        apart = (moved > 2 * start) | (start > 2 * moved)
        change = jnp.where(apart, moved - start, slope_difference(a, d, value))
        return value, moved * dd + change * da

    return difference


# --- tanh -----------------------------------------------------------------------------------------------------------


def _tanh_complement(a: Values) -> Values:
    """`1 - tanh|a|`, to relative precision also where tanh saturates."""
    u = jnp.exp(-2 * jnp.abs(a))
    return 2 * u / (1 + u)


def _tanh_slope(a: Values) -> Values:
    c = _tanh_complement(a)
    return c * (2 - c)


def _tanh_difference(a: Values, d: Values) -> Values:
    # tanh(a+d) - tanh(a) = tanh(d) (1 - tanh(a) tanh(a+d)).
    # The bracket is computed from the complements of both factors.
    c, c_moved = _tanh_complement(a), _tanh_complement(a + d)
    same_side = c + c_moved - c * c_moved
    return jnp.tanh(d) * jnp.where((a > 0) == (a + d > 0), same_side, 2 - same_side)


def _tanh_slope_difference(a: Values, d: Values, difference: Values) -> Values:
    # s' = 1 - s^2. On opposite sides of zero, the values add up to the difference of their complements.
    moved = a + d
    apart = jnp.where(moved > 0, 1, -1) * (_tanh_complement(a) - _tanh_complement(moved))
    return -difference * jnp.where((a > 0) == (moved > 0), jnp.tanh(moved) + jnp.tanh(a), apart)


_tanh_difference = _with_slopes(_tanh_difference, _tanh_slope, _tanh_slope_difference)


def _artanh_difference(h: Values, d: Values) -> Values:
    return (jnp.log1p(d / (1 + h)) - jnp.log1p(-d / (1 - h))) / 2


def _artanh_slope(h: Values) -> Values:
    return 1 / ((1 + h) * (1 - h))


def _artanh_slope_difference(h: Values, d: Values, difference: Values) -> Values:
    return d * (h + (h + d)) * _artanh_slope(h) * _artanh_slope(h + d)


_artanh_difference = _with_slopes(_artanh_difference, _artanh_slope, _artanh_slope_difference)


# --- logistic sigmoid -----------------------------------------------------------------------------------------------


def _sigmoid_slope(a: Values) -> Values:
    return jax.nn.sigmoid(a) * jax.nn.sigmoid(-a)


def _sigmoid_difference(a: Values, d: Values) -> Values:
    # sigma(a+d) - sigma(a) = sigma(high) sigma(-low) (1 - exp(-|d|)) sign(d)
    low, high = jnp.minimum(a, a + d), jnp.maximum(a, a + d)
    return jnp.sign(d) * jax.nn.sigmoid(high) * jax.nn.sigmoid(-low) * -jnp.expm1(-jnp.abs(d))


def _sigmoid_slope_difference(a: Values, d: Values, difference: Values) -> Values:
    # s' = s - s^2, so the factor is 1 - s(a) - s(a + d). Both forms are small where it is.
    moved = a + d
    before, after = jax.nn.sigmoid(-a) - jax.nn.sigmoid(moved), jax.nn.sigmoid(-moved) - jax.nn.sigmoid(a)
    return difference * jnp.where(a > 0, before, after)


_sigmoid_difference = _with_slopes(_sigmoid_difference, _sigmoid_slope, _sigmoid_slope_difference)


def _logit_difference(h: Values, d: Values) -> Values:
    return jnp.log1p(d / h) - jnp.log1p(-d / (1 - h))


def _logit_slope(h: Values) -> Values:
    return 1 / (h * (1 - h))


def _logit_slope_difference(h: Values, d: Values, difference: Values) -> Values:
    return d * (h - (1 - (h + d))) * _logit_slope(h) * _logit_slope(h + d)


_logit_difference = _with_slopes(_logit_difference, _logit_slope, _logit_slope_difference)


# --- softplus -------------------------------------------------------------------------------------------------------


def _softplus_difference(a: Values, d: Values) -> Values:
    low, high, size = jnp.minimum(a, a + d), jnp.maximum(a, a + d), jnp.abs(d)
    below = -jnp.log1p(jax.nn.sigmoid(high) * jnp.expm1(-size))
    above = size + jnp.log1p(jax.nn.sigmoid(-low) * jnp.expm1(-size))
    # Where `apart` is used, one value is above log 2 and the other below 0.32: no cancellation.
    apart = jax.nn.softplus(high) - jax.nn.softplus(low)
    return jnp.sign(d) * jnp.where(high <= 0, below, jnp.where(low > -1, above, apart))


def _softplus_slope_difference(a: Values, d: Values, difference: Values) -> Values:
    return _sigmoid_difference(a, d)


_softplus_difference = _with_slopes(_softplus_difference, jax.nn.sigmoid, _softplus_slope_difference)


def _inverse_softplus_difference(h: Values, d: Values) -> Values:
    low, size = jnp.minimum(h, h + d), jnp.abs(d)
    return jnp.sign(d) * (size + jnp.log1p(-jnp.expm1(-size) / jnp.expm1(low)))


def _inverse_softplus_slope(h: Values) -> Values:
    return -1 / jnp.expm1(-h)


def _inverse_softplus_slope_difference(h: Values, d: Values, difference: Values) -> Values:
    change = jnp.sign(d) * jnp.exp(-jnp.minimum(h, h + d)) * jnp.expm1(-jnp.abs(d))
    return change * _inverse_softplus_slope(h) * _inverse_softplus_slope(h + d)


_inverse_softplus_difference = _with_slopes(
    _inverse_softplus_difference, _inverse_softplus_slope, _inverse_softplus_slope_difference
)


# --- the classes ----------------------------------------------------------------------------------------------------


class Identity(Activation):
    """`s(a) = a`."""

    word: ClassVar[str] = "identity"

    def __call__(self, a: Values) -> Values:
        return a

    def slope(self, a: Values) -> Values:
        return jnp.ones_like(a)

    def difference(self, a: Values, d: Values) -> Values:
        return jnp.broadcast_to(d, jnp.broadcast_shapes(jnp.shape(a), jnp.shape(d)))

    def inverse(self, h: Values) -> Values:
        return h

    def inverse_difference(self, h: Values, d: Values) -> Values:
        return self.difference(h, d)


class Tanh(Activation):
    """`s(a) = tanh(a)`, with image (-1, 1)."""

    word: ClassVar[str] = "tanh"

    def __call__(self, a: Values) -> Values:
        return jnp.tanh(a)

    def slope(self, a: Values) -> Values:
        return _tanh_slope(a)

    def difference(self, a: Values, d: Values) -> Values:
        return _tanh_difference(a, d)

    def inverse(self, h: Values) -> Values:
        return jnp.arctanh(h)

    def inverse_difference(self, h: Values, d: Values) -> Values:
        return _artanh_difference(h, d)


class Sigmoid(Activation):
    """`s(a) = 1 / (1 + exp(-a))`, with image (0, 1)."""

    word: ClassVar[str] = "sigmoid"

    def __call__(self, a: Values) -> Values:
        return jax.nn.sigmoid(a)

    def slope(self, a: Values) -> Values:
        return _sigmoid_slope(a)

    def difference(self, a: Values, d: Values) -> Values:
        return _sigmoid_difference(a, d)

    def inverse(self, h: Values) -> Values:
        return jnp.log(h) - jnp.log1p(-h)

    def inverse_difference(self, h: Values, d: Values) -> Values:
        return _logit_difference(h, d)


class Softplus(Activation):
    """`s(a) = log(1 + exp(a))`, with image (0, inf)."""

    word: ClassVar[str] = "softplus"

    def __call__(self, a: Values) -> Values:
        return jax.nn.softplus(a)

    def slope(self, a: Values) -> Values:
        return jax.nn.sigmoid(a)

    def difference(self, a: Values, d: Values) -> Values:
        return _softplus_difference(a, d)

    def inverse(self, h: Values) -> Values:
        return h + jnp.log(-jnp.expm1(-h))

    def inverse_difference(self, h: Values, d: Values) -> Values:
        return _inverse_softplus_difference(h, d)


def _kinked_difference(negative_slope: float, a: Values, d: Values) -> Values:
    """The difference of `max(a, 0) + negative_slope min(a, 0)`.

    It is linear on either side of the kink, and does not cancel across it.
    """
    moved = a + d
    value, moved_value = (jnp.where(v > 0, v, negative_slope * v) for v in (a, moved))
    return jnp.where((a > 0) == (moved > 0), jnp.where(a > 0, d, negative_slope * d), moved_value - value)


class ReLU(Activation):
    """`s(a) = max(a, 0)`. It has no inverse."""

    word: ClassVar[str] = "relu"

    def __call__(self, a: Values) -> Values:
        return jnp.maximum(a, 0)

    def slope(self, a: Values) -> Values:
        return (a > 0).astype(jnp.result_type(a))

    def difference(self, a: Values, d: Values) -> Values:
        return _kinked_difference(0.0, a, d)

    def inverse(self, h: Values) -> Values:
        raise NotInvertibleError("ReLU has no inverse: use LeakyReLU, Tanh, Sigmoid, Softplus or Identity.")

    def inverse_difference(self, h: Values, d: Values) -> Values:
        return self.inverse(h)


class LeakyReLU(Activation):
    """`s(a) = a` for `a > 0`, otherwise `negative_slope * a`.

    **Raises:** `ConfigError` if the slope is not positive.
    """

    word: ClassVar[str] = "leaky-relu"

    negative_slope: float = eqx.field(static=True, default=0.2)

    def __check_init__(self):
        if isinstance(self.negative_slope, int | float) and not 0 < self.negative_slope < math.inf:
            raise ConfigError(
                f"LeakyReLU needs a positive slope as negative_slope, not {self.negative_slope}: for a slope of 0 use ReLU."
            )

    def __call__(self, a: Values) -> Values:
        return jnp.where(a > 0, a, self.negative_slope * a)

    def slope(self, a: Values) -> Values:
        return jnp.where(a > 0, 1.0, self.negative_slope).astype(jnp.result_type(a))

    def difference(self, a: Values, d: Values) -> Values:
        return _kinked_difference(self.negative_slope, a, d)

    def inverse(self, h: Values) -> Values:
        return jnp.where(h > 0, h, h / self.negative_slope)

    def inverse_difference(self, h: Values, d: Values) -> Values:
        return _kinked_difference(1 / self.negative_slope, h, d)


def inverse_quotient(activation: Activation, a: Values, h: Values, d: Values, scale: Any) -> Values:
    """`[s^{-1}(h + scale d) - s^{-1}(h)] / scale` at `h = s(a)`, precise for every `scale`.

    If `scale d` is zero, or too small to be represented, it is the limit `d / s'(a)`.

    **Arguments:**

    - `activation`: `s`.
    - `a`, `h`: the pre-activation and the activity `h = s(a)`.
    - `d`: the displacement divided by `scale`.
    - `scale`: a number.

    **Returns:** an array with the shape of `d`.

    **Raises:** `NotInvertibleError` if `s` has no inverse.
    """
    moved = scale * d
    finite = jnp.abs(moved) > 1e6 * jnp.finfo(jnp.result_type(d)).tiny
    quotient = activation.inverse_difference(h, moved) / jnp.where(finite, scale, 1)
    return jnp.where(finite, quotient, d / activation.slope(a))
