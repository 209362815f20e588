"""The schedule of a run: its passes over the training set."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import ConfigError


class Learning(NamedTuple):
    """What learns in a step: the network, the feedback, or both."""

    network: bool = True
    feedback: bool = True


@dataclass(frozen=True)
class Pass:
    """One pass over the training set.

    **Arguments:**

    - `epoch`: the epoch. Epoch 0 is the pretraining.
    - `index`: the number of the pass in its epoch.
    - `joint`: whether the network learns, together with the feedback if that learns too. Otherwise
      the feedback learns alone.
    - `ends_epoch`: whether this is the last pass of the epoch.
    - `feedback`: whether the feedback learns, if the rule trains it.
    """

    epoch: int
    index: int
    joint: bool
    ends_epoch: bool
    feedback: bool = True

    @property
    def learning(self) -> Learning:
        """What learns in a step of this pass."""
        return Learning(self.joint, self.feedback)


@dataclass(frozen=True)
class Schedule:
    """The passes of a run (Meulemans et al. 2020, supplement B.1).

    First `pretraining` passes of the feedback, then `epochs` joint passes, with `between` feedback
    passes between two joint passes. With `alternating`, the joint passes become passes of the
    network alone. `Schedule(epochs, 1, 1, alternating=True)` is the schedule of Lee et al. 2015:
    one pass of the feedback, one of the network, and so on.
    """

    epochs: int = 30
    """Number of joint passes: network and feedback learn."""
    pretraining: int = 0
    """Number of passes before the first joint pass in which only the feedback learns."""
    between: int = 0
    """Number of passes between two joint passes in which only the feedback learns."""
    alternating: bool = False
    """Whether network and feedback never learn in the same pass."""

    def __post_init__(self):
        if self.epochs < 1 or self.pretraining < 0 or self.between < 0:
            raise ConfigError(
                "A schedule needs at least 1 epoch and no negative number of feedback passes, "
                f"not epochs={self.epochs}, pretraining={self.pretraining}, between={self.between}."
            )
        if self.alternating and self.pretraining < 1:
            raise ConfigError("An `alternating` schedule begins with a pass of the feedback: give `pretraining` 1 or more.")

    def passes(self, trains_feedback: bool) -> list[Pass]:
        """All passes in order, without feedback passes if the rule does not train its feedback."""
        return list(self._passes(trains_feedback))

    def _passes(self, trains_feedback: bool) -> Iterator[Pass]:
        pretraining, between = (self.pretraining, self.between) if trains_feedback else (0, 0)
        together = not (self.alternating and trains_feedback)
        for index in range(1, pretraining + 1):
            yield Pass(0, index, joint=False, ends_epoch=index == pretraining)
        for epoch in range(1, self.epochs + 1):
            after = between if epoch < self.epochs else 0
            yield Pass(epoch, 0, joint=True, ends_epoch=after == 0, feedback=together)
            for index in range(1, after + 1):
                yield Pass(epoch, index, joint=False, ends_epoch=index == after)
