"""Singular values of the Jacobians of the forward and the feedback paths, per sample."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linear_algebra import decomposed
from ..feedback.gauss_newton import output_jacobians
from ..networks.network import Network, Trace
from ..rules import Minibatch, Rule


def forward_singular_values(trace: Trace) -> tuple[Float[Array, "batch k"], ...]:
    """The singular values of `J_i = dh_L / dh_i` for each hidden layer, largest first."""
    return tuple(decomposed(jacobian)[1] for jacobian in output_jacobians(trace))


def feedback_jacobians(
    rule: Rule, network: Network, feedback: Any, batch: Minibatch
) -> tuple[Float[Array, "batch n m"], ...]:
    """The derivative of the target update of each hidden layer with respect to the output update.

    It is `J_{g_i}` of the whole feedback path to layer `i`, at `dh_L = 0`, with flattened
    activities. It works for every rule.
    """
    trace, (samples, size) = batch.trace, batch.output.shape

    def hidden(dh):
        return rule.target_updates(network, feedback, dataclasses.replace(batch, output_update=dh))[:-1]

    def along(unit):
        direction = jnp.broadcast_to(unit, trace.output.shape)
        return jax.jvp(hidden, (jnp.zeros_like(trace.output),), (direction,))[1]

    columns = jax.vmap(along)(jnp.eye(size, dtype=trace.output.dtype))
    return tuple(jnp.moveaxis(column.reshape(size, samples, -1), 0, 2) for column in columns)


def feedback_singular_values(
    rule: Rule, network: Network, feedback: Any, batch: Minibatch
) -> tuple[Float[Array, "batch k"], ...]:
    """The singular values of `feedback_jacobians`, largest first."""
    return tuple(decomposed(jacobian)[1] for jacobian in feedback_jacobians(rule, network, feedback, batch))
