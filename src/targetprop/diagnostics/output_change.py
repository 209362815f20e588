"""How an update of the parameters moves the output (Meulemans et al. 2020, Fig. S2)."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks.layers import split_parameters
from ..networks.network import Network


def output_change(network: Network, x: Array, gradients: Network) -> Float[Array, "batch n_L"]:
    """The derivative of the output along `-gradients`, per sample.

    It is the change of the output in a step of all layers, divided by a vanishing learning rate.
    `gradients` has the structure of `parameters(network)`.
    """
    trained, kept = split_parameters(network)
    direction = jax.tree.map(jnp.negative, gradients)
    return jax.jvp(lambda trained: eqx.combine(trained, kept)(x), (trained,), (direction,))[1]


def output_direction(network: Network, x: Array, gradients: Network) -> Float[Array, "batch n_L"]:
    """`output_change` with length one, as in Fig. S2. It is `nan` if the output does not move."""
    change = output_change(network, x, gradients)
    return change / jnp.linalg.norm(change, axis=-1, keepdims=True)
