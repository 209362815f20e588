"""Feedback alignment: fixed random matrices in place of the transposed weights."""

import itertools
import math
from typing import ClassVar

import jax

from ..errors import ConfigError
from ..networks.initializers import xavier_normal
from ..networks.layers import Layer, as_layer
from ..networks.network import Network
from ..networks.requirements import Requirement
from .contract import Rule


class FeedbackAlignment(Rule):
    """Feedback alignment: `dh_i = B_i D_{i+1} dh_{i+1}` with `B_i` fixed and random.

    `D_{i+1}` are the slopes of layer `i + 1`. All layers must be dense. Otherwise `init` raises
    `ConfigError`.
    """

    name: ClassVar[str] = "fa"
    family: ClassVar[str] = "random feedback"
    equation: ClassVar[str] = "dh_i = B_i D_{i+1} dh_{i+1}"
    source: ClassVar[str] = "Lillicrap et al. 2016"

    @property
    def requires(self):
        return frozenset({Requirement.DENSE_LAYERS})

    def init(self, network, *, key):
        _dense_layers(network)
        sizes = [math.prod(shape) for shape in network.shapes[1:]]
        return tuple(
            xavier_normal()(jax.random.fold_in(key, i), shape, network.dtype)
            for i, shape in enumerate(itertools.pairwise(sizes), start=1)
        )

    def target_updates(self, network, feedback, batch):
        updates = [batch.output_update]
        layers = _dense_layers(network)[:0:-1]
        for layer, point, matrix in zip(layers, batch.trace.points[:0:-1], feedback[::-1], strict=True):
            updates.append((layer.slope(point) * updates[-1]) @ matrix.T)
        return tuple(reversed(updates))


def _dense_layers(network: Network) -> list[Layer]:
    layers = [as_layer(layer) for layer in network.layers]
    if any(layer.matrix() is None for layer in layers):
        raise ConfigError(
            "Feedback alignment needs dense layers: use direct feedback alignment, dfa, which works with any layers."
        )
    return layers
