"""Weight initializers `initializer(key, shape, dtype)` with `shape = (outputs, inputs)`."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn.initializers import Initializer

from .._checks import check_is, check_number
from .._linear_algebra import one_decomposed
from ..errors import ConfigError
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
    """Normal with standard deviation `gain * sqrt(2 / (n_in + n_out))`.

    Glorot and Bengio 2010.
    """
    return jax.nn.initializers.variance_scaling(gain**2, "fan_avg", "normal", in_axis=-1, out_axis=-2)


def xavier_uniform(gain: float = 1.0) -> Initializer:
    """Uniform on `±gain * sqrt(6 / (n_in + n_out))`.

    Glorot and Bengio 2010.
    """
    return jax.nn.initializers.variance_scaling(gain**2, "fan_avg", "uniform", in_axis=-1, out_axis=-2)


def orthogonal(gain: float = 1.0) -> Initializer:
    """`gain` times a random matrix with orthonormal rows or columns, whichever are fewer."""

    def initialize(key, shape, dtype=jnp.float32, out_sharding=None):
        return jax.nn.initializers.orthogonal(gain, column_axis=-2)(key, shape, dtype, out_sharding)

    return initialize


def rejected(threshold: float = 0.4, initializer: Initializer | None = None, attempts: int = 1000) -> Initializer:
    """Draws weights until the smallest times the largest singular value is at least `threshold`.

    Meulemans 2019, section 4.2.3.

    **Arguments:**

    - `threshold`: the smallest accepted product of the two singular values.
    - `initializer`: draws the weights. Default: Xavier normal.
    - `attempts`: the largest number of draws. If none is accepted, the one with the largest
      product is used.
    """
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
    """Draws weights and raises every singular value below `floor` to `floor`.

    Meulemans 2019, section 4.2.3.

    **Arguments:**

    - `floor`: the smallest singular value.
    - `initializer`: draws the weights. Default: Xavier normal.
    """
    draw = initializer or xavier_normal()

    def initialize(key, shape, dtype=jnp.float32, out_sharding=None):
        left, s, right = one_decomposed(draw(key, shape, dtype, out_sharding))
        return (left * jnp.maximum(s, floor)) @ right

    return initialize


class Moments(NamedTuple):
    """Mean and variance of the activity of a neuron, or of an input."""

    mean: float
    variance: float


UNIFORM_INPUTS = Moments(1 / 2, 1 / 12)  # on [0, 1]


class Uncertainty(NamedTuple):
    """How uncertain a neuron is about its inputs at each activity, as a probability density.

    Farias and Maziero 2018, equations 7 and 8.

    **Arguments:**

    - `density`: the density on `[low, high]`. Default: `6 y (1 - y)`, for the sigmoid.
    - `low`, `high`: the range of the activities. Default: [0, 1].
    """

    density: Callable[[np.ndarray], np.ndarray] = lambda y: 6 * y * (1 - y)
    low: float = 0.0
    high: float = 1.0

    def moments(self) -> Moments:
        """Mean and variance (equations 28 and 29), by Gauss-Legendre quadrature.

        **Raises:** `ValueError` if the integral of the density is not 1.
        """
        nodes, weights = np.polynomial.legendre.leggauss(100)
        y = self.low + (self.high - self.low) * (nodes + 1) / 2
        mass = weights * (self.high - self.low) / 2 * self.density(y)
        if not abs(mass.sum() - 1) < 1e-6:
            raise ConfigError(
                f"The density of an uncertainty integrates to 1, not to {mass.sum():.6g}: divide it by that number."
            )
        mean = float(mass @ y)
        return Moments(mean, float(mass @ (y - mean) ** 2))


def neuron_uncertainty(
    activation: Activation | None = None,
    uncertainty: Uncertainty | None = None,
    inputs: Moments | None = None,
    slope: float | None = None,
) -> Initializer:
    """Normal weights with the variance `VAR(y) / (n_in f'(0)^2 (E[x]^2 + VAR(x)))`.

    With this variance of the pre-activation `z`, the activity `y = f(z)` would have the variance
    of `uncertainty`, if `f` had the slope `f'(0)` everywhere (Farias and Maziero 2018, section
    3.2). `published_neuron_uncertainty` uses equation (6) as printed.

    **Arguments:**

    - `activation`: `f`. Default: the sigmoid.
    - `uncertainty`: the density of `y`. Default: that of the sigmoid.
    - `inputs`: the moments of the inputs `x` of the layer. Default: the moments of `uncertainty`.
    - `slope`: `f'(0)`. Required if `f` has a kink at 0, as ReLU has.

    **Raises:** `ValueError` if the slope is zero.
    """
    return _uncertain(activation, uncertainty, inputs, slope, lambda x: x.mean**2 + x.variance)


def published_neuron_uncertainty(
    activation: Activation | None = None,
    uncertainty: Uncertainty | None = None,
    inputs: Moments | None = None,
    slope: float | None = None,
) -> Initializer:
    """`neuron_uncertainty` with `E[x] + VAR(x)` in the variance, as printed.

    For the sigmoid this gives `48 / (35 n_in)` with `UNIFORM_INPUTS` and `16 / (11 n_in)` in the
    other layers (Farias and Maziero 2018, equations 6, 26 and 27; 9 and 10).
    """
    return _uncertain(activation, uncertainty, inputs, slope, lambda x: x.mean + x.variance)


def _uncertain(activation, uncertainty, inputs, slope, power) -> Initializer:
    check_is("activation", activation, (Activation, type(None)))
    check_is("uncertainty", uncertainty, (Uncertainty, type(None)))
    check_is("inputs", inputs, (Moments, type(None)))
    if slope is not None:
        check_number("slope", slope)
    activation, spread = activation or Sigmoid(), (uncertainty or Uncertainty()).moments()
    if slope is None:
        with jax.ensure_compile_time_eval():
            slope = float(activation.slope(jnp.zeros(())))
    if slope == 0:
        raise ConfigError(f"{type(activation).__name__} has no slope at 0: give one, for example slope=1.")
    power_of_inputs = power(inputs or spread)
    if not 0 < power_of_inputs < math.inf:
        raise ConfigError(f"`inputs` are {inputs}: give a mean, and a variance of 0 or above, that are not both 0.")
    scale = math.sqrt(spread.variance / power_of_inputs) / abs(slope)

    def initialize(key, shape, dtype=jnp.float32, out_sharding=None):
        return scale / math.sqrt(shape[1]) * jax.random.normal(key, shape, dtype)

    return initialize
