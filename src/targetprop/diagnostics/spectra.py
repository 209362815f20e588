"""Singular values of the Jacobians of the forward and of the feedback paths, per sample."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..gauss_newton import Jacobian, output_jacobians
from ..network import Network, Trace
from ..rules import Rule


def decomposed(jacobian: Jacobian) -> tuple[Array, Array, Array]:
    """`U`, `s`, `V` of `J = U diag(s) V^T` per sample, with `k = min(m, n)` singular values: shapes `(batch, m, k)`,
    `(batch, k)` and `(batch, n, k)`. A QR factorisation takes the long side away first."""
    q, r = jnp.linalg.qr(jnp.swapaxes(jacobian, 1, 2))  # J^T = Q R
    right, s, left = jnp.linalg.svd(r, full_matrices=False)  # R = right S left
    return jnp.swapaxes(left, 1, 2), s, q @ right


def counted(s: Float[Array, "batch k"], jacobian: Jacobian) -> Array:
    """Which singular values are not zero within rounding: those above `max(m, n)` units of the largest."""
    return s > max(jacobian.shape[1:]) * jnp.finfo(s.dtype).eps * s[:, :1]


def forward_singular_values(trace: Trace) -> tuple[Float[Array, "batch k"], ...]:
    """The singular values of `J_i = dh_L / dh_i` for each hidden layer, largest first."""
    return tuple(decomposed(jacobian)[1] for jacobian in output_jacobians(trace))


def feedback_jacobians(rule: Rule, network: Network, feedback: Any, trace: Trace) -> tuple[Float[Array, "batch n m"], ...]:
    """The derivative of each hidden layer's target update by the output update, at `dh_L = 0`, with the activities
    flattened: `J_{g_i}` of the whole feedback path down to layer `i`, whatever the rule."""
    batch, size = trace.output.shape

    def hidden(dh):
        return rule.target_updates(network, feedback, trace, dh)[:-1]

    def along(unit):
        direction = jnp.broadcast_to(unit, trace.output.shape)
        return jax.jvp(hidden, (jnp.zeros_like(trace.output),), (direction,))[1]

    columns = jax.vmap(along)(jnp.eye(size, dtype=trace.output.dtype))
    return tuple(jnp.moveaxis(column.reshape(size, batch, -1), 0, 2) for column in columns)


def feedback_singular_values(
    rule: Rule, network: Network, feedback: Any, trace: Trace
) -> tuple[Float[Array, "batch k"], ...]:
    """The singular values of `feedback_jacobians`, largest first."""
    return tuple(decomposed(jacobian)[1] for jacobian in feedback_jacobians(rule, network, feedback, trace))
