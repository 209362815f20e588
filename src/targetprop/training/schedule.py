"""The schedule of a run: its passes over the training set."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import ConfigError


@dataclass(frozen=True)
class Pass:
    """One pass over the training set.

    **Arguments:**

    - `epoch`: the epoch. Epoch 0 is the pretraining.
    - `index`: the number of the pass in its epoch.
    - `joint`: whether the network learns together with the feedback. Otherwise the feedback learns
      alone.
    - `ends_epoch`: whether this is the last pass of the epoch.
    """

    epoch: int
    index: int
    joint: bool
    ends_epoch: bool


@dataclass(frozen=True)
class Schedule:
    """The passes of a run (Meulemans et al. 2020, supplement B.1).

    First `pretraining` passes of the feedback, then `epochs` joint passes, with `between` feedback
    passes between two joint passes.
    """

    epochs: int = 30
    """Number of joint passes: network and feedback learn."""
    pretraining: int = 0
    """Number of passes before the first joint pass in which only the feedback learns."""
    between: int = 0
    """Number of passes between two joint passes in which only the feedback learns."""

    def __post_init__(self):
        if self.epochs < 1 or self.pretraining < 0 or self.between < 0:
            raise ConfigError(
                "A schedule needs at least 1 epoch and no negative number of feedback passes, "
                f"not epochs={self.epochs}, pretraining={self.pretraining}, between={self.between}."
            )

    def passes(self, trains_feedback: bool) -> list[Pass]:
        """All passes in order, without feedback passes if the rule does not train its feedback."""
        return list(self._passes(trains_feedback))

    def _passes(self, trains_feedback: bool) -> Iterator[Pass]:
        pretraining, between = (self.pretraining, self.between) if trains_feedback else (0, 0)
        for index in range(1, pretraining + 1):
            yield Pass(0, index, joint=False, ends_epoch=index == pretraining)
        for epoch in range(1, self.epochs + 1):
            after = between if epoch < self.epochs else 0
            yield Pass(epoch, 0, joint=True, ends_epoch=after == 0)
            for index in range(1, after + 1):
                yield Pass(epoch, index, joint=False, ends_epoch=index == after)
