"""Direct difference target propagation: linear mappings straight from the output to each hidden layer."""

from typing import ClassVar

import equinox as eqx

from ..errors import check_positive
from ..feedback.maps import direct_maps
from ..feedback.reconstruction import (
    Decay,
    Regularizer,
    WeightDecay,
    carry_noise,
    control_reconstruction,
    direct_reconstruction,
    draw_noise,
)
from ..feedback.sources import output_sources
from ..networks.activations import Identity
from ._base import ReconstructingRule


def propagate_directly(maps, sources, output_update):
    """`dh_i = g_i(h_L + dh_L) - g_i(h_L)` for every hidden layer, the mapping `g_i` reading its source; then `dh_L`."""
    hidden = (
        g.difference(g.at(source.activity), source.displacement(output_update))
        for g, source in zip(maps, sources, strict=True)
    )
    return (*hidden, output_update)


class DDTPLinear(ReconstructingRule):
    """DDTP with linear mappings `g_i(h_L) = Q_i h_L + c_i`, trained by the difference reconstruction loss
    (Meulemans et al. 2020, equation 9 and Algorithm 3).

    `sigma` is the noise level, `regularizer` the second term of the loss (`WeightDecay` or `OutputNoise`) and `samples` the
    number of noise draws per step.
    """

    sigma: float = 0.05
    """Standard deviation of the noise that the feedback learns from."""
    regularizer: Regularizer = WeightDecay()
    """What keeps the feedback small."""
    samples: int = eqx.field(static=True, default=1)
    """Noise draws per step."""

    name: ClassVar[str] = "ddtp-linear"
    equation: ClassVar[str] = "dh_i = Q_i dh_L, Q_i trained through the output"
    source: ClassVar[str] = "Meulemans et al. 2020, Algorithm 3"

    def __check_init__(self):
        check_positive(self, "sigma")

    def init(self, network, *, key):
        return direct_maps(network, Identity(), key=key)

    def target_updates(self, network, feedback, trace, output_update):
        return propagate_directly(feedback, output_sources(trace), output_update)

    def draw(self, trace, key):
        return draw_noise(trace, self.sigma, self.regularizer, key)

    def feedback_step(self, network, feedback, trace, noise):
        loop = carry_noise(network, trace, noise)
        return direct_reconstruction(feedback, trace, loop, self.sigma, self.regularizer)


class DDTPControl(ReconstructingRule):
    """The control of DDTP-linear: the same linear mappings and targets, but the reconstruction through the output is plain,
    without the difference correction and without `1/sigma^2` (Meulemans et al. 2020, Algorithm 5).

    `sigma` is the noise level, `regularizer` the weight decay of the mappings, `samples` the number of noise draws per step.
    """

    sigma: float = 0.05
    """Standard deviation of the noise that the feedback learns from."""
    regularizer: Decay = WeightDecay()
    """What keeps the feedback small."""
    samples: int = eqx.field(static=True, default=1)
    """Noise draws per step."""

    name: ClassVar[str] = "ddtp-control"
    equation: ClassVar[str] = "dh_i = Q_i dh_L, Q_i trained through the output without the difference correction"
    source: ClassVar[str] = "Meulemans et al. 2020, Algorithm 5"

    def init(self, network, *, key):
        return direct_maps(network, Identity(), key=key)

    def target_updates(self, network, feedback, trace, output_update):
        return propagate_directly(feedback, output_sources(trace), output_update)

    def draw(self, trace, key):
        return draw_noise(trace, self.sigma, self.regularizer, key)

    def feedback_step(self, network, feedback, trace, noise):
        return control_reconstruction(feedback, trace, carry_noise(network, trace, noise), self.regularizer)
