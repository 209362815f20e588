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
from targetprop.training.penalties import ColumnOrthogonalityPenalty, OrthogonalityPenalty
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


def test_the_published_code_asks_for_orthogonal_columns(float64):
    """It has the transposed weight, `y = x V`, and penalizes the inner products of the rows of `V`."""
    weight = jnp.asarray(np.random.default_rng(0).normal(size=(4, 6)))

    def published(v):
        gram = v @ v.T
        return 0.3 * jnp.sum((gram - gram * jnp.eye(len(v))) ** 2)

    penalty = ColumnOrthogonalityPenalty(0.3)
    np.testing.assert_allclose(penalty.value(weight), published(weight.T), rtol=1e-12)
    np.testing.assert_allclose(penalty.gradient(weight), jax.grad(published)(weight.T).T, rtol=1e-12)
    square = orthogonal()(jax.random.key(0), (5, 5), jnp.float64)
    norms = jnp.arange(1.0, 6.0)
    rows, columns = OrthogonalityPenalty(1.0), ColumnOrthogonalityPenalty(1.0)
    assert rows.value(norms[:, None] * square) < 1e-20 < 1 < columns.value(norms[:, None] * square)
    assert columns.value(square * norms) < 1e-20 < 1 < rows.value(square * norms)


@pytest.mark.parametrize(
    ("width", "draws", "expected", "tolerance"), [(6, 400, 0.6, 0.06), (400, 3, (2 / 400) ** 0.5, 0.01)]
)
def test_rows_and_columns_are_much_the_same_for_wide_random_weights(float64, width, draws, expected, tolerance):
    """`W W^T W` is in both gradients, and cancels. What is left is `4 (W diag(W^T W) - diag(W W^T)
    W)`, for `n x n` normal weights of variance `1 / n` of the expected square 64, beside `32 n` of
    a gradient: `sqrt(2 / n)`. For narrow layers the mean is measured: 62 % for 6 x 6.
    """
    rng, off = np.random.default_rng(0), []
    for _ in range(draws):
        weight = jnp.asarray(rng.normal(size=(width, width)) / width**0.5)
        one, other = (kind(1.0).gradient(weight) for kind in (OrthogonalityPenalty, ColumnOrthogonalityPenalty))
        off.append(np.linalg.norm(one - other) / np.linalg.norm(one))
    assert np.mean(off) == pytest.approx(expected, abs=tolerance)


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
