"""The damping of Gauss-Newton targets to which an update is closest.

Meulemans et al. 2020, Condition S3 and Table S7.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linear_algebra import counted, decomposed
from ..feedback.gauss_newton import Jacobian, output_jacobians
from ..networks.network import Network, Trace
from .angles import angle, flat

DAMPINGS = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


def damped_targets(
    jacobian: Jacobian, v: Float[Array, "batch m"], dampings: Sequence[float]
) -> Float[Array, "dampings batch n"]:
    """`J^T (J J^T + damping I)^{-1} v` for several dampings, from one decomposition.

    For a damping of 0 it is `J^† v`.

    **Arguments:**

    - `jacobian`: `J`, shape `(batch, m, n)`.
    - `v`: shape `(batch, m)`.
    - `dampings`: the dampings.

    **Returns:** an array of shape `(dampings, batch, n)`.
    """
    u, s, right = decomposed(jacobian)
    rotated = jnp.einsum("bmk,bm->bk", u, v)
    kept = counted(s, jacobian)
    inverse = jnp.where(kept, 1 / jnp.where(kept, s, 1), 0)
    filters = jnp.stack([s / (s**2 + damping) if damping else inverse for damping in dampings])
    return jnp.einsum("bnk,dbk->dbn", right, filters * rotated)


def damping_angles(
    trace: Trace,
    gradients: Network,
    output_update: Float[Array, "batch n_L"],
    dampings: Sequence[float] = DAMPINGS,
) -> Float[Array, "dampings hidden"]:
    """The angle of the parameter update of each hidden layer to that of Gauss-Newton targets.

    **Arguments:**

    - `trace`: the forward pass.
    - `gradients`: the gradients, in the structure of `parameters(network)`.
    - `output_update`: `dh_L` per sample, shape `(batch, n_L)`.
    - `dampings`: the dampings of the Gauss-Newton targets.

    **Returns:** angles in degrees, shape `(dampings, hidden)`.
    """
    batch = trace.output.shape[0]
    columns = []
    for i, jacobian in enumerate(output_jacobians(trace), start=1):
        targets = damped_targets(jacobian, output_update, dampings).reshape(-1, *trace.h[i].shape)
        own = flat(gradients.layers[i - 1])

        def to(dh, pullback=trace.pullbacks[i - 1], own=own):
            return angle(own, flat(pullback(-dh / batch)[0]))

        columns.append(jax.vmap(to)(targets))
    return jnp.stack(columns, axis=1)


def best_dampings(angles: Float[Array, "dampings hidden"], dampings: Sequence[float] = DAMPINGS) -> tuple[float, ...]:
    """The damping with the smallest angle for each hidden layer."""
    return tuple(dampings[int(index)] for index in jnp.argmin(jnp.asarray(angles), axis=0))
