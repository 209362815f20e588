"""A layer with auxiliary units is the layer, and beside it another one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.networks.auxiliary import WithAuxiliaryUnits
from targetprop.networks.layers import Dense, difference

pytestmark = pytest.mark.usefixtures("float64")
KEY = jax.random.key(0)


@pytest.mark.parametrize("shape", [(6,), (2, 3)], ids=["rows", "with two axes"])
@pytest.mark.parametrize("activation", [tp.Tanh(), None], ids=["dense", "a function"])
def test_outputs_and_differences_of_both_parts(shape, activation):
    weight, v = jax.random.normal(KEY, (3, 6)), jax.random.normal(jax.random.fold_in(KEY, 1), (2, 6))

    def function(x):
        return jnp.tanh(x.reshape(len(x), -1) @ weight.T)

    layer = function if activation is None else Dense(weight, None, activation)
    both = WithAuxiliaryUnits(layer, tp.Fixed(Dense(v, None, tp.Sigmoid())))
    x, dx = (jax.random.normal(jax.random.fold_in(KEY, i), (*axes, 4, *shape)) for i, axes in ((2, ()), (3, (5,))))
    point = both.at(x)
    rows = x.reshape(4, 6)
    expected = np.concatenate([np.tanh(rows @ weight.T), 1 / (1 + np.exp(-rows @ v.T))], axis=1)
    np.testing.assert_allclose(point.h, expected, rtol=1e-12)
    moved = np.stack([both.at(x + each).h for each in dx]) - expected
    np.testing.assert_allclose(difference(both, point, dx), moved, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(difference(both, point, dx[0]), moved[0], rtol=1e-10, atol=1e-13)


def test_the_auxiliary_units_are_no_parameters():
    both = WithAuxiliaryUnits(Dense.create((6, 3), tp.Tanh(), key=KEY), tp.Fixed(Dense.create((6, 2), tp.Tanh(), key=KEY)))
    assert [leaf.shape for leaf in jax.tree.leaves(tp.parameters(both))] == [(3, 6), (3,)]
