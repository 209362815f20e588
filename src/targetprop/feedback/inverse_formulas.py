"""Formulas for the inverse of a square weight: updates of a stored inverse, and iterations."""

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from .._linear_algebra import orthonormal_columns, solve_columns

Weight = Float[Array, "n n"]

ITERATIONS = 20
"""The largest number of refinements."""


def woodbury(matrix: Weight, step: Weight, x: Float[Array, "batch n"]) -> Weight:
    """The inverse of `W + P` by Woodbury's formula.

    `P` is the part of `step` whose rows lie in the span of the rows of `x`.

    **Arguments:**

    - `matrix`: the inverse of `W`.
    - `step`: the change of the weight.
    - `x`: the inputs, shape `(batch, n)`.

    **Returns:** the inverse.
    """
    basis = orthonormal_columns(x.T)
    left = matrix @ (step @ basis)
    right = basis.T @ matrix
    small = jnp.eye(basis.shape[1], dtype=matrix.dtype) + basis.T @ left
    return matrix - left @ solve_columns(small, right)


def robust_sherman_morrison(
    weight: Weight, matrix: Weight, u: Float[Array, " n"], v: Float[Array, " n"], threshold: Any
) -> tuple[Weight, Weight, Float[Array, ""]]:
    """`W + beta u v^T` and its inverse, by the formula of Sherman and Morrison.

    `beta` is 1 if the denominator of the formula is at least `threshold` in size. Otherwise `beta`
    makes the denominator `beta threshold` (Meulemans 2019, equation 4.80).

    **Arguments:**

    - `weight`: `W`.
    - `matrix`: the inverse of `W`.
    - `u`, `v`: the vectors of the step.
    - `threshold`: the smallest denominator.

    **Returns:** the new weight, its inverse, and `beta`.
    """
    mu, vm = matrix @ u, v @ matrix
    d = v @ mu
    robust = jnp.abs(1 + d) >= threshold
    beta = jnp.where(robust, 1, 1 / (threshold - jnp.where(robust, 0, d)))
    return weight + beta * jnp.outer(u, v), matrix - jnp.outer(mu, vm) / jnp.where(robust, 1 + d, threshold), beta


def drift(matrix: Weight, weight: Weight) -> Float[Array, ""]:
    """`||M W - I||_F / sqrt(n)`: 0 for the inverse, 1 for the zero matrix."""
    n = weight.shape[0]
    return jnp.linalg.norm(matrix @ weight - jnp.eye(n, dtype=weight.dtype)) / n**0.5


def refined(matrix: Weight, weight: Weight, v: Float[Array, "batch n"]) -> Float[Array, "batch n"]:
    """`W^{-1} v`, by refinement of `M v` until the residual no longer halves.

    If the residual is then not near the rounding level, an LU factorization is used.
    """
    tolerance = 4 * jnp.finfo(v.dtype).eps

    def residual(x):
        left = v - x @ weight.T
        return left, jnp.linalg.norm(left)

    def unfinished(carry):
        _, _, size, last, count = carry
        return (size > tolerance * goal) & (size < last / 2) & (count < ITERATIONS)

    def refine(carry):
        x, left, size, _, count = carry
        x = x + left @ matrix.T
        return x, *residual(x), size, count + 1

    goal = jnp.linalg.norm(v)
    first = v @ matrix.T
    left, size = residual(first)
    x, _, size, _, _ = lax.while_loop(unfinished, refine, (first, left, size, jnp.inf * jnp.ones_like(size), 0))
    close = size <= 1e3 * tolerance * goal
    return lax.cond(close, lambda: x, lambda: solve_columns(weight, v.T).T)


def conjugate_gradients(
    weight: Weight, v: Float[Array, "batch n"], iterations: int
) -> tuple[Float[Array, "batch n"], Bool[Array, ""]]:
    """`W^{-1} v` for each row, and whether all residuals fell to the rounding level."""
    tolerance = 8 * jnp.finfo(v.dtype).eps
    scale = 1 / jnp.sum(weight**2, axis=1)
    goal = jnp.sum(v**2, axis=1)

    def ratio(a, b):
        return jnp.where(b > 0, a / jnp.where(b > 0, b, 1), 0)[:, None]

    def converged(residual):
        return jnp.all(jnp.sum(residual**2, axis=1) <= tolerance**2 * goal)

    def unfinished(carry):
        _, residual, _, _, count = carry
        return ~converged(residual) & (count < iterations)

    def advance(carry):
        x, residual, direction, size, count = carry
        moved = direction @ weight
        length = ratio(size, jnp.sum(moved**2, axis=1))
        x, residual = x + length * moved, residual - length * (moved @ weight.T)
        scaled = scale * residual
        new_size = jnp.sum(residual * scaled, axis=1)
        return x, residual, scaled + ratio(new_size, size) * direction, new_size, count + 1

    start = (jnp.zeros_like(v), v, scale * v, jnp.sum(v * scale * v, axis=1), 0)
    x, residual, *_ = lax.while_loop(unfinished, advance, start)
    return x, converged(residual)
