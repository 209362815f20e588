"""Gradients of the parameters of a network from target updates."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._checks import check_is, shown, whole
from .._promotion import usual_promotion
from ..errors import ConfigError
from ..networks.layers import parameters
from ..networks.network import Network, Trace

Layers = tuple[int, ...] | None


@usual_promotion()
def local_gradients(network: Network, trace: Trace, updates: Sequence[Array], trainable: Layers = None) -> Network:
    """Gradients of the local losses `L_i = 1/2 ||h_i + dh_i - h_i||^2`, averaged over the batch.

    Each loss is differentiated with respect to the parameters of its own layer. The papers write
    the loss without the factor 1/2 (Meulemans et al. 2020, section 2), so their gradients are
    twice these.

    **Arguments:**

    - `network`: the network.
    - `trace`: the activities to which the updates belong.
    - `updates`: the target updates `dh_1 .. dh_L`, each with the shape of its activity.
    - `trainable`: the numbers of the layers that are trained. 1 is the first. Default: all.

    **Returns:** the gradients, in the structure of `trainable_parameters(network, trainable)`.

    **Raises:** `ConfigError` if the shapes and types of the updates and the activities differ. The
    message names the layer.
    """
    check_is("network", network, Network)
    _check_shapes(trace, updates)
    batch = trace.output.shape[0]
    gradients = tuple(
        pullback(-dh / batch)[0] if _trains(trainable, i) else None
        for i, (pullback, dh) in enumerate(zip(trace.pullbacks, updates, strict=True), start=1)
    )
    return eqx.tree_at(lambda tree: tree.layers, parameters(network), gradients)


def _check_shapes(trace: Trace, updates: Sequence[Array]) -> None:
    if len(updates) != len(trace.points):
        raise ConfigError(f"There are {len(updates)} target `updates` for {len(trace.points)} layers: return dh_1 .. dh_L.")
    for i, (dh, point) in enumerate(zip(updates, trace.points, strict=True), start=1):
        found, right = (f"{jnp.result_type(v)} {jnp.shape(v)}" for v in (dh, point.h))
        if found != right:
            raise ConfigError(f"The rule's target update dh_{i} is {found}, but the activity of layer {i} is {right}.")


def check_layers(trainable: Any) -> None:
    """Raises `ConfigError` unless `trainable` is `None`, or a tuple that names layers, each once."""
    if trainable is None:
        return
    if not isinstance(trainable, tuple) or not all((whole(layer) or 0) > 0 for layer in trainable):
        raise ConfigError(f"`trainable` is {shown(trainable)}: give a tuple of the layers that learn, 1 is the first.")
    if len(set(trainable)) < max(1, len(trainable)):
        raise ConfigError(f"`trainable` is {trainable}: name each layer once, and one at least.")


def trainable_parameters(network: Network, trainable: Layers = None) -> Any:
    """`parameters(network)` with `None` for every layer that is not in `trainable`."""
    check_is("network", network, Network)
    trained = parameters(network)
    layers = tuple(layer if _trains(trainable, i) else None for i, layer in enumerate(trained.layers, start=1))
    return eqx.tree_at(lambda tree: tree.layers, trained, layers)


def _trains(trainable: Layers, layer: int) -> bool:
    return trainable is None or layer in trainable
