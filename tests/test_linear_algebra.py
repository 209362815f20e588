"""Decompositions of many small matrices: correct, and one matrix at a time on a CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop._linear_algebra import counted, decomposed, eigh, solve, solve_columns, solve_positive
from targetprop.diagnostics import Probe
from targetprop.diagnostics.probe import Sample
from targetprop.losses import SoftmaxCrossEntropy
from targetprop.networks.network import mlp
from targetprop.rules import Example, GeneralizedGaussNewtonTargets

pytestmark = pytest.mark.usefixtures("float64")

DECOMPOSITIONS = {"qr", "geqrf", "householder_product", "svd", "cholesky", "eigh", "lu", "triangular_solve"}


@pytest.fixture
def matrices():
    return np.random.default_rng(0).standard_normal((6, 3, 5))


@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1)], ids=["wide", "tall"])
def test_the_parts_make_up_the_matrix(matrices, axes):
    matrices = jnp.asarray(matrices.transpose(axes))
    u, s, v = decomposed(matrices)
    np.testing.assert_allclose(jnp.einsum("bmk,bk,bnk->bmn", u, s, v), matrices, atol=1e-13)
    np.testing.assert_allclose(s, np.linalg.svd(matrices, compute_uv=False), rtol=1e-12)
    for vectors in (u, v):
        np.testing.assert_allclose(jnp.einsum("bki,bkj->bij", vectors, vectors), np.stack([np.eye(3)] * 6), atol=1e-13)


def test_singular_values_count_by_the_rank():
    matrices = jnp.stack([jnp.diag(jnp.array([2.0, 1.0, 0.0])), jnp.eye(3)])
    np.testing.assert_array_equal(counted(decomposed(matrices)[1], matrices).sum(axis=1), [2, 3])


def test_solutions(matrices):
    gram = jnp.asarray(matrices @ matrices.transpose(0, 2, 1))
    v = jnp.asarray(matrices[:, :, 0])
    for solved in (solve_positive(gram, v), solve(gram, v)):
        np.testing.assert_allclose(jnp.einsum("bij,bj->bi", gram, solved), v, atol=1e-11)
    values, vectors = eigh(gram)
    np.testing.assert_allclose(jnp.einsum("bik,bk,bjk->bij", vectors, values, vectors), gram, atol=1e-12)
    assert (jnp.diff(values) >= 0).all()


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="an accelerator decomposes all matrices at once")
def test_no_program_decomposes_two_matrices_in_one_call(operations):
    """Batched LAPACK calls of one program can wait for each other forever on a CPU."""
    network, x, y = mlp((4, 6, 5, 3), key=jax.random.key(0)), jnp.ones((7, 4)), jnp.zeros(7, int)

    def measured(x):
        return Probe()(
            Sample.take(GeneralizedGaussNewtonTargets(), network, None, Example(SoftmaxCrossEntropy(), x, y, 0.1))
        )

    found = [operation for operation in operations(measured, x) if operation.primitive.name in DECOMPOSITIONS]
    assert {"qr", "svd", "cholesky", "lu"} <= {operation.primitive.name for operation in found}
    assert [operation for operation in found if any(v.aval.ndim > 2 for v in operation.invars)] == []


def test_single_matrices_may_be_batched_and_differentiated(matrices):
    """`vmap` and forward-mode differentiation in both orders, with both, one or none of the
    operands batched.
    """
    square = jnp.asarray(matrices @ matrices.transpose(0, 2, 1))
    columns = jnp.asarray(matrices)
    for axes, args in (((0, 0), (square, columns)), ((None, 0), (square[0], columns)), ((0, None), (square, columns[0]))):
        expected = jax.vmap(jnp.linalg.solve, axes)(*args)
        np.testing.assert_allclose(jax.jit(jax.vmap(solve_columns, axes))(*args), expected, rtol=1e-10)

    def along(direction):
        return jax.jvp(lambda b: solve_columns(square[0], b), (columns[0],), (direction,))[1]

    np.testing.assert_allclose(jax.jit(jax.vmap(along))(columns), jnp.linalg.solve(square[0], columns), rtol=1e-10)
