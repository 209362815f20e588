"""Ways to have the inverse of a weight: all give that of dense float64 algebra, also after many
steps.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.errors import ConfigError
from targetprop.feedback.inverse_formulas import drift, woodbury
from targetprop.feedback.inverses import (
    Automatic,
    ConjugateGradients,
    ExplicitInverse,
    LUSolve,
    Woodbury,
    init_inverses,
    inverse_displacement,
    update_inverses,
)
from targetprop.networks.activations import Identity, LeakyReLU, ReLU, Tanh
from targetprop.networks.initializers import orthogonal
from targetprop.networks.invertible import DenseOnFirstUnits, inverted_layers, invertible_mlp
from targetprop.networks.layers import Dense
from targetprop.networks.network import Network, mlp

WIDTH, BATCH = 24, 3
METHODS = [LUSolve(), ExplicitInverse(), ExplicitInverse(0.0), Woodbury(), ConjugateGradients(), Automatic()]
NAMES = ["lu", "explicit", "anew every step", "woodbury", "conjugate gradients", "automatic"]


def numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def weight(seed: int = 0) -> jax.Array:
    return jnp.asarray(orthogonal()(jax.random.key(seed), (WIDTH, WIDTH)))


@eqx.filter_jit
def walk(method, weight, steps, inputs):
    """The weight and the state after a sequence of steps, each on its batch of inputs."""

    def body(carry, given):
        weight, state = carry
        return method.update(state, weight, weight + given[0], given[1]), None

    return jax.lax.scan(body, (weight, method.init(weight)), (steps, inputs))[0]


@pytest.mark.parametrize("low_rank", [True, False], ids=["steps of rank B", "steps of full rank"])
@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_the_inverse_stays_exact_over_many_steps(method, low_rank):
    inputs = numbers(1, 300, BATCH, WIDTH)
    steps = 0.01 * (
        np.einsum("tbi,tbj->tij", numbers(2, 300, BATCH, WIDTH), inputs) if low_rank else numbers(3, 300, WIDTH, WIDTH)
    )
    moved, state = walk(method, weight(), jnp.asarray(steps, jnp.float32), jnp.asarray(inputs, jnp.float32))
    v = numbers(4, 5, WIDTH)
    expected = np.linalg.solve(np.asarray(moved, np.float64), v.T).T
    found = method.apply(state, moved, jnp.asarray(v, jnp.float32))
    condition = np.linalg.cond(np.asarray(moved, np.float64))
    assert np.linalg.norm(found - expected) <= 20 * np.finfo(np.float32).eps * condition * np.linalg.norm(expected)


def test_a_step_of_the_rank_of_the_batch_needs_no_repair(float64):
    """The formula of Woodbury alone, for plain gradient descent: thousands of steps leave
    rounding.
    """
    inputs = jnp.asarray(numbers(1, 3000, BATCH, WIDTH))
    steps = 0.003 * jnp.einsum("tbi,tbj->tij", numbers(2, 3000, BATCH, WIDTH), inputs)
    moved, kept = walk(Woodbury(jnp.inf), weight().astype(float), steps, inputs)
    assert float(drift(kept.matrix, moved)) < 1e-9
    np.testing.assert_allclose(kept.matrix, np.linalg.inv(moved), rtol=1e-6, atol=1e-8)


def test_a_batch_of_one_is_the_formula_of_sherman_and_morrison(float64):
    w, u, x = weight().astype(float), numbers(5, WIDTH), numbers(6, 1, WIDTH)
    m = np.linalg.inv(w)
    expected = m - np.outer(m @ u, x[0] @ m) / (1 + x[0] @ m @ u)
    np.testing.assert_allclose(woodbury(jnp.asarray(m), jnp.outer(u, x[0]), jnp.asarray(x)), expected, rtol=1e-9, atol=1e-12)


def test_drift_is_measured_and_repaired(float64):
    """Steps outside the span of the batch make a kept inverse drift; above the limit it is
    computed anew.
    """
    inputs, steps = jnp.zeros((200, 1, WIDTH)), 0.003 * jnp.asarray(numbers(3, 200, WIDTH, WIDTH))
    start = weight().astype(float)
    moved, never = walk(ExplicitInverse(jnp.inf), start, steps, inputs)
    np.testing.assert_array_equal(never.matrix, ExplicitInverse().init(start).matrix)
    gone = np.asarray(never.matrix @ moved - np.eye(WIDTH))
    assert float(drift(never.matrix, moved)) == pytest.approx(np.linalg.norm(gone) / WIDTH**0.5, rel=1e-9)
    assert float(drift(never.matrix, moved)) > 0.1
    _, repaired = walk(ExplicitInverse(0.1), start, steps, inputs)
    assert np.abs(np.linalg.eigvals(repaired.matrix @ moved) - 1).max() < 0.12
    _, anew = walk(ExplicitInverse(0.0), start, steps, inputs)
    assert float(drift(anew.matrix, moved)) < 1e-12


def test_a_stale_inverse_is_refined_and_a_useless_one_not_trusted(float64):
    method, w, v = ExplicitInverse(), weight().astype(float), jnp.asarray(numbers(4, 5, WIDTH))
    kept = method.init(w)
    expected = np.linalg.solve(w, v.T).T
    for spoiled in (1.3 * kept.matrix, jnp.zeros_like(kept.matrix), -kept.matrix, jnp.nan * kept.matrix):
        found = method.apply(eqx.tree_at(lambda state: state.matrix, kept, spoiled), w, v)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_the_choice_goes_by_shape():
    wide, narrow = (jnp.eye(n) for n in (130, 20))
    inside = np.zeros((130, 130))
    inside[0, 0] = 0.5  # a step in the span of a batch whose samples are the first unit vectors
    for batch, follows in ((2, True), (60, False)):
        state = Automatic(jnp.inf).init(wide)
        _, state = Automatic(jnp.inf).update(state, wide, wide + inside, jnp.eye(130)[:batch])
        assert (float(state.matrix[0, 0]) == pytest.approx(1 / 1.5)) == follows
    assert Automatic().init(narrow) is None


# --- whole networks -------------------------------------------------------------------------------------------------


def tower() -> Network:
    return invertible_mlp((6, 7, 5, 5, 2), LeakyReLU(0.1), initializer=orthogonal(), key=jax.random.key(1))


def test_the_inverse_displacement_moves_the_pre_activation_as_asked(float64):
    """And leaves the auxiliary units of the layer below where they are."""
    network = jax.tree.map(lambda leaf: leaf.astype(float) if eqx.is_inexact_array(leaf) else leaf, tower())
    trace = network.trace(jnp.asarray(numbers(0, 3, 6)))
    states = init_inverses(LUSolve(), network)
    for layer, point, state in zip(network.layers[1:], trace.points[1:], states, strict=True):
        da = jnp.asarray(numbers(1, *point.a.shape))
        dx = inverse_displacement(LUSolve(), state, layer, point, da)
        assert dx.shape == point.x.shape
        np.testing.assert_allclose(layer.at(point.x + dx).a, point.a + da, rtol=1e-12)
        np.testing.assert_array_equal(dx[:, da.shape[1] :], 0)


def test_auxiliary_units_are_not_read():
    network = tower()
    assert network.shapes == ((6,), (7,), (5,), (5,), (2,))
    second = network.layers[1]
    assert isinstance(second, DenseOnFirstUnits)
    x, dx = jnp.asarray(numbers(0, 3, 7)), jnp.asarray(numbers(1, 2, 3, 7))
    np.testing.assert_array_equal(second.at(x.at[:, 5:].set(9.0)).h, second.at(x).h)
    moved = second.difference(second.at(x), dx)
    np.testing.assert_allclose(moved, jax.vmap(lambda d: second.at(x + d).h - second.at(x).h)(dx), atol=1e-6)
    np.testing.assert_array_equal(second.difference(second.at(x), dx.at[..., 5:].set(0.0)), moved)


def test_following_a_step_keeps_every_layer_inverted(float64):
    network, method = tower(), Woodbury(jnp.inf)
    network = jax.tree.map(lambda leaf: leaf.astype(float) if eqx.is_inexact_array(leaf) else leaf, network)
    trace = network.trace(jnp.asarray(numbers(0, 2, 6)))
    gradients = [
        pullback(0.1 * jnp.asarray(numbers(2, *point.h.shape)))[0]
        for pullback, point in zip(trace.pullbacks, trace.points, strict=True)
    ]
    after = Network([eqx.apply_updates(*pair) for pair in zip(network.layers, gradients, strict=True)], network.input_shape)
    unchanged, states = update_inverses(method, network, after, init_inverses(method, network), trace)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(unchanged), jax.tree.leaves(after), strict=True))
    for state, dense in zip(states, inverted_layers(after), strict=True):
        np.testing.assert_allclose(state.matrix @ dense.weight, np.eye(len(dense.weight)), atol=1e-12)


def flatten(x):
    return x.reshape(x.shape[0], -1)


def test_a_layer_without_inverse_is_named_with_the_reason():
    key = jax.random.key(0)
    first = Dense.create((4, 4), Identity(), key=key)
    for network, complaint in (
        (mlp((4, 4, 3), Identity(), key=key), r"Layer 2 cannot be inverted: its weight is 3 x 4, not square"),
        (Network([first, flatten, first], 4), r"Layer 2 cannot be inverted: flatten is not a dense layer"),
        (mlp((4, 4, 4), (Tanh(), ReLU()), key=key), r"Layer 2 cannot be inverted: ReLU has no inverse"),
        (mlp((4, 4, 4, 4), key=key), r"Layer 2 cannot be inverted: Tanh takes values in a part of the real line only"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            inverted_layers(network)
    assert len(inverted_layers(mlp((4, 4, 4, 4), Tanh(), key=key), onto=False)) == 2
    with pytest.raises(ConfigError, match=r"Layer 2 cannot be inverted: it has 5 units and the layer below has only 4"):
        invertible_mlp((4, 4, 5), Identity(), key=key)
