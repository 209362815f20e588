"""Feedback alignment: fixed random matrices in place of the transposed weights."""

from typing import ClassVar

import jax

from ..activations import Identity
from ..feedback.maps import direct_maps
from ..initializers import xavier_normal
from ..network import Dense
from ._base import Rule


class FeedbackAlignment(Rule):
    """`dh_i = B_i D_{i+1} dh_{i+1}` with `B_i` fixed and random, `D_{i+1}` the slopes of layer `i + 1`.

    Dense layers only: `init` raises `TypeError` for another kind of layer.
    """

    name: ClassVar[str] = "fa"
    equation: ClassVar[str] = "dh_i = B_i D_{i+1} dh_{i+1}"
    source: ClassVar[str] = "Lillicrap et al. 2016"

    def init(self, network, *, key):
        for i, layer in enumerate(network.layers, start=1):
            if not isinstance(layer, Dense):
                raise TypeError(
                    f"Feedback alignment needs dense layers, but layer {i} is a {type(layer).__name__}: use "
                    "DirectFeedbackAlignment, which takes layers of any kind."
                )
        shapes = [layer.weight.shape for layer in network.layers[1:]]
        return tuple(
            xavier_normal()(jax.random.fold_in(key, i), (inputs, outputs), network.dtype)
            for i, (outputs, inputs) in enumerate(shapes, start=1)
        )

    def target_updates(self, network, feedback, trace, output_update):
        updates = [output_update]
        for layer, point, matrix in zip(network.layers[:0:-1], trace.points[:0:-1], feedback[::-1], strict=True):
            updates.append((layer.activation.slope(point.a) * updates[-1]) @ matrix.T)
        return tuple(reversed(updates))


class DirectFeedbackAlignment(Rule):
    """`dh_i = B_i dh_L` with `B_i` fixed and random (Meulemans et al. 2020, supplement B.1, compare it as `DFA`)."""

    name: ClassVar[str] = "dfa"
    equation: ClassVar[str] = "dh_i = B_i dh_L"
    source: ClassVar[str] = "Nøkland 2016"

    def init(self, network, *, key):
        return direct_maps(network, Identity(), key=key)

    def target_updates(self, network, feedback, trace, output_update):
        point_free = (g.dense.weight for g in feedback)
        flat = output_update.reshape(output_update.shape[0], -1)
        hidden = [(flat @ b.T).reshape(h.shape) for b, h in zip(point_free, trace.h[1:-1], strict=True)]
        return (*hidden, output_update)
