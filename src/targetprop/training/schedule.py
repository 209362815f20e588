"""Which passes over the training set make up a run."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import ConfigError


@dataclass(frozen=True)
class Pass:
    """One pass over the training set: the `index`-th of `epoch`; `joint` passes train forward and feedback parameters
    together, the others the feedback alone. Epoch 0 is the pre-training."""

    epoch: int
    index: int
    joint: bool
    ends_epoch: bool


@dataclass(frozen=True)
class Schedule:
    """`pretraining` passes of the feedback, then `epochs` joint passes with `between` feedback passes between each two
    (Meulemans et al. 2020, supplement B.1)."""

    epochs: int = 30
    """Number of joint passes: network and feedback learn."""
    pretraining: int = 0
    """Number of passes before the first joint pass in which only the feedback learns."""
    between: int = 0
    """Number of passes between two joint passes in which only the feedback learns."""

    def __post_init__(self):
        if self.epochs < 1 or self.pretraining < 0 or self.between < 0:
            raise ConfigError(
                f"A schedule needs at least 1 epoch and no negative number of feedback passes, not epochs={self.epochs}, "
                f"pretraining={self.pretraining}, between={self.between}."
            )

    def passes(self, trains_feedback: bool) -> list[Pass]:
        """All passes in order; the feedback passes only for a rule that trains its feedback."""
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
