"""The order of the two updates in Meulemans 2019, Algorithms A.10 to A.13: `Q` learns after the
step of the network, through the new `W`. Written out in NumPy.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.papers.thesis2019.recipes import RECIPES
from targetprop.training.step import init_state, step

SLOPE, STEPSIZE, STRENGTH, SIGMA, RATE, FEEDBACK_RATE = 0.375, 0.25, 0.125, 0.125, 1 / 16, 1 / 32
KEY = jax.random.key(0)
# Programs without most optimizations lose digits after the step; the two orders differ by far more.
CLOSE = {"rtol": 1e-7, "atol": 1e-9}


def numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


X, Y = numbers(1, 8, 4), numbers(2, 8, 5)


def batch() -> tuple[jax.Array, jax.Array]:
    return jnp.asarray(X), jnp.asarray(Y)


def recipe(rule: tp.Rule, **changes) -> tp.Recipe:
    found = tp.Recipe(rule, loss=tp.SquaredError(), stepsize=STEPSIZE)
    return found.replace(optimizer=tp.SGD(RATE), feedback_optimizer=tp.SGD(FEEDBACK_RATE), **changes)


def network() -> tp.Network:
    return tp.mlp((4, 5, 5, 5), tp.LeakyReLU(SLOPE), bias=False, key=KEY, dtype=jnp.float64)


def s(a: np.ndarray) -> np.ndarray:
    return np.where(a < 0, SLOPE * a, a)


def forward_step(weights: list[np.ndarray], q: list[np.ndarray], corrected: bool) -> list[np.ndarray]:
    """The weights after the forward part of A.10, or with `corrected` of A.12."""
    h, slopes = [X], []
    for i, w in enumerate(weights, start=1):
        a = h[-1] @ w.T
        slopes.append(np.where((a < 0) & (i < len(weights)), SLOPE, 1.0))
        h.append(slopes[-1] * a)
    target, moved = h[-1] - STEPSIZE * (h[-1] - Y), []
    for i in range(len(weights), 0, -1):
        moved.insert(0, weights[i - 1] + RATE * (slopes[i - 1] * (target - h[i])).T @ h[i - 1] / len(X))
        if i > 1:
            linear = i == len(weights)  # s^{-1} of the output layer
            up, there = (v if linear else np.where(v < 0, v / SLOPE, v) for v in (target, h[i]))
            target = (up - there) @ q[i - 2].T + h[i - 1] if corrected else up @ q[i - 2].T
    return moved


def feedback_step(weights: list[np.ndarray], q: list[np.ndarray], noise: list[np.ndarray]) -> list[np.ndarray]:
    """Algorithm A.8, whose learning rate is twice ours."""
    rate, moved = 2 * FEEDBACK_RATE, []
    for own, w, z in zip(q, weights[1:], noise, strict=True):
        a = z @ np.asarray(w).T
        moved.append((1 - rate * STRENGTH) * own - rate * (a @ own.T - z).T @ a / len(z))
    return moved


@pytest.mark.parametrize("plain", [tp.tp_ai(strength=STRENGTH), tp.dtp_ai(strength=STRENGTH)], ids=lambda rule: rule.name)
@pytest.mark.parametrize("published", [True, False])
def test_a_step_is_that_of_algorithms_a_10_and_a_12(plain, published):
    """In the published order `Q` sees the new weights, otherwise the old ones."""
    rule = tp.FeedbackAfterStep(plain) if published else plain
    state = init_state(recipe(rule), network())
    noise = rule.draw(state.network.trace(batch()[0]), jax.random.fold_in(state.key, 0)).layers
    weights = [np.asarray(layer.weight) for layer in state.network.layers]
    q = [np.asarray(g.linear.weight) for g in state.feedback]
    after, info = step(state, batch())
    new = forward_step(weights, q, plain.name == "dtp-ai")
    for layer, expected in zip(after.network.layers, new, strict=True):
        np.testing.assert_allclose(layer.weight, expected, rtol=1e-9, atol=1e-12)
    for g, expected in zip(after.feedback, feedback_step(new if published else weights, q, noise), strict=True):
        np.testing.assert_allclose(g.linear.weight, expected, **CLOSE)
    assert len(info.feedback_losses) == 2


def test_all_of_q_learns_where_one_layer_moves():
    """Algorithms A.11 and A.13: through the weights of the layers that did not move, as before."""
    rule = tp.FeedbackAfterStep(tp.tp_ai(strength=STRENGTH))
    state = init_state(recipe(rule, update_mask=tp.OneRandomLayer()), network())
    noise = rule.draw(state.network.trace(batch()[0]), jax.random.fold_in(state.key, 0)).layers
    after, _ = step(state, batch())
    pairs = list(zip(state.network.layers, after.network.layers, strict=True))
    assert sum(not np.array_equal(a.weight, b.weight) for a, b in pairs) == 1
    q = [np.asarray(g.linear.weight) for g in state.feedback]
    expected = feedback_step([np.asarray(layer.weight) for layer in after.network.layers], q, noise)
    for g, wanted in zip(after.feedback, expected, strict=True):
        np.testing.assert_allclose(g.linear.weight, wanted, **CLOSE)


@pytest.mark.parametrize("inner", [tp.dtp(sigma=SIGMA), tp.InverseSlopes(tp.TargetPropExact())], ids=lambda rule: rule.name)
def test_a_loop_of_ones_own_has_the_same_order(inner):
    """For feedback that reads activities, these are those of the new weights."""
    rule = tp.FeedbackAfterStep(inner)
    state = init_state(recipe(rule), network())
    after, _ = step(state, batch())
    gradients = tp.value_and_grad(rule, tp.SquaredError(), stepsize=STEPSIZE)
    (_, aux), grads = gradients(state.network, state.feedback, *batch(), key=jax.random.fold_in(state.key, 0))
    moved = jax.tree.map(lambda w, g: w - RATE * g, state.network, grads.network)
    moved, feedback = rule.post_update(state.network, moved, state.feedback, aux.credit)
    for one, other in zip(jax.tree.leaves(after.network), jax.tree.leaves(moved), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    if rule.learns_feedback:
        late = tp.feedback_step_after(rule, moved, feedback, aux.credit.batch)
        feedback = jax.tree.map(lambda q, g: q - FEEDBACK_RATE * g, feedback, late.gradients)
        assert not all(map(np.array_equal, jax.tree.leaves(late.gradients), jax.tree.leaves(grads.feedback)))
    for one, other in zip(jax.tree.leaves(after.feedback), jax.tree.leaves(feedback), strict=True):
        np.testing.assert_allclose(one, other, **CLOSE)


def test_the_recipes_have_the_published_order():
    """`Q` of A.14 to A.17 learns from the activities of the forward pass, before the step."""
    orders = {
        name: RECIPES.build(name).rule.feedback_after_step for name in RECIPES.configurations() if "dendrites" not in name
    }
    assert {name.split("/")[-1] for name, late in orders.items() if late} == {"tp-ai", "dtp-ai", "mtp-ai"}
    assert {name.split("/")[-1] for name, late in orders.items() if not late} >= {"original-tp", "original-dtp", "mtp"}
