"""The contract of a credit-assignment rule.

A rule answers one question: how should the activity of each layer have been different? All else (the forward pass,
the local updates, the optimizers, the schedule, the diagnostics) is the same for every rule.
"""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ..errors import check_not_negative, check_positive
from ..feedback.reconstruction import FeedbackStep, NoiseDraw, average_over_noise
from ..networks.network import Network, Trace

Updates = tuple[Float[Array, "batch ..."], ...]

LESSON, CHOICE = 1, 2  # purposes of the key of a step beside the noise of the feedback


class Lesson(NamedTuple):
    """What the layers learn from a minibatch: the activities at which their local updates are taken, and the target updates
    there."""

    trace: Trace
    updates: Updates


class Rule(eqx.Module):
    """A credit-assignment rule: pure functions of the network, the feedback parameters and a forward pass.

    A new rule implements `target_updates`. One with feedback parameters implements `init` too, and one that trains
    them `feedback_gradients`. The other methods have defaults that cost nothing: `settle` for networks that feedback moves
    even without a target, `lesson` for local updates at other activities than those, `learn` for feedback that learns from
    the same activities as the network, `chosen` for steps in which not every layer learns, `follow` for feedback
    that goes with the forward step, `complaints` for targets that may not exist. Numeric fields are hyperparameters; they
    may be arrays, so no value is compiled in.
    """

    name: ClassVar[str]
    equation: ClassVar[str]
    source: ClassVar[str]

    def init(self, network: Network, *, key: PRNGKeyArray) -> Any:
        """Feedback parameters for `network`, a pytree; `None` where the rule has none."""
        return None

    @abc.abstractmethod
    def target_updates(
        self, network: Network, feedback: Any, trace: Trace, output_update: Float[Array, "batch n_L"]
    ) -> Updates:
        """The target updates `dh_1 .. dh_L`, each shaped like its activity; the last is `output_update` itself."""

    def feedback_gradients(self, network: Network, feedback: Any, trace: Trace, *, key: PRNGKeyArray) -> FeedbackStep | None:
        """Gradients of the feedback losses on this batch; `None` for a rule whose feedback stays as it is."""
        return None

    def settle(self, network: Network, feedback: Any, trace: Trace) -> Trace:
        """The activities of the network without a target, from those of the forward pass: as they are. All other methods
        take the trace that this one returns."""
        return trace

    def lesson(
        self, network: Network, feedback: Any, trace: Trace, output_update: Float[Array, "batch n_L"], *, key: PRNGKeyArray
    ) -> Lesson:
        """The target updates with the activities at which they are learned: those of the forward pass."""
        return Lesson(trace, self.target_updates(network, feedback, trace, output_update))

    def learn(
        self, network: Network, feedback: Any, trace: Trace, output_update: Float[Array, "batch n_L"], *, key: PRNGKeyArray
    ) -> tuple[Lesson, FeedbackStep | None]:
        """What network and feedback learn from a minibatch in which both do: `lesson` and `feedback_gradients`."""
        lesson = self.lesson(network, feedback, trace, output_update, key=jax.random.fold_in(key, LESSON))
        return lesson, self.feedback_gradients(network, feedback, trace, key=key)

    def chosen(self, network: Network, *, key: PRNGKeyArray) -> Bool[Array, " L"] | None:
        """Which layers move in this step; `None` for all of them."""
        return None

    def follow(self, before: Network, after: Network, feedback: Any, lesson: Lesson) -> tuple[Network, Any]:
        """The network and the feedback once the optimizer has led the network from `before` to `after`: as they are. A rule
        may shorten the step, or change the feedback with it."""
        return after, feedback

    def complaints(
        self, network: Network, feedback: Any, trace: Trace, output_update: Float[Array, "batch n_L"]
    ) -> Sequence[str]:
        """What is wrong with the target updates of a minibatch, in words: the layer, and what to change; nothing by default.
        Asked with concrete numbers, outside compiled programs: at the first minibatch of a run, and where a run diverges."""
        return ()


class ReconstructingRule(Rule):
    """A rule whose feedback learns to undo noise. It says what noise it needs and what it learns from given noise; the two
    are apart so that a step can be repeated with the noise of another implementation."""

    sigma: eqx.AbstractVar[Any]
    samples: eqx.AbstractVar[int]

    def __check_init__(self):
        check_positive(self, "samples")
        check_not_negative(self, "sigma")

    @abc.abstractmethod
    def draw(self, trace: Trace, key: PRNGKeyArray) -> NoiseDraw:
        """Noise for one step on this batch."""

    @abc.abstractmethod
    def feedback_step(self, network: Network, feedback: Any, trace: Trace, noise: NoiseDraw) -> FeedbackStep:
        """Gradients of the feedback losses on this batch, with this noise."""

    def feedback_gradients(self, network: Network, feedback: Any, trace: Trace, *, key: PRNGKeyArray) -> FeedbackStep:
        return average_over_noise(
            lambda key: self.feedback_step(network, feedback, trace, self.draw(trace, key)), self.samples, key
        )
