"""DDTP whose mappings sit on a shared, fixed random hidden layer (DDTP-RHL), plain and recurrent."""

import math
from typing import ClassVar

import equinox as eqx
import jax

from ..errors import check_positive
from ..feedback.maps import feedback_maps
from ..feedback.reconstruction import (
    FeedbackStep,
    Regularizer,
    WeightDecay,
    carry_noise,
    draw_noise,
    source_reconstruction,
)
from ..feedback.sources import RandomHiddenFeedback, random_hidden_layer
from ..networks.activations import Activation, Tanh
from ..networks.network import parameters
from ._base import ReconstructingRule
from .direct import propagate_directly


def _create(network, width, sources, activation, key):
    """Mappings on a random hidden layer of `width` units; the last of them reads the output."""
    hidden = random_hidden_layer(network, width, key=jax.random.fold_in(key, 0))
    return RandomHiddenFeedback(hidden, feedback_maps(network, (*sources, network.shapes[-1]), activation, key=key))


def _step(rule, network, feedback, sources, trace, noise):
    loop = carry_noise(network, trace, noise)
    learned = source_reconstruction(feedback.maps, sources, loop, rule.sigma, rule.regularizer)
    return FeedbackStep(parameters(feedback)._replace(maps=learned.gradients), learned.losses)


class DDTPRHL(ReconstructingRule):
    """DDTP with `g_i(h_L) = t(Q_i tanh(R h_L + d) + c_i)` (Meulemans et al. 2020, section 4 and equation 62), trained by the
    difference reconstruction loss as in Algorithm 3.

    `R` and `d`, with `width` units, are random, fixed and shared by the layers. As in the published experiments, and unlike
    the equation, the last hidden layer is reached straight from the output, `g_{L-1}(h_L) = t(Q_{L-1} h_L + c_{L-1})`.

    `sigma` is the noise level, `regularizer` the second term of the loss (`WeightDecay` or `OutputNoise`), `samples` the
    number of noise draws per step, `feedback_activation` is `t`.
    """

    sigma: float = 0.05
    """Standard deviation of the noise that the feedback learns from."""
    regularizer: Regularizer = WeightDecay()
    """What keeps the feedback small."""
    samples: int = eqx.field(static=True, default=1)
    """Noise draws per step."""
    width: int = eqx.field(static=True, default=1024)
    """Units of the random hidden layer."""
    feedback_activation: Activation = Tanh()
    """Nonlinearity of the feedback mappings."""

    name: ClassVar[str] = "ddtp-rhl"
    equation: ClassVar[str] = "dh_i = g_i(h_L + dh_L) - g_i(h_L), g_i(h) = t(Q_i tanh(R h + d) + c_i), R and d fixed"
    source: ClassVar[str] = "Meulemans et al. 2020, Algorithm 3"

    def __check_init__(self):
        check_positive(self, "sigma")

    def init(self, network, *, key):
        sources = [(self.width,)] * (network.depth - 2)
        return _create(network, self.width, sources, self.feedback_activation, key)

    def target_updates(self, network, feedback, trace, output_update):
        return propagate_directly(feedback.maps, feedback.sources(trace), output_update)

    def draw(self, trace, key):
        return draw_noise(trace, self.sigma, self.regularizer, key)

    def feedback_step(self, network, feedback, trace, noise):
        return _step(self, network, feedback, feedback.sources(trace), trace, noise)


class DDTPRHLRec(ReconstructingRule):
    """DDTP-RHL with recurrent feedback, `g_i(h_L, h_i) = t(Q_i tanh(R h_L + d) + S_i h_i + c_i)` (Meulemans et al. 2020,
    equation 63 and Algorithm 4).

    The clean activity `h_i` enters both the targets and the reconstruction, so that samples with the same output may have
    different feedback. The weight of a mapping is `[Q_i S_i]`. The last hidden layer is reached as in `DDTPRHL`.
    Hyperparameters as in `DDTPRHL`.
    """

    sigma: float = 0.05
    """Standard deviation of the noise that the feedback learns from."""
    regularizer: Regularizer = WeightDecay()
    """What keeps the feedback small."""
    samples: int = eqx.field(static=True, default=1)
    """Noise draws per step."""
    width: int = eqx.field(static=True, default=1024)
    """Units of the random hidden layer."""
    feedback_activation: Activation = Tanh()
    """Nonlinearity of the feedback mappings."""

    name: ClassVar[str] = "ddtp-rhl-rec"
    equation: ClassVar[str] = "dh_i = g_i(h_L + dh_L, h_i) - g_i(h_L, h_i), g_i(h, k) = t(Q_i tanh(R h + d) + S_i k + c_i)"
    source: ClassVar[str] = "Meulemans et al. 2020, Algorithm 4"

    def __check_init__(self):
        check_positive(self, "sigma")

    def init(self, network, *, key):
        sources = [(self.width + math.prod(shape),) for shape in network.shapes[1:-2]]
        return _create(network, self.width, sources, self.feedback_activation, key)

    def target_updates(self, network, feedback, trace, output_update):
        return propagate_directly(feedback.maps, feedback.recurrent_sources(trace), output_update)

    def draw(self, trace, key):
        return draw_noise(trace, self.sigma, self.regularizer, key)

    def feedback_step(self, network, feedback, trace, noise):
        return _step(self, network, feedback, feedback.recurrent_sources(trace), trace, noise)
