"""Initializers of weights that are far from singular."""

import jax
import jax.numpy as jnp
import numpy as np

from targetprop.networks.initializers import clipped, rejected, xavier_normal

KEY = jax.random.key(0)


def singular_values(matrix):
    return np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)


def test_rejection_draws_until_the_extreme_singular_values_are_large_enough():
    draws = [xavier_normal()(jax.random.fold_in(KEY, i), (6, 6)) for i in range(200)]
    good = [i for i, draw in enumerate(draws) if np.prod(singular_values(draw)[[0, -1]]) >= 0.5]
    assert good[0] > 0
    np.testing.assert_allclose(rejected(0.5)(KEY, (6, 6)), draws[good[0]], rtol=1e-6)


def test_rejection_gives_up_with_the_best_draw():
    products = [np.prod(singular_values(xavier_normal()(jax.random.fold_in(KEY, i), (6, 6)))[[0, -1]]) for i in range(20)]
    best = jax.random.fold_in(KEY, int(np.argmax(products)))
    np.testing.assert_allclose(rejected(100.0, attempts=20)(KEY, (6, 6)), xavier_normal()(best, (6, 6)), rtol=1e-6)


def test_clipping_raises_the_small_singular_values_and_no_others():
    draw, raised = xavier_normal()(KEY, (6, 6)), clipped(0.5)(KEY, (6, 6))
    before = singular_values(draw)
    assert before[-1] < 0.5 < before[0]
    np.testing.assert_allclose(singular_values(raised), np.maximum(before, 0.5), rtol=1e-5)
    left, _, right = np.linalg.svd(np.asarray(draw, np.float64))
    np.testing.assert_allclose(left.T @ np.asarray(raised) @ right.T, np.diag(np.maximum(before, 0.5)), atol=1e-5)
    assert raised.dtype == jnp.float32
