"""The parts of a target update: learning signal, reconstruction error and Taylor error.

Meulemans 2019, section 5.2.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks.network import Network
from ..rules import Minibatch, Rule, Updates


class Decomposition(NamedTuple):
    """`dh_i = signal + reconstruction + taylor`.

    Each part is a tuple over the hidden layers, of arrays with the shape of the activity.

    **Arguments:**

    - `signal`: the part that is linear in the output update (5.57).
    - `reconstruction`: the part without any output update (5.58).
    - `taylor`: the rest (5.59).
    """

    signal: Updates
    reconstruction: Updates
    taylor: Updates


def decompose(rule: Rule, network: Network, feedback: Any, batch: Minibatch) -> Decomposition:
    """The parts of the target updates of a rule (Meulemans 2019, equations 5.57 to 5.59).

    - `TargetPropagation` with `Plain`: the layer-wise mappings are expanded at the activities of
      the forward pass, as in the thesis. `signal_i = J_{g_i} signal_{i+1}` and `reconstruction_i =
      g_i(h_{i+1}) - h_i + J_{g_i} reconstruction_{i+1}`.
    - `Dendrites`: the same signal, at the activities of the free network. The reconstruction error
      is the target update without a target, with the scale of the target updates.
    - Other rules: expanded at `dh_L = 0`. `reconstruction` is zero if the rule gives no update
      without an output update. For gradient targets that start at zero it is the Hebbian part.
    - `InverseSlopes`: the parts of the other rule.

    **Arguments:**

    - `rule`, `network`, `feedback`: the rule and its parameters.
    - `batch`: the minibatch.

    **Returns:** the parts.
    """
    signal, reconstruction = rule.first_order(network, feedback, batch)
    updates = rule.target_updates(network, feedback, batch)[:-1]
    taylor = tuple(dh - (e + s) for dh, e, s in zip(updates, reconstruction, signal, strict=True))
    return Decomposition(signal, reconstruction, taylor)


def sizes(updates: Updates) -> Float[Array, "hidden batch"]:
    """The Euclidean norm of the array of each layer, per sample."""
    return jnp.stack([jnp.linalg.norm(_rows(dh), axis=-1) for dh in updates])


def _rows(dh: Array) -> Float[Array, "batch n"]:
    return dh.reshape(dh.shape[0], -1)
