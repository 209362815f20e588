"""From target updates to parameter gradients."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from .losses import Loss, Target
from .network import Network, Trace, parameters


def output_update(loss: Loss, h: Float[Array, "batch n_L"], target: Target, stepsize: Any) -> Float[Array, "batch n_L"]:
    """`dh_L = -stepsize * e_L` per sample (Meulemans et al. 2020, equation 2); never divided by the batch size."""
    return -stepsize * loss.error(h, target)


def local_gradients(network: Network, trace: Trace, updates: Sequence[Array]) -> Network:
    """Gradients of the local losses `L_i = 1/2 ||h_i + dh_i - h_i||^2`, each with respect to its own layer's parameters.

    **Arguments:** `updates`, the target updates `dh_1 .. dh_L`, each of the shape of its activity. The result has the
    structure of `parameters(network)` and is the mean over the batch. The papers write the loss without the factor
    1/2 (Meulemans et al. 2020, section 2); their gradients are twice these.
    """
    batch = trace.output.shape[0]
    gradients = tuple(pullback(-dh / batch)[0] for pullback, dh in zip(trace.pullbacks, updates, strict=True))
    return eqx.tree_at(lambda tree: tree.layers, parameters(network), gradients)
