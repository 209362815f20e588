"""Error backpropagation as the thesis writes it: Meulemans 2019, Algorithm A.7."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.losses import SquaredError
from targetprop.networks.activations import Tanh
from targetprop.networks.network import mlp
from targetprop.rules import Backprop
from targetprop.rules.by_numbers import minibatch_step
from targetprop.rules.contract import Example


@pytest.mark.parametrize("carried", ["delta", "a"])
def test_algorithm_a_7_carries_the_error_of_the_layer_above(carried):
    """`delta_i = D_i W_{i+1}^T delta_{i+1}`. Printed is `a_{i+1}`, the pre-activation, in place of
    `delta_{i+1}`: then no hidden layer gets its gradient.
    """
    network = mlp((3, 4, 4, 4), Tanh(), key=jax.random.key(0))
    x, y = jax.random.normal(jax.random.key(1), (5, 3)), jnp.ones((5, 4))
    loss = SquaredError()
    gradients = minibatch_step(Backprop(), network, None, Example(loss, x, y)).gradients
    points = network.trace(x).points
    deltas = [loss.error(points[-1].h, y)]
    for i in (2, 1):
        above = deltas[0] if carried == "delta" else points[i].a
        deltas.insert(0, (1 - points[i - 1].h ** 2) * (above @ network.layers[i].weight))
    right = jax.grad(lambda net: jnp.mean(loss.value(net(x), y)))(network)
    for i, (delta, point) in enumerate(zip(deltas, points, strict=True)):
        gradient = delta.T @ point.x / 5
        np.testing.assert_allclose(gradients.layers[i].weight, right.layers[i].weight, rtol=1e-10, atol=1e-14)
        found = np.allclose(gradient, right.layers[i].weight, rtol=1e-10, atol=1e-14)
        assert found == (carried == "delta" or i == 2)
