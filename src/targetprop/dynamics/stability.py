"""How stable a circuit is where it rests (Meulemans 2019, section 6.7).

With the forward blocks `J_i = ∂f_i/∂h_{i-1}`, `i = 2 .. L`, and the feedback blocks `G_i = ∂g_i/∂h_{i+1}`, `i = 1 .. L-1`,
the Jacobian of the motion is block tridiagonal: `-I` on the diagonal, `forward J_i` below it, `backward G_i` above.

**Theorem.** For `G_i = J_{i+1}^{-1}` and `T = diag(I, J_2, J_3 J_2, ..)`, `T^{-1} J T = K ⊗ I` with the tridiagonal Toeplitz
matrix `K` of a chain of single units with weights 1. So whatever the weights are, the eigenvalues are

    -1 + 2 sqrt(forward backward) cos(k π / (L + 1)),     k = 1 .. L,     each n-fold.

**Theorem.** Let `||P_i^{-1} G_i J_{i+1} P_i|| <= 1 + error` with `P_i = J_i .. J_2`. Then no real part of an eigenvalue is
larger than in the chain whose feedback is `1 + error` times as strong, and `G_i = (1 + error) J_{i+1}^{-1}` attains it. (In
the coordinates of `T`, with layer `i` in units of `r^i`, `r^2 = forward / (backward (1 + error))`, no block beside the
diagonal of the symmetric part is larger than `sqrt(forward backward (1 + error))`.)

The spectrum says how a displacement dies out in the end. What it does before, the symmetric part says: where that has a
positive eigenvalue, where the Jacobian is not negative definite, some displacements grow first. The thesis calls a matrix
with negative eigenvalues negative definite; for matrices that are not symmetric these are two things.

Everything here is NumPy in float64, outside compiled programs. Computed eigenvalues are those of a matrix that differs from
the given one by rounding, and may be wrong by that times the condition of `T`, which has no bound.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ._base import Displacements, Dynamics
from .circuit import Gains
from .equilibria import jacobian

Blocks = Sequence[np.ndarray] | np.ndarray
"""An array per block, or one with the blocks along its leading axis."""
Matrices = Float[np.ndarray, "batch n n"]
PerMatrix = Float[np.ndarray, " batch"]


def circuit_jacobian(blocks: Blocks, feedback: Blocks, gains: Gains, echo: bool = False) -> Matrices:
    """The Jacobian of equation (6.40), of `J_2 .. J_L` of shapes `(batch, n_i, n_{i-1})` and `G_1 .. G_{L-1}` of shapes
    `(batch, n_i, n_{i+1})`. The output layer is told a fixed target, or with `echo` one that keeps its distance to the
    output."""
    widths = [blocks[0].shape[-1], *(block.shape[-2] for block in blocks)]
    ends = np.cumsum([0, *widths])
    layers = [slice(*pair) for pair in itertools.pairwise(ends)]
    found = np.tile(-np.eye(ends[-1]), (len(blocks[0]), 1, 1))
    for below, above, up, down in zip(layers, layers[1:], blocks, feedback, strict=False):
        found[:, above, below] = gains.forward * up
        found[:, below, above] = gains.backward * down
    if echo:
        found[:, layers[-1], layers[-1]] += gains.teaching * np.eye(widths[-1])
    return found


def exact_spectrum(depth: int, gains: Gains, echo: bool = False, error: float = 0.0) -> Float[np.ndarray, " L"]:
    """The eigenvalues of a circuit of `depth` layers with exact inverses, in falling order; of one with `1 + error` times
    these as feedback, where the first is a bound for all feedback of that `error`."""
    coupling = float(np.sqrt(gains.forward * gains.backward * (1 + error)))
    if not echo:
        return -1 + 2 * coupling * np.cos(np.arange(1, depth + 1) * np.pi / (depth + 1))
    symmetric = -np.eye(depth) + coupling * (np.eye(depth, k=1) + np.eye(depth, k=-1))
    symmetric[-1, -1] += gains.teaching
    return np.linalg.eigvalsh(symmetric)[::-1]


def tolerated_error(depth: int, gains: Gains) -> float:
    """The `error` of the feedback below which a circuit of 2 or more layers with a fixed target is stable for certain."""
    return 1 / (4 * gains.forward * gains.backward * np.cos(np.pi / (depth + 1)) ** 2) - 1


def paths(blocks: Blocks) -> list[np.ndarray]:
    """`P_i = J_i .. J_2` for `i = 1 .. L`, the blocks of `T`."""
    found = [np.zeros(blocks[0].shape) + np.eye(blocks[0].shape[-1])]
    for block in blocks:
        found.append(block @ found[-1])
    return found


def feedback_error(blocks: Blocks, feedback: Blocks) -> PerMatrix:
    """The smallest `error` for which the second theorem holds; at least -1. For square blocks that can be inverted."""
    pairs = zip(paths(blocks), feedback, blocks, strict=False)
    returned = [np.linalg.solve(path, down @ up @ path) for path, down, up in pairs]
    return np.max([np.linalg.norm(matrix, 2, axis=(-2, -1)) for matrix in returned], axis=0) - 1


def path_condition(blocks: Blocks) -> PerMatrix:
    """The condition number of `T`: by it computed eigenvalues may be less accurate than the Jacobian, and displacements grow
    more than in the chain of single units."""
    s = np.concatenate([np.linalg.svd(path, compute_uv=False) for path in paths(blocks)], axis=-1)
    return s.max(axis=-1) / s.min(axis=-1)


def spectral_abscissa(matrices: Matrices) -> PerMatrix:
    """The largest real part of an eigenvalue: below 0 every displacement dies out in the end."""
    return np.linalg.eigvals(matrices).real.max(axis=-1)


def numerical_abscissa(matrices: Matrices) -> PerMatrix:
    """The largest eigenvalue of the symmetric part, the rate at which the worst displacement grows at first: below 0 the
    matrix is negative definite, and every displacement shrinks all the time."""
    return np.linalg.eigvalsh((matrices + np.swapaxes(matrices, -1, -2)) / 2)[..., -1]


def displacement_norms(matrices: Matrices, times: Float[np.ndarray, " times"]) -> Float[np.ndarray, "times batch"]:
    """`||exp(t J)||`: how large a displacement of size 1 can be after the time `t`, in units of `tau`."""
    return np.stack([np.linalg.norm(_exponential(t * matrices), 2, axis=(-2, -1)) for t in times])


def _exponential(matrices: Matrices) -> Matrices:
    """By its series to order 16 of the matrix divided by a power of 2, squared as often; all matrices in one product, where
    SciPy calls a BLAS with threads for each."""
    squarings = max(0, int(np.ceil(np.log2(max(np.abs(matrices).sum(axis=-1).max(), 0.5)))) + 1)
    scaled = matrices / 2**squarings
    term = found = np.tile(np.eye(matrices.shape[-1]), (len(matrices), 1, 1))
    for order in range(1, 17):
        term = term @ scaled / order
        found = found + term
    for _ in range(squarings):
        found = found @ found
    return found


def transient_growth(matrices: Matrices, times: Float[np.ndarray, " times"]) -> PerMatrix:
    """The largest of `||exp(t J)||`, `t` from `times`; 1 where nothing grows and 0 is among the times."""
    return displacement_norms(matrices, times).max(axis=0)


def kreiss_bound(matrices: Matrices, points: Float[np.ndarray, " points"]) -> PerMatrix:
    """The largest of `x ||(x I - J)^{-1}||`, `x > 0` from `points`: the transient growth is at least that large, for
    `||(x I - J)^{-1}|| <= ∫ exp(-x t) ||exp(t J)|| dt`."""
    identity = np.eye(matrices.shape[-1])
    return np.max([x * np.linalg.norm(np.linalg.inv(x * identity - matrices), 2, axis=(-2, -1)) for x in points], axis=0)


class Stability(NamedTuple):
    """The Jacobian of a motion per sample, and its abscissae."""

    jacobian: Matrices
    spectral_abscissa: PerMatrix
    numerical_abscissa: PerMatrix


def stability(motion: Dynamics, d: Displacements) -> Stability:
    """How stable a network is at rest at the displacements `d`."""
    found = np.asarray(jacobian(motion, d), np.float64)
    return Stability(found, spectral_abscissa(found), numerical_abscissa(found))
