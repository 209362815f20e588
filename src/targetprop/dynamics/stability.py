"""The stability of a circuit at its equilibrium (Meulemans 2019, section 6.7).

With the forward blocks `J_i = ∂f_i/∂h_{i-1}`, `i = 2 .. L`, and the feedback blocks
`G_i = ∂g_i/∂h_{i+1}`, `i = 1 .. L-1`, the Jacobian of the dynamics is block tridiagonal: `-I` on
the diagonal, `forward J_i` below it, `backward G_i` above.

**Theorem.** Let `G_i = J_{i+1}^{-1}` and `T = diag(I, J_2, J_3 J_2, ..)`. Then
`T^{-1} J T = K ⊗ I` with the tridiagonal Toeplitz matrix `K` of a chain of single units with
weights 1. So whatever the weights are, the eigenvalues are

    -1 + 2 sqrt(forward backward) cos(k π / (L + 1)),     k = 1 .. L,     each n-fold.

**Theorem.** Let `||P_i^{-1} G_i J_{i+1} P_i|| <= 1 + error` with `P_i = J_i .. J_2`. Then no real
part of an eigenvalue is larger than in the chain whose feedback is `1 + error` times as strong,
and `G_i = (1 + error) J_{i+1}^{-1}` attains it. Proof: take the coordinates of `T`, with layer
`i` in units of `r^i`, `r^2 = forward / (backward (1 + error))`. There no block beside the
diagonal of the symmetric part is larger than `sqrt(forward backward (1 + error))`.

The spectrum says how a displacement decays in the end. The symmetric part of the Jacobian says
what happens at first: if it has a positive eigenvalue, some displacements grow before they decay.
The thesis calls a matrix with negative eigenvalues negative definite. For matrices that are not
symmetric these are two properties.

This module computes with NumPy in float64, outside of compiled programs. The computed eigenvalues
are those of a matrix that differs from the given one by rounding. Their error is up to that times
the condition number of `T`, which has no bound.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from .circuit import Gains

Blocks = Sequence[np.ndarray] | np.ndarray
"""An array per block, or one array with the blocks along its leading axis."""
Matrices = Float[np.ndarray, "batch n n"]
PerMatrix = Float[np.ndarray, " batch"]


def circuit_jacobian(blocks: Blocks, feedback: Blocks, gains: Gains, echo: bool = False) -> Matrices:
    """The Jacobian of a circuit (Meulemans 2019, equation 6.40).

    **Arguments:**

    - `blocks`: `J_2 .. J_L`, of shapes `(batch, n_i, n_{i-1})`.
    - `feedback`: `G_1 .. G_{L-1}`, of shapes `(batch, n_i, n_{i+1})`.
    - `gains`: the weights of a neuron's inputs.
    - `echo`: whether the target keeps its distance to the output. Otherwise it is fixed.

    **Returns:** one matrix per sample, of shape `(batch, n, n)` with `n` units in all.
    """
    widths = [blocks[0].shape[-1], *(block.shape[-2] for block in blocks)]
    ends = np.cumsum([0, *widths])
    layers = [slice(*pair) for pair in itertools.pairwise(ends)]
    found = np.tile(-np.eye(ends[-1]), (len(blocks[0]), 1, 1))
    for below, above, up, down in zip(layers, layers[1:], blocks, feedback, strict=False):
        found[:, above, below] = gains.forward * up
        found[:, below, above] = gains.backward * down
    if echo:
        found[:, layers[-1], layers[-1]] += gains.target * np.eye(widths[-1])
    return found


def exact_spectrum(depth: int, gains: Gains, echo: bool = False, error: float = 0.0) -> Float[np.ndarray, " L"]:
    """The eigenvalues of a circuit with exact inverses.

    **Arguments:**

    - `depth`: the number of layers, `L`.
    - `gains`: the weights of a neuron's inputs.
    - `echo`: whether the target keeps its distance to the output. Otherwise it is fixed.
    - `error`: the feedback is `1 + error` times the inverses.

    **Returns:** `L` eigenvalues, the largest first. The first is a bound for all feedback of
    this `error` (the second theorem).
    """
    coupling = float(np.sqrt(gains.forward * gains.backward * (1 + error)))
    if not echo:
        return -1 + 2 * coupling * np.cos(np.arange(1, depth + 1) * np.pi / (depth + 1))
    symmetric = -np.eye(depth) + coupling * (np.eye(depth, k=1) + np.eye(depth, k=-1))
    symmetric[-1, -1] += gains.target
    return np.linalg.eigvalsh(symmetric)[::-1]


def tolerated_error(depth: int, gains: Gains) -> float:
    """The `error` of the feedback below which a circuit with a fixed target is always stable.

    **Arguments:**

    - `depth`: the number of layers, 2 or more.
    - `gains`: the weights of a neuron's inputs.
    """
    return 1 / (4 * gains.forward * gains.backward * np.cos(np.pi / (depth + 1)) ** 2) - 1


def paths(blocks: Blocks) -> list[np.ndarray]:
    """`P_i = J_i .. J_2` for `i = 1 .. L`, the blocks of `T`, from `J_2 .. J_L`."""
    found = [np.zeros(blocks[0].shape) + np.eye(blocks[0].shape[-1])]
    for block in blocks:
        found.append(block @ found[-1])
    return found


def path_condition(blocks: Blocks) -> PerMatrix:
    """The condition number of `T`, from `J_2 .. J_L`.

    It bounds how much less accurate computed eigenvalues are than the Jacobian. It also bounds
    how much more displacements grow than in the chain of single units.
    """
    s = np.concatenate([np.linalg.svd(path, compute_uv=False) for path in paths(blocks)], axis=-1)
    return s.max(axis=-1) / s.min(axis=-1)


def spectral_abscissa(matrices: Matrices) -> PerMatrix:
    """The largest real part of an eigenvalue. Below 0, every displacement decays in the end."""
    return np.linalg.eigvals(matrices).real.max(axis=-1)


def numerical_abscissa(matrices: Matrices) -> PerMatrix:
    """The largest eigenvalue of the symmetric part.

    It is the rate at which the worst displacement grows at first. Below 0 the matrix is negative
    definite, and every displacement decays from the beginning.
    """
    return np.linalg.eigvalsh((matrices + np.swapaxes(matrices, -1, -2)) / 2)[..., -1]


def displacement_norms(matrices: Matrices, times: Float[np.ndarray, " times"]) -> Float[np.ndarray, "times batch"]:
    """`||exp(t J)||`: how large a displacement of size 1 can be after a time.

    **Arguments:**

    - `matrices`: the Jacobians `J`, of shape `(batch, n, n)`.
    - `times`: the times `t`, in units of `tau`.
    """
    return np.stack([np.linalg.norm(_exponential(t * matrices), 2, axis=(-2, -1)) for t in times])


def _exponential(matrices: Matrices) -> Matrices:
    """The matrix exponential, by scaling and squaring with a series to order 16.

    All matrices take part in one product. SciPy would call a BLAS with threads for each.
    """
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
    """The largest of `||exp(t J)||` over some times.

    **Arguments:**

    - `matrices`: the Jacobians `J`, of shape `(batch, n, n)`.
    - `times`: the times `t`, in units of `tau`.

    **Returns:** a number per sample. It is 1 if nothing grows and 0 is among the times.
    """
    return displacement_norms(matrices, times).max(axis=0)
