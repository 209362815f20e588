"""The orthogonality penalty, by itself and in a training step."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.losses import SoftmaxCrossEntropy
from targetprop.networks.initializers import orthogonal
from targetprop.networks.network import mlp
from targetprop.rules import Backprop
from targetprop.training.optimizers import SGD
from targetprop.training.penalties import OrthogonalityPenalty
from targetprop.training.recipe import Recipe
from targetprop.training.step import init_state, step


def test_the_gradient_is_that_of_the_value(float64):
    penalty, weight = OrthogonalityPenalty(0.3), jnp.asarray(np.random.default_rng(0).normal(size=(4, 6)))
    np.testing.assert_allclose(penalty.gradient(weight), jax.grad(penalty.value)(weight), rtol=1e-12)
    gram = np.asarray(weight @ weight.T)
    assert float(penalty.value(weight)) == pytest.approx(
        0.3 * sum(gram[i, j] ** 2 for i in range(4) for j in range(4) if i != j)
    )


def test_it_asks_for_orthogonal_rows_of_any_norm(float64):
    penalty, weight = OrthogonalityPenalty(1.0), orthogonal()(jax.random.key(0), (4, 6), jnp.float64)
    assert float(penalty.value(weight)) < 1e-28
    assert float(penalty.value(jnp.arange(1.0, 5.0)[:, None] * weight)) < 1e-26
    assert float(penalty.value(weight.at[0].add(weight[1]))) == pytest.approx(2.0)


def test_a_step_adds_its_gradient_to_that_of_any_rule(float64):
    network = mlp((5, 4, 3), key=jax.random.key(0))
    x, y = jnp.asarray(np.random.default_rng(1).normal(size=(6, 5))), jnp.array([0, 1, 2, 0, 1, 2])
    penalty, loss = OrthogonalityPenalty(0.7), SoftmaxCrossEntropy()
    recipe = Recipe(Backprop(), optimizer=SGD(0.1), penalty=penalty, trainable=(1,))
    moved = step(init_state(recipe, network), (x, y))[0].network

    def objective(first):
        whole = eqx.tree_at(lambda net: net.layers[0].weight, network, first)
        return jnp.mean(loss.value(whole(x), y)) + penalty.value(first)

    weights = [[layer.weight for layer in net.layers] for net in (network, moved)]
    np.testing.assert_allclose(weights[1][0], weights[0][0] - 0.1 * jax.grad(objective)(weights[0][0]), rtol=1e-10)
    np.testing.assert_array_equal(weights[1][1], weights[0][1])
