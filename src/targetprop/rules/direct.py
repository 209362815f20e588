"""Direct difference target propagation: mappings straight from the output to each hidden layer."""

from typing import ClassVar

import equinox as eqx

from ..activations import Identity
from ..feedback.maps import direct_maps
from ..feedback.reconstruction import Regulariser, WeightDecay, direct_reconstruction
from ._base import Rule
from .target_propagation import difference_step


def propagate_directly(maps, trace, output_update):
    """`dh_i = g_i(h_L + dh_L) - g_i(h_L)` for every hidden layer."""
    hidden = (g.difference(g.at(trace.output), output_update) for g in maps)
    return (*hidden, output_update)


class DDTPLinear(Rule):
    """DDTP with linear mappings `g_i(h_L) = Q_i h_L + c_i`, trained by the difference reconstruction loss
    (Meulemans et al. 2020, equation 9 and Algorithm 3).

    `sigma` is the noise level, `regulariser` the second term of the loss (`WeightDecay` or `OutputNoise`) and `samples` the
    number of noise draws per step.
    """

    sigma: float = 0.05
    regulariser: Regulariser = WeightDecay()
    samples: int = eqx.field(static=True, default=1)

    name: ClassVar[str] = "ddtp-linear"
    equation: ClassVar[str] = "dh_i = Q_i dh_L, Q_i trained through the output"
    source: ClassVar[str] = "Meulemans et al. 2020, Algorithm 3"

    def init(self, network, *, key):
        return direct_maps(network, Identity(), key=key)

    def target_updates(self, network, feedback, trace, output_update):
        return propagate_directly(feedback, trace, output_update)

    def feedback_gradients(self, network, feedback, trace, *, key):
        return difference_step(self, direct_reconstruction, network, feedback, trace, key)
