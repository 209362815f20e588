"""Weight initializers: `initializer(key, shape, dtype)` with `shape = (outputs, inputs)`, as Dense stores its weights."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn.initializers import Initializer

from .._linear_algebra import one_decomposed
from .activations import Activation, Sigmoid

__all__ = [
    "UNIFORM_INPUTS",
    "Initializer",
    "Moments",
    "Uncertainty",
    "clipped",
    "neuron_uncertainty",
    "orthogonal",
    "published_neuron_uncertainty",
    "rejected",
    "xavier_normal",
    "xavier_uniform",
]


def xavier_normal(gain: float = 1.0) -> Initializer:
    """Normal with standard deviation `gain * sqrt(2 / (n_in + n_out))` (Glorot and Bengio 2010)."""
    return jax.nn.initializers.variance_scaling(gain**2, "fan_avg", "normal", in_axis=-1, out_axis=-2)


def xavier_uniform(gain: float = 1.0) -> Initializer:
    """Uniform on `±gain * sqrt(6 / (n_in + n_out))` (Glorot and Bengio 2010)."""
    return jax.nn.initializers.variance_scaling(gain**2, "fan_avg", "uniform", in_axis=-1, out_axis=-2)


def orthogonal(gain: float = 1.0) -> Initializer:
    """`gain` times a random matrix with orthonormal rows or columns, whichever are fewer."""

    def initialize(key, shape, dtype=jnp.float32, out_sharding=None):
        return jax.nn.initializers.orthogonal(gain, column_axis=-2)(key, shape, dtype, out_sharding)

    return initialize


def rejected(threshold: float = 0.4, initializer: Initializer | None = None, attempts: int = 1000) -> Initializer:
    """Draws of `initializer` (Xavier normal unless given) until the product of the smallest and the largest singular value
    reaches `threshold`; after so many attempts, the draw with the largest product (Meulemans 2019, section 4.2.3)."""
    draw = initializer or xavier_normal()

    def initialize(key, shape, dtype=jnp.float32, out_sharding=None):
        def attempt(carry):
            count, best, product = carry
            matrix = draw(jax.random.fold_in(key, count), shape, dtype, out_sharding)
            s = one_decomposed(matrix)[1]
            found = s[-1] * s[0]
            return count + 1, jnp.where(found > product, matrix, best), jnp.maximum(found, product)

        start = (0, jnp.zeros(shape, dtype), jnp.asarray(-1, dtype))
        return lax.while_loop(lambda carry: (carry[2] < threshold) & (carry[0] < attempts), attempt, start)[1]

    return initialize


def clipped(floor: float = 0.1, initializer: Initializer | None = None) -> Initializer:
    """A draw of `initializer` (Xavier normal unless given) with every singular value below `floor` raised to it (Meulemans
    2019, section 4.2.3)."""
    draw = initializer or xavier_normal()

    def initialize(key, shape, dtype=jnp.float32, out_sharding=None):
        left, s, right = one_decomposed(draw(key, shape, dtype, out_sharding))
        return (left * jnp.maximum(s, floor)) @ right

    return initialize


class Moments(NamedTuple):
    """Mean and variance of a neuron's activity, or of an input."""

    mean: float
    variance: float


UNIFORM_INPUTS = Moments(1 / 2, 1 / 12)  # on [0, 1]


class Uncertainty(NamedTuple):
    """How unsure a neuron is of its inputs at each activity, as a probability density on `[low, high]`; `6 y (1 - y)` on
    [0, 1], for the sigmoid, unless told otherwise (Farias and Maziero 2018, equations 7 and 8)."""

    density: Callable[[np.ndarray], np.ndarray] = lambda y: 6 * y * (1 - y)
    low: float = 0.0
    high: float = 1.0

    def moments(self) -> Moments:
        """Mean and variance (equations 28 and 29), by Gauss-Legendre quadrature. Raises `ValueError` for a density whose
        integral is not 1."""
        nodes, weights = np.polynomial.legendre.leggauss(100)
        y = self.low + (self.high - self.low) * (nodes + 1) / 2
        mass = weights * (self.high - self.low) / 2 * self.density(y)
        if not abs(mass.sum() - 1) < 1e-6:
            raise ValueError(f"An uncertainty integrates to 1, not to {mass.sum():.6g}: divide the density by that.")
        mean = float(mass @ y)
        return Moments(mean, float(mass @ (y - mean) ** 2))


def neuron_uncertainty(
    activation: Activation | None = None,
    uncertainty: Uncertainty | None = None,
    inputs: Moments | None = None,
    slope: float | None = None,
) -> Initializer:
    """Normal with the variance `VAR(y) / (n_in f'(0)^2 (E[x]^2 + VAR(x)))`: the pre-activation then has the variance that
    would spread `y = f(z)` as `uncertainty` does, were `f` everywhere as steep as at 0 (Farias and Maziero 2018, section
    3.2).

    **Arguments:** `activation`, `f`, the sigmoid unless given; `uncertainty`, the density of `y`; `inputs`, the moments of
    the layer's inputs, those of `uncertainty` unless given; `slope`, `f'(0)`, to be named where `f` has a kink, as ReLU.
    Raises `ValueError` where the slope is zero. `published_neuron_uncertainty` is the same as printed in equation (6).
    """
    return _uncertain(activation, uncertainty, inputs, slope, lambda x: x.mean**2 + x.variance)


def published_neuron_uncertainty(
    activation: Activation | None = None,
    uncertainty: Uncertainty | None = None,
    inputs: Moments | None = None,
    slope: float | None = None,
) -> Initializer:
    """`neuron_uncertainty` with `E[x] + VAR(x)` in the variance, as printed (Farias and Maziero 2018, equations 6, 26 and
    27): for the sigmoid `48 / (35 n_in)` with `UNIFORM_INPUTS`, and `16 / (11 n_in)` in the other layers (equations 9 and
    10)."""
    return _uncertain(activation, uncertainty, inputs, slope, lambda x: x.mean + x.variance)


def _uncertain(activation, uncertainty, inputs, slope, power) -> Initializer:
    activation, spread = activation or Sigmoid(), (uncertainty or Uncertainty()).moments()
    if slope is None:
        with jax.ensure_compile_time_eval():
            slope = float(activation.slope(jnp.zeros(())))
    if slope == 0:
        raise ValueError(f"{type(activation).__name__} has no slope at 0: name one, for example slope=1.")
    scale = math.sqrt(spread.variance / power(inputs or spread)) / abs(slope)

    def initialize(key, shape, dtype=jnp.float32, out_sharding=None):
        return scale / math.sqrt(shape[1]) * jax.random.normal(key, shape, dtype)

    return initialize
