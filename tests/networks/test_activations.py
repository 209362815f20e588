"""Differences of nonlinearities against their definition, evaluated in 120-digit decimal
arithmetic.

`EPS` is the spacing of float32 at 1. A difference is computed from the float32 nearest to `a + d`,
whose rounding alone moves it by up to `EPS/2 |a + d| s'(a + d)`; an inverse difference from the
quotients of `d` by the distances of `h` to the ends of the image, whose rounding moves it by up to
a few `EPS |d| (s^-1)'(h + d)`. These are the conditioning terms of the bounds; the rest is a few
ulp.
"""

import decimal
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from targetprop.networks.activations import (
    Activation,
    Identity,
    LeakyReLU,
    NotInvertibleError,
    ReLU,
    Sigmoid,
    Softplus,
    Tanh,
    inverse_quotient,
)

EPS = float(np.finfo(np.float32).eps)
TINY = float(np.finfo(np.float32).tiny)
HUGE = float(np.finfo(np.float32).max)
ULPS = 16  # room for the elementary functions of a difference, each good to 1 to 5 ulp
CONDITIONING = 4  # how many roundings of relative size EPS may enter through the conditioning term

CONTEXT = decimal.Context(prec=120, traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow])
D = decimal.Decimal


class Oracle(NamedTuple):
    """An activation and its inverse in decimal arithmetic, and the slope in float64."""

    activation: Activation
    value: Callable[[D], D]
    inverse: Callable[[D], D] | None
    slope: Callable[[np.ndarray], np.ndarray]
    image: tuple[float, float]


def tanh(x: D) -> D:
    u = (-2 * abs(x)).exp(CONTEXT)
    return ((1 - u) / (1 + u)).copy_sign(x)


def sigmoid(x: D) -> D:
    u = (-abs(x)).exp(CONTEXT)
    return (1 if x > 0 else u) / (1 + u)


def sigmoid_slope(x: np.ndarray) -> np.ndarray:
    u = np.exp(-np.abs(x))
    return u / (1 + u) ** 2


ORACLES = (
    Oracle(Identity(), lambda x: x, lambda h: h, np.ones_like, (-np.inf, np.inf)),
    Oracle(
        Tanh(),
        tanh,
        lambda h: ((1 + h) / (1 - h)).ln(CONTEXT) / 2,
        lambda x: 4 * sigmoid_slope(2 * x),
        (-1, 1),
    ),
    Oracle(Sigmoid(), sigmoid, lambda h: (h / (1 - h)).ln(CONTEXT), sigmoid_slope, (0, 1)),
    Oracle(
        Softplus(),
        lambda x: max(x, D(0)) + (1 + (-abs(x)).exp(CONTEXT)).ln(CONTEXT),
        lambda h: h + (1 - (-h).exp(CONTEXT)).ln(CONTEXT),
        lambda x: np.where(x > 0, 1, np.exp(-np.abs(x))) / (1 + np.exp(-np.abs(x))),
        (0, np.inf),
    ),
    Oracle(ReLU(), lambda x: max(x, D(0)), None, lambda x: 1.0 * (x > 0), (0, np.inf)),
    Oracle(
        LeakyReLU(0.25),
        lambda x: x if x > 0 else x / 4,
        lambda h: h if h > 0 else h * 4,
        lambda x: np.where(x > 0, 1, 0.25),
        (-np.inf, np.inf),
    ),
)
ALL = pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: type(oracle.activation).__name__)
INVERTIBLE = pytest.mark.parametrize(
    "oracle", [o for o in ORACLES if o.inverse], ids=lambda oracle: type(oracle.activation).__name__
)

ordinary = st.floats(-100, 100, width=32, allow_subnormal=False)
anywhere = st.floats(-HUGE, HUGE, width=32, allow_subnormal=False)
small = st.builds(
    lambda sign, exponent: float(np.float32(sign * 10.0**exponent)), st.sampled_from((-1, 1)), st.floats(-30, 0)
)


def arrays(elements: st.SearchStrategy, size: int) -> st.SearchStrategy:
    return hnp.arrays(np.float32, size, elements=elements, fill=st.nothing())


def crossed(a: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every `a` with every `d`, with no displacement, and with those that end near or beyond its
    mirror image and 0.
    """
    own = np.stack([0 * a, -a, np.nextafter(-a, np.float32(0)), -2 * np.clip(a, -HUGE / 2, HUGE / 2)])
    d = np.concatenate([np.broadcast_to(d[:, None], (d.size, a.size)), own])
    a = np.broadcast_to(a, d.shape)
    moved = a.astype(np.float64) + d
    subnormal = (np.abs(d) < TINY) | ((moved != 0) & (np.abs(moved) < TINY))  # XLA rounds these to 0
    return a, np.where(subnormal, np.float32(0), d)


def exact(function: Callable[[D], D], at: np.ndarray, by: np.ndarray) -> np.ndarray:
    """`function(at + by) - function(at)` from its definition."""
    with decimal.localcontext(CONTEXT):
        base = {x: function(D(x)) for x in map(float, np.unique(at))}
        pairs = zip(at.ravel().tolist(), by.ravel().tolist(), strict=True)
        return np.array([float(function(D(x) + D(y)) - base[x]) for x, y in pairs]).reshape(at.shape)


@eqx.filter_jit
def with_gradients(function: Callable, at, by):
    """An element-wise function of two arrays, and its derivatives in both."""
    value, pullback = jax.vjp(function, at, by)
    return value, *pullback(jnp.ones_like(value))


def assert_close(got: np.ndarray, true: np.ndarray, conditioning: np.ndarray) -> None:
    """Relative agreement to `ULPS`, plus the conditioning; absolute where the true value is
    subnormal or overflows.
    """
    got = got.astype(np.float64)
    with np.errstate(over="ignore"):
        overflows = ~np.isfinite(true.astype(np.float32))
    tolerance = EPS * (ULPS * np.abs(true) + CONDITIONING * conditioning) + 4 * TINY
    wrong = ~overflows & ~(np.abs(got - true) <= tolerance)
    assert not wrong.any(), f"got {got[wrong][:4]}, expected {true[wrong][:4]} to within {tolerance[wrong][:4]}"


@ALL
@settings(max_examples=40, deadline=None)
@given(a=arrays(ordinary | anywhere | small, 6), d=arrays(small | ordinary | anywhere, 4))
def test_difference_and_its_gradient_in_float32(oracle, a, d):
    a, d = crossed(a, d)
    got, by_a, by_d = map(np.asarray, with_gradients(oracle.activation.difference, a, d))
    start, moved = a.astype(np.float64), a.astype(np.float64) + d
    slope, moved_slope = oracle.slope(start), oracle.slope(moved)

    for array in (got, by_a, by_d):
        assert not np.isnan(array).any()
    assert_close(got, exact(oracle.value, a, d), np.where(moved_slope > 0, np.abs(moved) * moved_slope, 0))
    # A slope falls no faster than exp(-2|x|): rounding its argument changes it by up to |x| EPS of
    # itself.
    unsure = (1 + np.abs(moved)) * moved_slope
    np.testing.assert_array_less(np.abs(by_d - moved_slope), EPS * (ULPS * moved_slope + CONDITIONING * unsure) + 4 * TINY)
    np.testing.assert_array_less(
        np.abs(by_a - (moved_slope - slope)),
        EPS * (ULPS * (moved_slope + slope) + CONDITIONING * unsure) + 4 * TINY,
    )


SLOPES = {  # in decimal arithmetic, of each activation and of its inverse
    Tanh: (lambda x: 1 - tanh(x) ** 2, lambda h: 1 / (1 - h * h)),
    Sigmoid: (lambda x: sigmoid(x) * sigmoid(-x), lambda h: 1 / (h * (1 - h))),
    Softplus: (sigmoid, lambda h: 1 / (1 - (-h).exp(CONTEXT))),
}
CURVED = pytest.mark.parametrize(
    "oracle", [o for o in ORACLES if type(o.activation) in SLOPES], ids=lambda oracle: type(oracle.activation).__name__
)


@CURVED
@settings(max_examples=40, deadline=None)
@given(a=arrays(st.floats(-40, 40, width=32, allow_subnormal=False) | small, 6), d=arrays(small | ordinary, 5))
def test_the_gradient_of_a_difference_keeps_its_digits_at_any_displacement(oracle, a, d):
    """The derivative in `a` is the difference of the slopes, which is as small as `d`.

    Its relative error may grow with `|a|` and `|a + d|`, as that of `exp(a)`. Where the slopes on
    both sides of zero cancel, it is measured by the difference of the values, of the same order.
    """
    a, d = crossed(a, d)
    by_a = np.asarray(with_gradients(oracle.activation.difference, a, d)[1], np.float64)
    expected, values = exact(SLOPES[type(oracle.activation)][0], a, d), exact(oracle.value, a, d)
    size = np.abs(expected) if isinstance(oracle.activation, Softplus) else np.maximum(np.abs(expected), np.abs(values))
    growth = 1 + np.abs(a) + np.abs(a.astype(np.float64) + d)
    np.testing.assert_array_less(np.abs(by_a - expected), EPS * ULPS * growth * size + 4 * TINY)


@CURVED
@settings(max_examples=40, deadline=None)
@given(h=arrays(st.floats(0.125, 0.875, width=32), 6), d=arrays(small, 5))
def test_the_gradient_of_an_inverse_difference_keeps_its_digits_at_any_displacement(oracle, h, d):
    """Away from the ends of the image: there the rounding of `h + d` counts."""
    h, d = crossed(h, np.float32(0.01) * d)
    d = np.where(np.abs(d) <= 0.01, d, np.float32(0))
    by_h = np.asarray(with_gradients(oracle.activation.inverse_difference, h, d)[1], np.float64)
    slope, expected = SLOPES[type(oracle.activation)][1], exact(SLOPES[type(oracle.activation)][1], h, d)
    steepest = max(float(slope(D(x))) for x in (0.1, 0.9))
    np.testing.assert_array_less(np.abs(by_h - expected), EPS * ULPS * np.abs(d) * steepest**2 + 4 * TINY)


def inside(image: tuple[float, float]) -> st.SearchStrategy:
    """Activities in the open image, saturated ones included."""
    low, high = image
    if np.isinf(low):
        return ordinary | anywhere | small
    if np.isinf(high):
        return small.map(abs) | ordinary.map(abs).filter(lambda h: h > 0)
    span = high - low
    near_the_end = st.integers(1, 20).map(lambda k: high - span * 2.0**-24 * k)
    return st.floats(low, high, width=32, exclude_min=True, exclude_max=True, allow_subnormal=False) | near_the_end


@INVERTIBLE
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_inverse_difference_and_its_gradient_in_float32(oracle, data):
    low, high = oracle.image
    h = data.draw(arrays(inside(oracle.image), 6), label="h")
    reached = data.draw(arrays(inside(oracle.image), 4), label="reached")
    tiny = data.draw(arrays(small, 4), label="relative displacement")
    with np.errstate(over="ignore"):
        towards = np.broadcast_to(reached[:, None], (4, 6)) - h
        d = np.concatenate([towards, tiny[:, None] * h, 0 * h[None]])
    h = np.broadcast_to(h, d.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        moved = h.astype(np.float64) + d
        rounded = moved.astype(np.float32)
        allowed = (rounded > low) & (rounded < high) & (moved > low) & (moved < high) & np.isfinite(rounded) & np.isfinite(d)
        allowed &= (d == 0) | (np.abs(d) >= TINY)
        allowed &= (low == -np.inf) | (rounded - low >= TINY)
    d = np.where(allowed, d, 0)
    moved = h.astype(np.float64) + d

    got, by_h, by_d = map(np.asarray, with_gradients(oracle.activation.inverse_difference, h, d))
    for array in (got, by_h, by_d):
        assert not np.isnan(array).any()
    slope = inverse_slope(oracle, h.astype(np.float64))
    moved_slope = inverse_slope(oracle, moved)
    margin = np.minimum(moved - low, high - moved)  # where this is a few roundings of d, nothing is left to compare
    sure = margin > 8 * EPS * np.minimum(np.abs(d), 1)
    assert_close(got[sure], exact(oracle.inverse, h, d)[sure], (np.abs(d) * moved_slope)[sure])
    spacing = np.spacing(np.minimum(np.abs(moved), HUGE / 2).astype(np.float32))
    rounding = spacing / margin  # how far the rounding of h + d may lie from it, in units of the margin
    unsure = moved_slope * (1 + rounding / EPS)
    sure &= rounding < 0.1
    tolerance = EPS * (ULPS * moved_slope + CONDITIONING * unsure)
    assert np.all((np.abs(by_d - moved_slope) <= tolerance)[sure])
    assert np.all((np.abs(by_h - (moved_slope - slope)) <= tolerance + EPS * ULPS * slope)[sure])


def inverse_slope(oracle: Oracle, h: np.ndarray) -> np.ndarray:
    """`(s^-1)'(h)` in float64, from the definitions of the inverses."""
    match oracle.activation:
        case Tanh():
            return 1 / ((1 - h) * (1 + h))
        case Sigmoid():
            return 1 / (h * (1 - h))
        case Softplus():
            return -1 / np.expm1(-h)
        case _:
            return 1 / oracle.slope(h)


@eqx.filter_jit
def value_slope_inverse(activation: Activation, a):
    value = activation(a)
    inverse = a if isinstance(activation, ReLU) else activation.inverse(value)
    return value, activation.slope(a), jax.vmap(jax.grad(activation))(a), inverse


@ALL
@settings(max_examples=40, deadline=None)
@given(a=hnp.arrays(np.float64, 32, elements=st.floats(-30, 30, allow_subnormal=False), fill=st.nothing()))
def test_value_slope_and_inverse(oracle, a):
    activation = oracle.activation
    with jax.enable_x64(True):
        value, slope, by_jax, back = map(np.asarray, value_slope_inverse(activation, jnp.asarray(a)))
    np.testing.assert_allclose(value, exact(oracle.value, 0 * a, a) + float(oracle.value(D(0))), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(slope[a != 0], by_jax[a != 0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(slope, oracle.slope(a), rtol=1e-13)
    if oracle.inverse is None:
        return
    # s^-1 sees the rounding of s(a), in float64, through its slope 1 / s'(a).
    sensitivity = np.maximum(np.abs(value), 1e-300) / oracle.slope(a)
    sure = sensitivity < 1e12
    assert np.all(np.abs(back - a)[sure] <= (1e-14 * (1 + np.abs(a)) + 1e-15 * sensitivity)[sure])


@eqx.filter_jit
def there_and_back(activation: Activation, a, d):
    return activation.inverse_difference(activation(a), activation.difference(a, d))


@INVERTIBLE
@settings(max_examples=40, deadline=None)
@given(a=arrays(st.floats(-4, 4, width=32), 16), d=arrays(small, 16))
def test_inverse_difference_inverts_difference(oracle, a, d):
    a, d = a.astype(np.float64), d.astype(np.float64)
    with jax.enable_x64(True):
        back = np.asarray(there_and_back(oracle.activation, jnp.asarray(a), jnp.asarray(d)))
    # At |a + d| <= 5 the slopes are above 1e-4, so rounding in float64 is amplified by less than
    # 1e4.
    np.testing.assert_allclose(back, d, rtol=1e-11)


@pytest.mark.parametrize("activation", [o.activation for o in ORACLES], ids=lambda activation: type(activation).__name__)
def test_difference_broadcasts_stacked_displacements(activation):
    a = jnp.linspace(-2, 2, 6).reshape(2, 3)
    d = jnp.linspace(-1, 1, 24).reshape(4, 2, 3)
    one_by_one = jax.vmap(activation.difference, in_axes=(None, 0))(a, d)
    np.testing.assert_allclose(activation.difference(a, d), one_by_one, rtol=1e-6)


@pytest.mark.parametrize("method", ["inverse", "inverse_difference"])
def test_relu_says_that_it_has_no_inverse(method):
    arguments = (jnp.ones(2),) * (1 if method == "inverse" else 2)
    with pytest.raises(NotInvertibleError, match=r"ReLU has no inverse: use LeakyReLU"):
        getattr(ReLU(), method)(*arguments)


@pytest.mark.parametrize("slope", [0.0, -0.1, float("nan")])
def test_leaky_relu_needs_a_positive_slope(slope):
    with pytest.raises(ValueError, match=r"positive slope.*use ReLU"):
        LeakyReLU(slope)


@pytest.mark.parametrize(
    "activation", [Identity(), Tanh(), Sigmoid(), Softplus(), LeakyReLU(0.1)], ids=lambda a: type(a).__name__
)
def test_the_inverse_quotient_keeps_its_precision_at_any_scale(activation):
    """In float32, against subtraction in float64; for a vanishing scale, against the reciprocal
    slope.
    """
    numbers = np.random.default_rng(0)
    a, d = (jnp.asarray(size * numbers.normal(size=50), jnp.float32) for size in (1, 0.05))
    h = activation(a)
    for scale in (0.5, 1e-3, 1e-6):
        with jax.enable_x64(True):
            wide = jnp.asarray(h, jnp.float64)
            moved = scale * jnp.asarray(d, jnp.float64)
            expected = np.asarray(activation.inverse_difference(wide, moved) / scale)
        np.testing.assert_allclose(inverse_quotient(activation, a, h, d, scale), expected, rtol=2e-5)
    for scale in (1e-12, 1e-36, 0.0):
        np.testing.assert_allclose(inverse_quotient(activation, a, h, d, scale), d / activation.slope(a), rtol=2e-5)
