"""Learning from the burst probabilities of neurons that multiplex (Meulemans 2019, section 6.9)."""

from typing import ClassVar

from ..dynamics.multiplexing import free_bursts
from ..feedback.backward import Backward, TrainedFeedback
from ._base import Rule
from .target_propagation import propagate_displacements


class Multiplexing(Rule):
    """Event rates go up and burst probabilities down, in channels that do not mix: each layer learns how much its burst
    probability differs between the learning phase, where that of the output is the target, and the free phase, where it
    is the output's event rate. `dh_i = p^l_i - p^f_i` with `p_i = g_i(p_{i+1})` (Meulemans 2019, equations 6.50 and 6.58,
    whose `p^f_{i-1}` is a misprint).

    To first order the reconstruction errors of the feedback cancel, and no mixing makes the signal decay. It is difference
    target propagation whose mappings are evaluated at the burst probabilities of the free phase in place of the event
    rates, and that itself where they are linear, or exact inverses.

    `backward` is what the mappings are. Learned ones learn in the free phase, each by itself, that the burst probability is
    the layer's event rate; with a feedback learning rate of 0 they stay as they are. A probability is between 0 and 1,
    which takes mappings with `t` the sigmoid, and an event rate is not negative, which takes sigmoid or rectified
    activations: that is up to `backward` and the network, and nothing here depends on it.
    """

    backward: Backward = TrainedFeedback()
    """The feedback mappings."""

    name: ClassVar[str] = "multiplexing"
    equation: ClassVar[str] = "dh_i = g_i(p_{i+1} + dh_{i+1}) - g_i(p_{i+1}), p_i = g_i(p_{i+1}), p_L = h_L"
    source: ClassVar[str] = "Meulemans 2019, eq. 6.58"

    def init(self, network, *, key):
        return self.backward.init(network, key=key)

    def target_updates(self, network, feedback, trace, output_update):
        maps = self.backward.maps(network, feedback, trace)
        return propagate_displacements(maps, free_bursts(maps, trace.output), output_update)

    def feedback_gradients(self, network, feedback, trace, *, key):
        points = free_bursts(self.backward.maps(network, feedback, trace), trace.output)
        return self.backward.learned(feedback, [point.x for point in points], trace.h[1:-1])

    def follow(self, before, after, feedback, lesson):
        return self.backward.follow(before, after, feedback, lesson.trace)
