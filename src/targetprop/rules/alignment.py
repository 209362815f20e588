"""Feedback alignment: fixed random matrices in place of the transposed weights."""

from typing import ClassVar

import jax

from ..errors import ConfigError
from ..feedback.maps import direct_maps
from ..feedback.sources import output_sources
from ..networks.activations import Identity
from ..networks.initializers import xavier_normal
from ..networks.network import Dense, Network
from ._base import Rule
from .direct import propagate_directly


class FeedbackAlignment(Rule):
    """`dh_i = B_i D_{i+1} dh_{i+1}` with `B_i` fixed and random, `D_{i+1}` the slopes of layer `i + 1`.

    Dense layers only: `init` raises `ConfigError` for another kind of layer.
    """

    name: ClassVar[str] = "fa"
    equation: ClassVar[str] = "dh_i = B_i D_{i+1} dh_{i+1}"
    source: ClassVar[str] = "Lillicrap et al. 2016"

    def init(self, network, *, key):
        shapes = [layer.weight.shape for layer in _dense_layers(network)[1:]]
        return tuple(
            xavier_normal()(jax.random.fold_in(key, i), (inputs, outputs), network.dtype)
            for i, (outputs, inputs) in enumerate(shapes, start=1)
        )

    def target_updates(self, network, feedback, trace, output_update):
        updates = [output_update]
        for layer, point, matrix in zip(_dense_layers(network)[:0:-1], trace.points[:0:-1], feedback[::-1], strict=True):
            updates.append((layer.activation.slope(point.a) * updates[-1]) @ matrix.T)
        return tuple(reversed(updates))


def _dense_layers(network: Network) -> tuple[Dense, ...]:
    layers = tuple(layer for layer in network.layers if isinstance(layer, Dense))
    if len(layers) < network.depth:
        raise ConfigError(
            "Feedback alignment needs dense layers only: use DirectFeedbackAlignment, which takes layers of any kind."
        )
    return layers


class DirectFeedbackAlignment(Rule):
    """`dh_i = B_i dh_L` with `B_i` fixed and random, the `DFA` of Meulemans et al. 2020."""

    name: ClassVar[str] = "dfa"
    equation: ClassVar[str] = "dh_i = B_i dh_L"
    source: ClassVar[str] = "Nøkland 2016"

    def init(self, network, *, key):
        return direct_maps(network, Identity(), key=key)

    def target_updates(self, network, feedback, trace, output_update):
        return propagate_directly(feedback, output_sources(trace), output_update)
