"""Target propagation through layer-wise feedback mappings: TP, DTP and DTPDRL."""

from typing import ClassVar

import equinox as eqx

from ..errors import check_positive
from ..feedback.maps import layerwise_maps
from ..feedback.reconstruction import (
    Decay,
    NoiseDraw,
    Regularizer,
    WeightDecay,
    carry_noise,
    chained_reconstruction,
    draw_noise,
    layer_noise,
    layerwise_reconstruction,
    perturbed,
)
from ..networks.activations import Activation, Tanh
from ._base import ReconstructingRule


def propagate_targets(maps, trace, output_update):
    """`dh_i = g_i(h_{i+1} + dh_{i+1}) - h_i` from the output down (target propagation)."""
    updates = [output_update]
    for g, below, above in zip(reversed(maps), trace.h[-2:0:-1], trace.h[:1:-1], strict=True):
        point = g.at(above)
        updates.append(g.difference(point, updates[-1]) + (point.h - below))
    return tuple(reversed(updates))


def propagate_differences(maps, trace, output_update):
    """`dh_i = g_i(h_{i+1} + dh_{i+1}) - g_i(h_{i+1})` from the output down (difference target propagation)."""
    points = [g.at(above) for g, above in zip(maps, trace.h[2:], strict=True)]
    return propagate_displacements(maps, points, output_update)


def propagate_displacements(maps, points, output_update):
    """`dh_i = g_i(x + dh_{i+1}) - g_i(x)` from the output down, where `points[i - 1]` is `g_i` at its `x`."""
    updates = [output_update]
    for g, point in zip(reversed(maps), reversed(points), strict=True):
        updates.append(g.difference(point, updates[-1]))
    return tuple(reversed(updates))


class TP(ReconstructingRule):
    """Target propagation: `dh_i = g_i(h_{i+1} + dh_{i+1}) - h_i`, with the reconstruction error left in.

    `g_i(h) = t(Q_i h + c_i)` is trained on the layer-wise reconstruction loss of activities perturbed by noise of standard
    deviation `sigma`, averaged over `samples` draws, with the weight decay `regularizer` (none unless given);
    `feedback_activation` is `t`.
    """

    sigma: float = 0.1
    """Standard deviation of the noise that the feedback learns from."""
    regularizer: Decay = WeightDecay(0.0)
    """What keeps the feedback small."""
    samples: int = eqx.field(static=True, default=1)
    """Noise draws per step."""
    feedback_activation: Activation = Tanh()
    """Nonlinearity of the feedback mappings."""

    name: ClassVar[str] = "tp"
    equation: ClassVar[str] = "dh_i = g_i(h_{i+1} + dh_{i+1}) - h_i"
    source: ClassVar[str] = "Bengio 2014; Meulemans et al. 2020, eq. 3"

    def init(self, network, *, key):
        return layerwise_maps(network, self.feedback_activation, key=key)

    def target_updates(self, network, feedback, trace, output_update):
        return propagate_targets(feedback, trace, output_update)

    def draw(self, trace, key):
        return NoiseDraw(layer_noise(trace, self.sigma, key))

    def feedback_step(self, network, feedback, trace, noise):
        return layerwise_reconstruction(network, feedback, perturbed(trace, noise.layers), self.regularizer)


class DTP(ReconstructingRule):
    """Difference target propagation: `dh_i = g_i(h_{i+1} + dh_{i+1}) - g_i(h_{i+1})` (Meulemans et al. 2020, Algorithm 1).

    Hyperparameters as in `TP`.
    """

    sigma: float = 0.1
    """Standard deviation of the noise that the feedback learns from."""
    regularizer: Decay = WeightDecay(0.0)
    """What keeps the feedback small."""
    samples: int = eqx.field(static=True, default=1)
    """Noise draws per step."""
    feedback_activation: Activation = Tanh()
    """Nonlinearity of the feedback mappings."""

    name: ClassVar[str] = "dtp"
    equation: ClassVar[str] = "dh_i = g_i(h_{i+1} + dh_{i+1}) - g_i(h_{i+1})"
    source: ClassVar[str] = "Lee et al. 2015; Meulemans et al. 2020, Algorithm 1"

    def init(self, network, *, key):
        return layerwise_maps(network, self.feedback_activation, key=key)

    def target_updates(self, network, feedback, trace, output_update):
        return propagate_differences(feedback, trace, output_update)

    def draw(self, trace, key):
        return NoiseDraw(layer_noise(trace, self.sigma, key))

    def feedback_step(self, network, feedback, trace, noise):
        return layerwise_reconstruction(network, feedback, perturbed(trace, noise.layers), self.regularizer)


class DTPDRL(ReconstructingRule):
    """DTP whose layer-wise mappings are trained by the difference reconstruction loss, in a loop through the output
    (Meulemans et al. 2020, equation 9 and Algorithm 2).

    `sigma` is the noise level, `regularizer` the second term of the loss (`WeightDecay` or `OutputNoise`), `samples` the
    number of noise draws per step, `feedback_activation` the nonlinearity of the mappings.
    """

    sigma: float = 0.05
    """Standard deviation of the noise that the feedback learns from."""
    regularizer: Regularizer = WeightDecay()
    """What keeps the feedback small."""
    samples: int = eqx.field(static=True, default=1)
    """Noise draws per step."""
    feedback_activation: Activation = Tanh()
    """Nonlinearity of the feedback mappings."""

    name: ClassVar[str] = "dtpdrl"
    equation: ClassVar[str] = "dh_i = g_i(h_{i+1} + dh_{i+1}) - g_i(h_{i+1}), g trained through the output"
    source: ClassVar[str] = "Meulemans et al. 2020, Algorithm 2"

    def __check_init__(self):
        check_positive(self, "sigma")

    def init(self, network, *, key):
        return layerwise_maps(network, self.feedback_activation, key=key)

    def target_updates(self, network, feedback, trace, output_update):
        return propagate_differences(feedback, trace, output_update)

    def draw(self, trace, key):
        return draw_noise(trace, self.sigma, self.regularizer, key)

    def feedback_step(self, network, feedback, trace, noise):
        loop = carry_noise(network, trace, noise)
        return chained_reconstruction(feedback, trace, loop, self.sigma, self.regularizer)
