"""Initialization by neuron uncertainty: Farias and Maziero 2018, section 3.2 and Appendix A."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.networks.initializers import (
    UNIFORM_INPUTS,
    Moments,
    Uncertainty,
    neuron_uncertainty,
    published_neuron_uncertainty,
)

HIDDEN = Uncertainty().moments()
BOTH = pytest.mark.parametrize("inputs", [UNIFORM_INPUTS, HIDDEN], ids=["uniform", "hidden"])


def variance(initializer, n_in: int = 1000) -> float:
    return float(jnp.var(initializer(jax.random.key(0), (1000, n_in), jnp.float32))) * n_in


def test_moments_by_quadrature():
    """Equations (28) and (29); and those of a parabola on an asymmetric interval, by hand."""
    assert Uncertainty().moments() == pytest.approx((1 / 2, 1 / 20), rel=1e-12)
    triangle = Uncertainty(lambda y: (y + 1) * 2 / 9, -1.0, 2.0)
    assert triangle.moments() == pytest.approx((1.0, 0.5), rel=1e-12)
    with pytest.raises(ValueError, match="integrates to 1, not to 2"):
        Uncertainty(lambda y: 2 + 0 * y).moments()


def test_the_published_constants():
    """Equations (9) and (10). A sample variance of a million normal numbers has a standard
    deviation of 0.14 %.
    """
    assert variance(published_neuron_uncertainty(inputs=UNIFORM_INPUTS)) == pytest.approx(48 / 35, rel=0.007)
    assert variance(published_neuron_uncertainty()) == pytest.approx(16 / 11, rel=0.007)


def test_the_corrected_constants():
    """With the square of the mean: (1/20) / (1/16 (1/4 + 1/12)) and (1/20) / (1/16 (1/4 +
    1/20)).
    """
    assert variance(neuron_uncertainty(inputs=UNIFORM_INPUTS)) == pytest.approx(12 / 5, rel=0.007)
    assert variance(neuron_uncertainty()) == pytest.approx(8 / 3, rel=0.007)


def draw(inputs: Moments, rng, size):
    """Inputs with these moments: uniform on [0, 1], or with the density 6 y (1 - y), which is
    Beta(2, 2).
    """
    return rng.uniform(size=size) if inputs is UNIFORM_INPUTS else rng.beta(2, 2, size=size)


@BOTH
def test_the_pre_activation_has_the_variance_that_the_corrected_form_asks_for(inputs):
    """Equation (18) asks for `VAR(z) = VAR(y) / f'(0)^2 = 0.8`. Drawn weights and inputs give it
    with `E[x]^2`; with `E[x]` as in (26) they give `0.8 (E[x]^2 + VAR(x)) / (E[x] + VAR(x))`,
    little more than half.
    """
    n_in, outputs, rng = 400, 1000, np.random.default_rng(0)
    x = draw(inputs, rng, (1000, n_in))
    power = inputs.mean**2 + inputs.variance
    for initializer, expected in (
        (neuron_uncertainty(inputs=inputs), 0.8),
        (published_neuron_uncertainty(inputs=inputs), 0.8 * power / (inputs.mean + inputs.variance)),
    ):
        z = x @ np.asarray(initializer(jax.random.key(1), (outputs, n_in), jnp.float32)).T
        assert z.var() == pytest.approx(expected, rel=0.05)
        assert abs(z.mean()) < 0.1


def test_known_initializers_are_special_cases():
    """A linear neuron that keeps the spread of centered inputs: variance 1 / n_in (Glorot and
    Bengio 2010, forward). So does tanh with `U = 3/4 (1 - y^2)`. All means are zero, and the two
    forms agree.
    """
    parabola = Uncertainty(lambda y: 0.75 * (1 - y**2), -1.0, 1.0)
    for activation in (tp.Identity(), tp.Tanh()):
        for form in (neuron_uncertainty, published_neuron_uncertainty):
            assert variance(form(activation, parabola)) == pytest.approx(1, rel=0.007)


def test_a_kink_needs_a_slope():
    with pytest.raises(ValueError, match="ReLU has no slope at 0: give one"):
        neuron_uncertainty(tp.ReLU())
    assert variance(neuron_uncertainty(tp.ReLU(), slope=1.0)) == pytest.approx(1 / 20 / (1 / 4 + 1 / 20), rel=0.007)


def test_the_network_of_the_recipes():
    built = [
        tp.NeuronUncertaintyMLP((300,), variance=form).build((1, 20, 20), 200, key=jax.random.key(0), dtype=jnp.float32)
        for form in ("published", "corrected")
    ]
    for network, expected in zip(built, ((48 / 35, 16 / 11), (12 / 5, 8 / 3)), strict=True):
        for layer, value in zip(network.layers, expected, strict=True):
            assert float(jnp.var(layer.weight)) * layer.weight.shape[1] == pytest.approx(value, rel=0.02)
