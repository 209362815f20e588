"""The order of the two updates in a step: the feedback may learn after the network."""

from typing import ClassVar

from .contract import Rule
from .wrapper import Wrapper


class FeedbackAfterStep(Wrapper):
    """Another rule, whose feedback learns after the step of the network, through its new weights.

    In a step of `rule` alone, network and feedback learn at the same weights. Here the network
    moves first. Then the feedback learns from the same minibatch and the same noise, as `rule`
    says, in the network as it is now. Meulemans 2019, Algorithms A.10 to A.13, train `Q` in this
    order.

    A pass in which the feedback learns alone is the same in both orders.
    """

    rule: Rule

    source: ClassVar[str] = "Meulemans 2019, Algorithms A.10 to A.13"

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The name of the other rule, and the order."""
        return f"{self.rule.name}-after-step"

    @property
    def equation(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The formula of the target updates of the other rule."""
        return self.rule.equation

    @property
    def feedback_after_step(self):
        return self.rule.learns_feedback
