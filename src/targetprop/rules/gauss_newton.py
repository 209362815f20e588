"""Gauss-Newton targets from the exact Jacobians.

They are what target propagation with ideal feedback would compute.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp

from .._linear_algebra import solve
from ..errors import check_positive
from ..feedback.gauss_newton import Solver, Tikhonov, output_jacobians
from .contract import Rule


class GaussNewtonTargets(Rule):
    """Gauss-Newton targets: `dh_i = J_i^T (J_i J_i^T + lambda I)^{-1} dh_L` per sample.

    `J_i` is the derivative of `h_L` with respect to `h_i`. Without damping this is the smallest
    target update that moves the output by `dh_L`, to first order (Meulemans et al. 2020,
    Conditions 2 and S2; damped as in equation 11).

    `solver` is `Tikhonov(damping)`, `PseudoInverse()` for `lambda -> 0`, or `PerLayerSolver` with
    one solver for each layer. The default damping of 0.01 keeps `||dh_i||` below `5 ||dh_L||`,
    even if a Jacobian nearly vanishes. Learned mappings with the regularizer `OutputNoise` have
    the same damping by default.
    """

    solver: Solver = Tikhonov()
    """How the Jacobians are inverted."""

    name: ClassVar[str] = "gnt"
    family: ClassVar[str] = "Gauss-Newton targets"
    equation: ClassVar[str] = "dh_i = J_i^T (J_i J_i^T + lambda I)^{-1} dh_L"
    source: ClassVar[str] = "Meulemans et al. 2020, Conditions 2 and S3"

    def target_updates(self, network, feedback, batch):
        v = batch.output_update.reshape(batch.output_update.shape[0], -1)
        hidden = (self.solver(jacobian, v, i) for i, jacobian in enumerate(output_jacobians(batch.trace), start=1))
        shaped = (dh.reshape(h.shape) for dh, h in zip(hidden, batch.h[1:-1], strict=True))
        return (*shaped, batch.output_update)


class GeneralizedGaussNewtonTargets(Rule):
    """Generalized Gauss-Newton: `dh_i = (J_i^T H_L J_i + lambda I)^{-1} J_i^T dh_L` per sample.

    `H_L` is the Hessian of the output loss (Meulemans et al. 2020, equations 187 and 196). It may
    be singular, as for softmax with cross-entropy. So the equal form
    `J_i^T (H_L J_i J_i^T + lambda I)^{-1} dh_L` is solved, of size `n_L`. `damping` is `lambda`,
    and must be positive. For a minibatch without a loss, `H_L` is the identity, the Hessian of the
    squared error. The targets are then Gauss-Newton targets.
    """

    damping: float = 1e-2
    """Damping of the Gauss-Newton targets, above 0."""

    def __check_init__(self):
        check_positive(self, "damping")

    name: ClassVar[str] = "ggn"
    family: ClassVar[str] = "Gauss-Newton targets"
    equation: ClassVar[str] = "dh_i = (J_i^T H_L J_i + lambda I)^{-1} J_i^T dh_L"
    source: ClassVar[str] = "Meulemans et al. 2020, eq. 187"

    def target_updates(self, network, feedback, batch):
        hidden = []
        for jacobian, h in zip(output_jacobians(batch.trace), batch.h[1:-1], strict=True):
            gram = jnp.einsum("bik,bjk->jbi", jacobian, jacobian)  # the columns of J J^T
            curved = jnp.moveaxis(jax.vmap(batch.curvature)(gram), 0, -1)
            damped = curved + self.damping * jnp.eye(curved.shape[-1], dtype=curved.dtype)
            solved = solve(damped, batch.output_update)
            hidden.append(jnp.einsum("bmn,bm->bn", jacobian, solved).reshape(h.shape))
        return (*hidden, batch.output_update)
