"""The share of an update that cannot move the output.

Meulemans et al. 2020, Fig. 2 and Corollary S6.1.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from .._linear_algebra import counted, decomposed
from ..feedback.gauss_newton import Jacobian, output_jacobians
from ..networks.layers import LayerLike, as_layer, evaluate, split_parameters
from ..networks.network import Network, Trace
from .angles import flat


def null_space_shares(network: Network, trace: Trace, updates: Sequence[Array]) -> Float[Array, "hidden batch"]:
    """`||P u|| / ||u||` for each hidden layer and sample.

    `u` is the update of the parameters `W_i` of the layer from this sample alone. `P` is the
    projection onto the null space of `dh_L / dvec(W_i)` of this sample.

    **Arguments:**

    - `network`: the network.
    - `trace`: the forward pass.
    - `updates`: the target updates `dh_1 .. dh_L`.

    **Returns:** the shares, shape `(hidden, batch)`. A share is `nan` if the update is zero.
    """
    jacobians = output_jacobians(trace)
    shares = []
    for i, (layer, jacobian, dh) in enumerate(zip(network.layers, jacobians, updates, strict=False), start=1):
        one = (
            _dense_share(layer, trace, jacobian, dh, i)
            if as_layer(layer).matrix() is not None
            else _share(network, trace, dh, i)
        )
        shares.append(one)
    return jnp.stack(shares)


def outside(jacobian: Jacobian, u: Float[Array, "batch n"]) -> Float[Array, " batch"]:
    """`||(I - J^† J) u|| / ||u||` per sample."""
    _, s, right = decomposed(jacobian)
    inside = jnp.where(counted(s, jacobian), jnp.einsum("bnk,bn->bk", right, u), 0)
    rest = u - jnp.einsum("bnk,bk->bn", right, inside)
    return jnp.linalg.norm(rest, axis=-1) / jnp.linalg.norm(u, axis=-1)


def _dense_share(layer: LayerLike, trace: Trace, jacobian: Jacobian, dh: Array, i: int) -> Float[Array, " batch"]:
    """The share of a dense layer.

    With `D` the slopes, the update is `(D dh) x^T` and the rows of the Jacobian are
    `(D J^T)_k x^T`. The bias counts as an input of one. So `x` cancels in the ratio.
    """
    slope = as_layer(layer).slope(trace.points[i - 1])
    return outside(jacobian * slope[:, None], slope * dh)


def _share(network: Network, trace: Trace, dh: Array, i: int) -> Float[Array, " batch"]:
    trained, kept = split_parameters(network.layers[i - 1])

    def one(sample):
        x, dh = sample

        def layer(trained):
            return evaluate(eqx.combine(trained, kept), x[None]).h

        def output(trained):
            h = layer(trained)
            for above in network.layers[i:]:
                h = evaluate(above, h).h
            return h[0]

        rows = jax.tree.leaves(jax.jacrev(output)(trained))
        jacobian = jnp.concatenate([row.reshape(trace.output.shape[1], -1) for row in rows], axis=1)
        update = flat(jax.vjp(layer, trained)[1](dh[None])[0])
        return jacobian, update

    return outside(*lax.map(one, (trace.h[i - 1], dh)))
