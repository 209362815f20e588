"""Decompositions of many small matrices.

On a CPU, XLA shares one pool of threads between the operations of a program and the matrices of a
batched LAPACK call. Such a call blocks its thread until other threads have done the work. On two
cores, two such calls at the same time wait for each other forever. A call for a single matrix runs
in its own thread. So on a CPU the matrices are decomposed one by one.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float


def one_by_one(function: Callable, *batched: Any) -> Any:
    """Map `function` over the leading axis of some pytrees of arrays, and stack the results.

    The entries are computed one at a time on a CPU, and all at once on an accelerator.
    """
    if jax.default_backend() == "cpu":
        return lax.map(lambda entries: function(*entries), batched)
    return jax.vmap(function)(*batched)


@jax.jit
def decomposed(matrices: Float[Array, "batch m n"]) -> tuple[Array, Array, Array]:
    """The singular value decomposition `J = U diag(s) V^T` per sample.

    A QR factorization reduces the longer side first.

    **Arguments:**

    - `matrices`: `J`, shape `(batch, m, n)`.

    **Returns:** `U`, `s` and `V`, of shapes `(batch, m, k)`, `(batch, k)` and `(batch, n, k)`,
    with `k = min(m, n)`.
    """

    def one(matrix):
        q, r = jnp.linalg.qr(matrix.T)  # J^T = Q R
        right, s, left = jnp.linalg.svd(r, full_matrices=False)  # R = right S left
        return left.T, s, q @ right

    return one_by_one(one, matrices)


def counted(s: Float[Array, "batch k"], matrices: Float[Array, "batch m n"]) -> Array:
    """Which singular values are not zero within rounding.

    These are the ones above `max(m, n)` machine precisions times the largest.
    """
    return s > max(matrices.shape[1:]) * jnp.finfo(s.dtype).eps * s[:, :1]


@jax.jit
def solve_positive(matrices: Float[Array, "batch k k"], v: Float[Array, "batch k"]) -> Float[Array, "batch k"]:
    """`A^{-1} v` per sample for symmetric positive definite `A`, by a Cholesky factorization."""
    return one_by_one(lambda a, v: cho_solve((jnp.linalg.cholesky(a), True), v), matrices, v)


@jax.jit
def solve(matrices: Float[Array, "batch k k"], v: Float[Array, "batch k"]) -> Float[Array, "batch k"]:
    """`A^{-1} v` per sample for invertible `A`."""
    return one_by_one(jnp.linalg.solve, matrices, v)


@jax.jit
def eigh(matrices: Float[Array, "batch k k"]) -> tuple[Float[Array, "batch k"], Float[Array, "batch k k"]]:
    """The eigenvalues, ascending, and the eigenvectors, as columns, of symmetric matrices."""
    return one_by_one(lambda a: tuple(jnp.linalg.eigh(a)), matrices)


def _matrix_by_matrix(function: Callable) -> Callable:
    """`function`, but under `vmap` on a CPU its calls run one after the other."""
    sequential = jax.custom_batching.custom_vmap(function)

    @sequential.def_vmap
    def one_after_the_other(size, batched, *matrices):
        if not any(batched):  # in forward mode, if only a tangent is batched
            found = function(*matrices)
            return found, jax.tree.map(lambda _: False, found)
        moving = [matrix for matrix, moves in zip(matrices, batched, strict=True) if moves]

        def one(entries):
            remaining = iter(entries)
            return sequential(*(next(remaining) if moves else m for m, moves in zip(matrices, batched, strict=True)))

        found = lax.map(one, moving)
        return found, jax.tree.map(lambda _: True, found)

    def apply(*matrices):
        return (sequential if jax.default_backend() == "cpu" else function)(*matrices)

    return apply


@_matrix_by_matrix
def solve_columns(matrix: Float[Array, "n n"], columns: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """`A^{-1} B` by an LU factorization of one matrix."""
    return jnp.linalg.solve(matrix, columns)


@_matrix_by_matrix
def inverse(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """`A^{-1}` of one matrix."""
    return jnp.linalg.inv(matrix)


@_matrix_by_matrix
def pseudo_inverse(matrix: Float[Array, "m n"]) -> Float[Array, "n m"]:
    """The Moore-Penrose inverse of one matrix."""
    return jnp.linalg.pinv(matrix)


@_matrix_by_matrix
def orthonormal_columns(matrix: Float[Array, "n k"]) -> Float[Array, "n min(n,k)"]:
    """Orthonormal columns whose span contains the span of the columns of `matrix`."""
    return jnp.linalg.qr(matrix)[0]


@_matrix_by_matrix
def one_decomposed(matrix: Float[Array, "m n"]) -> tuple[Array, Array, Array]:
    """`U`, `s`, `V^T` of one matrix, with `s` descending."""
    return tuple(jnp.linalg.svd(matrix, full_matrices=False))
