"""Angles between updates and their references, in degrees."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..feedback.gauss_newton import Solver
from ..networks.network import Network, Trace
from ..rules import Backprop, GaussNewtonTargets, Minibatch
from ..rules.updates import local_gradients


def angle(u: Float[Array, "... n"], v: Float[Array, "... n"]) -> Float[Array, "..."]:
    """The angle between `u` and `v` along the last axis, in degrees.

    `2 atan2(||u' - v'||, ||u' + v'||)` with `u'`, `v'` of length one (Kahan 2006). It has full
    precision near 0 and 180 degrees too. It is `nan` if `u` or `v` is zero.
    """
    u, v = _direction(u), _direction(v)
    between = 2 * jnp.arctan2(jnp.linalg.norm(u - v, axis=-1), jnp.linalg.norm(u + v, axis=-1))
    return jnp.degrees(between)


def _direction(u: Float[Array, "... n"]) -> Float[Array, "... n"]:
    scaled = u / jnp.max(jnp.abs(u), axis=-1, keepdims=True)
    return scaled / jnp.linalg.norm(scaled, axis=-1, keepdims=True)


def flat(tree) -> Float[Array, " parameters"]:
    """All arrays of a tree in one vector."""
    return jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(tree)])


def layer_angles(gradients: Network, reference: Network) -> Float[Array, " hidden"]:
    """The angle between two parameter updates of each hidden layer, weight and bias together.

    Both have the structure of `parameters(network)`. Meulemans et al. 2020, Fig. 4.
    """
    pairs = zip(gradients.layers[:-1], reference.layers[:-1], strict=True)
    return jnp.stack([angle(flat(one), flat(other)) for one, other in pairs])


def target_angles(updates: Sequence[Array], reference: Sequence[Array]) -> Float[Array, "hidden batch"]:
    """The angle between two target updates of each hidden layer and sample.

    Meulemans 2019, section 5.2: `ĥ_i - h_i` against the learning signals (5.60) of Gauss-Newton
    and (5.61) of backpropagation.
    """
    pairs = zip(updates[:-1], reference[:-1], strict=True)
    return jnp.stack([angle(_rows(one), _rows(other)) for one, other in pairs])


def _rows(update: Array) -> Float[Array, "batch n"]:
    return update.reshape(update.shape[0], -1)


def backprop_gradients(network: Network, trace: Trace, output_update: Float[Array, "batch n_L"]) -> Network:
    """The gradient of the loss times the stepsize of `output_update`.

    It has the structure of `parameters(network)`.
    """
    return local_gradients(network, trace, Backprop().target_updates(network, None, Minibatch(trace, output_update)))


def gauss_newton_target_gradients(
    network: Network, trace: Trace, output_update: Float[Array, "batch n_L"], solver: Solver
) -> Network:
    """The parameter gradients of Gauss-Newton targets, in the structure of `parameters(network)`.

    Meulemans et al. 2020, Condition 2. With a damped solver, Condition S3.
    """
    rule = GaussNewtonTargets(solver)
    return local_gradients(network, trace, rule.target_updates(network, None, Minibatch(trace, output_update)))
