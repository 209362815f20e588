"""Gauss-Newton: Jacobians of the output, solvers, curvature, and the update of the parameters.

Let `J = U S V^T` have the shape `(m, n)`. Damping replaces the pseudo-inverse `V S^{-1} U^T` by
`J^T (J J^T + lambda I)^{-1}`. This multiplies by `s / (s^2 + lambda)`, which is at most
`1 / (2 sqrt(lambda))`.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._array_checks import CheckedModule
from .._checks import check_array, check_given, check_is
from .._linear_algebra import counted, decomposed, eigh, solve_positive
from .._promotion import usual_promotion
from ..errors import ConfigError, check_positive
from ..networks.layers import Activity, Dense, Point, parameters, split_parameters
from ..networks.network import Network, Trace

Jacobian = Float[Array, "batch m n"]


def output_jacobians(trace: Trace) -> tuple[Jacobian, ...]:
    """`J_i = dh_L / dh_i` per sample for the hidden layers `i = 1 .. L-1`.

    Activities are flattened. All Jacobians come from one backward pass, with a block of `n_L`
    cotangents per sample.

    **Returns:** one array of shape `(batch, n_L, n_i)` per hidden layer.
    """
    batch = trace.output.shape[0]
    units = jnp.eye(trace.output[0].size, dtype=trace.output.dtype)
    rows = jnp.broadcast_to(units[:, None], (len(units), batch, len(units))).reshape(len(units), *trace.output.shape)
    jacobians = []
    for pullback in reversed(trace.pullbacks[1:]):
        rows = jax.vmap(lambda row, pullback=pullback: pullback(row)[1])(rows)
        jacobians.append(jnp.moveaxis(rows.reshape(len(units), batch, -1), 0, 1))
    return tuple(reversed(jacobians))


class Solver(CheckedModule):
    """Maps a displacement of the output to the smallest displacement of a layer that causes it.

    With damping, the result causes it only approximately.
    """

    @abc.abstractmethod
    def __call__(self, jacobian: Jacobian, v: Float[Array, "batch m"], layer: int) -> Float[Array, "batch n"]:
        """The displacement of hidden layer `layer` that causes `v`, per sample.

        **Arguments:**

        - `jacobian`: `J` of the layer, shape `(batch, m, n)`.
        - `v`: the displacement of the output, shape `(batch, m)`.
        - `layer`: the number of the hidden layer. 1 is the first.

        **Returns:** the displacement, shape `(batch, n)`.
        """


class Tikhonov(Solver):
    """`J^T (J J^T + damping I)^{-1} v`, by a Cholesky factorization on the smaller side of `J`.

    `damping` must be positive. Use `PseudoInverse` for no damping. In float32, keep it above about
    `1e-6 ||J||^2`.
    """

    word: ClassVar[str] = "tikhonov"

    damping: float = 1e-2

    def __check_init__(self):
        check_positive(self, "damping")

    def __call__(self, jacobian: Jacobian, v: Float[Array, "batch m"], layer: int) -> Float[Array, "batch n"]:
        m, n = jacobian.shape[1:]
        if m <= n:
            return _apply_transpose(jacobian, self.solve(jnp.einsum("bik,bjk->bij", jacobian, jacobian), v))
        return self.solve(jnp.einsum("bki,bkj->bij", jacobian, jacobian), _apply_transpose(jacobian, v))

    def solve(self, gram: Float[Array, "batch k k"], v: Float[Array, "batch k"]) -> Float[Array, "batch k"]:
        """`(G + damping I)^{-1} v` for symmetric `G`."""
        damped = gram + self.damping * jnp.eye(gram.shape[-1], dtype=gram.dtype)
        return solve_positive(damped, v)


class PseudoInverse(Solver):
    """`J^† v`, the limit of `Tikhonov` for vanishing damping.

    It is exact even if `J` does not have full rank. A QR factorization comes first, so the
    singular value decomposition is that of a square matrix of the shorter side. Singular values
    below `max(m, n)` times the machine precision times the largest one count as zero.
    """

    word: ClassVar[str] = "pseudo-inverse"

    def __call__(self, jacobian: Jacobian, v: Float[Array, "batch m"], layer: int) -> Float[Array, "batch n"]:
        left, s, right = decomposed(jacobian)
        kept = counted(s, jacobian)
        inverse = jnp.where(kept, 1 / jnp.where(kept, s, 1), 0)
        return jnp.einsum("bnk,bk,bmk,bm->bn", right, inverse, left, v)


class PerLayerSolver(Solver):
    """One solver for each hidden layer.

    Example: `PerLayerSolver((Tikhonov(1.0), PseudoInverse()))`.
    """

    solvers: tuple[Solver, ...]

    def __check_init__(self):
        check_given(self, "solvers")

    def __call__(self, jacobian: Jacobian, v: Float[Array, "batch m"], layer: int) -> Float[Array, "batch n"]:
        if not 1 <= layer <= len(self.solvers):
            raise ConfigError(
                f"There are {len(self.solvers)} solvers but none for layer {layer}: give one for each hidden layer."
            )
        return self.solvers[layer - 1](jacobian, v, layer)


def _apply_transpose(jacobian: Jacobian, v: Float[Array, "batch m"]) -> Float[Array, "batch n"]:
    return jnp.einsum("bmn,bm->bn", jacobian, v)


@usual_promotion()
def gauss_newton_update(network: Network, x: Array, output_error: Float[Array, "batch n_L"], solver: Solver) -> Network:
    """The Gauss-Newton update of the parameters on a minibatch, block-diagonal over the layers.

    Let `J_b` be the Jacobian of the output of sample `b` with respect to all parameters of one
    layer. The update of that layer is `-(sum_b J_b^T J_b + damping I)^{-1} sum_b J_b^T e_b`
    (Meulemans et al. 2020, equation 117). `PseudoInverse` gives its limit without damping. The
    sums are not divided by the batch size.

    With `Tikhonov`, a dense layer costs a Cholesky factorization of `batch * n_L` rows. Otherwise
    the whole Jacobian of a layer is stored, `batch * n_L` times the number of its parameters. This
    is for small networks only.

    **Arguments:**

    - `network`: the network.
    - `x`: the inputs of the minibatch.
    - `output_error`: `e_L` per sample, shape `(batch, n_L)`.
    - `solver`: the damped or exact solver.

    **Returns:** the update, in the structure of `parameters(network)`. Add it to the parameters.

    **Raises:** `TypeError` if an argument is of another kind, `ConfigError` if shapes do not fit.
    """
    check_is("network", network, Network)
    check_is("solver", solver, Solver)
    check_array("output_error", output_error)
    trace = network.trace(x)
    if output_error.shape != trace.output.shape:
        raise ConfigError(f"`output_error` has the shape {output_error.shape}, and the output has {trace.output.shape}.")
    units = jnp.broadcast_to(jnp.eye(trace.output.shape[1], dtype=trace.output.dtype), (len(x), *output_error.shape[1:] * 2))
    jacobians = (*output_jacobians(trace), units)

    def step(i, layer):
        if not jax.tree.leaves(parameters(layer)):
            return parameters(layer)
        if isinstance(layer, Dense) and isinstance(solver, Tikhonov):
            return _damped_dense_step(layer, trace.points[i], jacobians[i], output_error, solver)
        return _step(network, i, x, output_error, solver)

    steps = tuple(step(i, layer) for i, layer in enumerate(network.layers))
    return eqx.tree_at(lambda tree: tree.layers, parameters(network), steps)


def _damped_dense_step(layer: Dense, point: Point, jacobian: Jacobian, error: Array, solver: Tikhonov) -> Dense:
    """`J^T (J J^T + damping I)^{-1} (-e)` for a dense layer.

    `J_b J_c^T = A_b A_c^T (x_b . x_c + 1)`, with `A_b` the Jacobian of the output with respect to
    the pre-activation.
    """
    x, (batch, outputs) = point.x.reshape(len(error), -1), error.shape
    _, back = jax.vjp(layer.activation, point.a)
    slopes = jax.vmap(lambda rows: back(rows)[0], 1, 1)(jacobian)
    similarity = x @ x.T + (0.0 if layer.bias is None else 1.0)
    gram = jnp.einsum("bpn,cqn->bpcq", slopes, slopes) * similarity[:, None, :, None]
    dual = solver.solve(gram.reshape(1, batch * outputs, -1), -error.reshape(1, -1))[0]
    da = jnp.einsum("bpn,bp->bn", slopes, dual.reshape(batch, outputs))
    return dataclasses.replace(parameters(layer), weight=da.T @ x, bias=None if layer.bias is None else jnp.sum(da, axis=0))


def _step(network: Network, i: int, x: Array, error: Array, solver: Solver) -> Any:
    trained, kept = split_parameters(network.layers[i])

    def output(trained):
        return eqx.tree_at(lambda network: network.layers[i], network, eqx.combine(trained, kept))(x)

    leaves, structure = jax.tree.flatten(trained)
    blocks = [block.reshape(error.size, -1) for block in jax.tree.leaves(jax.jacrev(output)(trained))]
    solution = solver(jnp.concatenate(blocks, axis=1)[None], -error.reshape(1, -1), i + 1)[0]
    ends = [sum(leaf.size for leaf in leaves[: k + 1]) for k in range(len(leaves))]
    parts = jnp.split(solution, ends[:-1])
    return structure.unflatten([part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)])


class Root(eqx.Module):
    """A symmetric root `K` of a metric `K K^T` of the output, per sample."""

    @abc.abstractmethod
    def __call__(self, v: Float[Array, "... batch n_L"]) -> Float[Array, "... batch n_L"]:
        """`K v`: how the feedback reads a displacement `v` of the output while it learns."""

    @abc.abstractmethod
    def solve(self, v: Float[Array, "... batch n_L"]) -> Float[Array, "... batch n_L"]:
        """`K^{-1} v`: how the feedback reads the output update `v`."""


class CurvatureRoot(Root):
    """The symmetric root `K_L = (H_L + damping I)^{1/2}` per sample.

    `H_L` is the Hessian of the output loss. For softmax with cross-entropy it is singular along
    `(1, .., 1)`, and nearly singular if the network is certain. The damping makes it invertible.
    Several roots satisfy `K K^T = H`. The symmetric root depends continuously on `h_L`. The root
    `U S^{1/2}` of a singular value decomposition does not: it changes with the order and the signs
    of the vectors.
    """

    eigenvalues: Float[Array, "batch n_L"]
    eigenvectors: Float[Array, "batch n_L n_L"]

    @classmethod
    def of(cls, curvature: Callable[[Activity], Activity], output: Activity, damping: float | Array) -> "CurvatureRoot":
        """The root of `H_L + damping I` at an output.

        **Arguments:**

        - `curvature`: the product with `H_L`.
        - `output`: `h_L`, shape `(batch, n_L)`.
        - `damping`: a number. It must be positive if `H_L` is singular.

        **Returns:** the root.
        """
        batch, size = output.shape
        units = jnp.broadcast_to(jnp.eye(size, dtype=output.dtype)[:, None], (size, batch, size))
        hessian = jnp.moveaxis(jax.vmap(curvature)(units), 0, -1)
        eigenvalues, eigenvectors = eigh(hessian)
        return cls(jnp.maximum(eigenvalues, 0) + damping, eigenvectors)

    def __call__(self, v: Float[Array, "... batch n_L"]) -> Float[Array, "... batch n_L"]:
        """`K_L v`."""
        return self._scale(jnp.sqrt(self.eigenvalues), v)

    def solve(self, v: Float[Array, "... batch n_L"]) -> Float[Array, "... batch n_L"]:
        """`K_L^{-1} v`."""
        return self._scale(1 / jnp.sqrt(self.eigenvalues), v)

    def _scale(self, scale, v):
        return jnp.einsum("bij,bj,bkj,...bk->...bi", self.eigenvectors, scale, self.eigenvectors, v, optimize="optimal")
