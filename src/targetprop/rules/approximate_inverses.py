"""Target propagation with learned inverses of the form `g_i(h) = Q_i s_{i+1}^{-1}(h)` (Meulemans 2019, section 4.3): TP-AI
and DTP-AI. The original forms, `g_i(h) = s_i(Q_i h)` trained on the activities, are `TP` and `DTP` with `sigma=0`; one
random layer at a time: `Randomized`."""

from typing import ClassVar

import equinox as eqx

from ..feedback.inversion import InverseGradient, InverseLearner
from ..feedback.maps import inverse_maps
from ..feedback.reconstruction import NoiseDraw, layer_noise
from ._base import ReconstructingRule
from .target_propagation import propagate_differences, propagate_targets


class TPAI(ReconstructingRule):
    """Target propagation with approximate inverses: `dh_i = g_i(h_{i+1} + dh_{i+1}) - h_i`,
    `g_i(h) = Q_i s_{i+1}^{-1}(h) + c_i` (Meulemans 2019, section 4.3.2, Algorithm A.10).

    `learner` says what `g_i` learns from white noise of standard deviation `sigma` on layer `i`, averaged over `samples`
    draws. `Q_i` starts at the pseudo-inverse of `W_{i+1}`, as in the thesis; `c_i` is there where layer `i + 1` has a bias.
    `init` raises `ConfigError` for a layer from the second on that is not dense, or whose activation is not invertible.
    """

    sigma: float = 1.0
    """Standard deviation of the noise that the feedback learns from."""
    learner: InverseLearner = InverseGradient()
    """What the inverses learn by."""
    samples: int = eqx.field(static=True, default=1)
    """Noise draws per step."""

    name: ClassVar[str] = "tp-ai"
    equation: ClassVar[str] = "dh_i = g_i(h_{i+1} + dh_{i+1}) - h_i, g_i(h) = Q_i s_{i+1}^{-1}(h)"
    source: ClassVar[str] = "Meulemans 2019, Algorithm A.10"

    def init(self, network, *, key):
        return inverse_maps(network)

    def target_updates(self, network, feedback, trace, output_update):
        return propagate_targets(feedback, trace, output_update)

    def draw(self, trace, key):
        return NoiseDraw(layer_noise(trace, self.sigma, key))

    def feedback_step(self, network, feedback, trace, noise):
        return self.learner.step(network, feedback, noise.layers, self.sigma)


class DTPAI(ReconstructingRule):
    """Difference target propagation with approximate inverses: `dh_i = g_i(h_{i+1} + dh_{i+1}) - g_i(h_{i+1})`,
    `g_i(h) = Q_i s_{i+1}^{-1}(h) + c_i` (Meulemans 2019, section 4.3.3, Algorithm A.12).

    In networks whose widths obey `n_L = .. = n_2 <= n_1`, with `g_i` trained to the end, the targets are those of
    Gauss-Newton to first order (Theorem 4.9). Hyperparameters and errors as in `TPAI`.
    """

    sigma: float = 1.0
    """Standard deviation of the noise that the feedback learns from."""
    learner: InverseLearner = InverseGradient()
    """What the inverses learn by."""
    samples: int = eqx.field(static=True, default=1)
    """Noise draws per step."""

    name: ClassVar[str] = "dtp-ai"
    equation: ClassVar[str] = "dh_i = g_i(h_{i+1} + dh_{i+1}) - g_i(h_{i+1}), g_i(h) = Q_i s_{i+1}^{-1}(h)"
    source: ClassVar[str] = "Meulemans 2019, Algorithm A.12"

    def init(self, network, *, key):
        return inverse_maps(network)

    def target_updates(self, network, feedback, trace, output_update):
        return propagate_differences(feedback, trace, output_update)

    def draw(self, trace, key):
        return NoiseDraw(layer_noise(trace, self.sigma, key))

    def feedback_step(self, network, feedback, trace, noise):
        return self.learner.step(network, feedback, noise.layers, self.sigma)
