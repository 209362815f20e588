"""Stability of a circuit at its equilibrium, and bounds (Meulemans 2019, section 6.7)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from targetprop.dynamics._base import Displacements, Dynamics
from targetprop.dynamics.equilibria import jacobian
from targetprop.dynamics.stability import Blocks, Matrices, PerMatrix, numerical_abscissa, paths, spectral_abscissa


def feedback_error(blocks: Blocks, feedback: Blocks) -> PerMatrix:
    """The smallest `error` for which the second theorem of `targetprop.dynamics.stability` holds.

    **Arguments:**

    - `blocks`: `J_2 .. J_L`, square and invertible, of shape `(batch, n, n)`.
    - `feedback`: `G_1 .. G_{L-1}`, of the same shapes.

    **Returns:** a number per sample, at least -1.
    """
    pairs = zip(paths(blocks), feedback, blocks, strict=False)
    returned = [np.linalg.solve(path, down @ up @ path) for path, down, up in pairs]
    return np.max([np.linalg.norm(matrix, 2, axis=(-2, -1)) for matrix in returned], axis=0) - 1


def kreiss_bound(matrices: Matrices, points: Float[np.ndarray, " points"]) -> PerMatrix:
    """The largest of `x ||(x I - J)^{-1}||` for some `x > 0`.

    It is a lower bound of the transient growth, because `||(x I - J)^{-1}|| <= ∫ exp(-x t) ||exp(t
    J)|| dt`.

    **Arguments:**

    - `matrices`: the Jacobians `J`, of shape `(batch, n, n)`.
    - `points`: the values of `x`.
    """
    identity = np.eye(matrices.shape[-1])
    return np.max([x * np.linalg.norm(np.linalg.inv(x * identity - matrices), 2, axis=(-2, -1)) for x in points], axis=0)


class Stability(NamedTuple):
    """The Jacobian of a system per sample, and its abscissae."""

    jacobian: Matrices
    spectral_abscissa: PerMatrix
    numerical_abscissa: PerMatrix


def stability(motion: Dynamics, d: Displacements) -> Stability:
    """The stability of a system at the displacements `d`."""
    found = np.asarray(jacobian(motion, d), np.float64)
    return Stability(found, spectral_abscissa(found), numerical_abscissa(found))
