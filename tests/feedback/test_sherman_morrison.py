"""The robust Sherman-Morrison update of Meulemans 2019, Algorithm 4.1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from targetprop.feedback.inverse_formulas import drift, robust_sherman_morrison
from targetprop.feedback.inverses import RobustShermanMorrison

pytestmark = pytest.mark.usefixtures("float64")

N, THRESHOLD = 4, 0.5
update = jax.jit(robust_sherman_morrison)
vectors = arrays(np.float64, N, elements=st.floats(-2, 2, allow_subnormal=False))


def weight(seed: int) -> np.ndarray:
    """A random matrix with singular values between 0.5 and 2."""
    left, _, right = np.linalg.svd(np.random.default_rng(seed).normal(size=(N, N)))
    return left * np.linspace(0.5, 2, N) @ right


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 20), vectors, vectors)
def test_what_comes_out_is_a_weight_with_its_inverse(seed, u, v):
    """Equation (4.79), shortened or not."""
    with jax.enable_x64(True):
        before = weight(seed)
        after, matrix, beta = update(before, np.linalg.inv(before), u, v, THRESHOLD)
        np.testing.assert_allclose(after @ matrix, np.eye(N), atol=1e-10)
        np.testing.assert_allclose(after, before + beta * np.outer(u, v), atol=1e-14)
        d = v @ np.linalg.inv(before) @ u
        assert (float(beta) == 1) == (abs(1 + d) >= THRESHOLD)
        assert 0 < float(beta) <= 1
        denominator = abs(1 + beta * d)
        assert denominator >= THRESHOLD / (1 + 2 * THRESHOLD) - 1e-12


def test_a_step_onto_a_singular_weight_is_shortened():
    """`W + u v^T` is singular for `u = -W v / v^T v`; what is left has a smallest singular value
    that the threshold bounds: `|det|` falls by the denominator, and no other singular value grows
    beyond `||W|| + ||u v^T||`.
    """
    before, v = weight(0), np.array([1.0, 2.0, 0.0, -1.0])
    u = -before @ v / (v @ v)
    assert np.linalg.svd(before + np.outer(u, v), compute_uv=False)[-1] < 1e-12
    after, _, beta = update(before, np.linalg.inv(before), u, v, THRESHOLD)
    assert float(beta) == pytest.approx(1 / (1 + THRESHOLD))
    smallest = np.linalg.svd(after, compute_uv=False)[-1]
    bound = abs(np.linalg.det(before)) * THRESHOLD / (1 + THRESHOLD) / np.linalg.norm(before, 2) ** (N - 1)
    assert smallest >= bound


@pytest.mark.parametrize("batch", [1, 3])
def test_the_inverse_is_exact_after_thousands_of_steps(batch):
    method, rng = RobustShermanMorrison(THRESHOLD, limit=np.inf), np.random.default_rng(1)
    x = rng.normal(size=(3000, batch, N))
    steps = 0.05 * np.einsum("tbi,tbj->tij", rng.normal(size=(3000, batch, N)), x)

    def body(carry, given):
        weight, state = carry
        moved, state = method.update(state, weight, weight + given[0], given[1])
        return (moved, state), jnp.linalg.norm(moved - weight - given[0]) > 1e-9

    start = jnp.asarray(weight(2))
    (end, state), shortened = jax.jit(lambda c: jax.lax.scan(body, c, (steps, x)))((start, method.init(start)))
    assert float(drift(state.matrix, end)) < 1e-8
    assert 0 < int(shortened.sum()) < 3000
    v = jnp.asarray(rng.normal(size=(5, N)))
    np.testing.assert_allclose(method.apply(state, end, v), np.linalg.solve(end, v.T).T, rtol=1e-9)


def test_a_step_beyond_the_span_of_the_inputs_is_taken_whole():
    method, start = RobustShermanMorrison(THRESHOLD), jnp.asarray(weight(3))
    step = 0.01 * np.random.default_rng(4).normal(size=(N, N))
    moved, state = method.update(method.init(start), start, start + step, jnp.ones((1, N)))
    np.testing.assert_allclose(moved, start + step, atol=1e-14)
    np.testing.assert_allclose(method.apply(state, moved, jnp.eye(N)), np.linalg.inv(moved).T, rtol=1e-9)
