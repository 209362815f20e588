"""The schedule of a run: its passes over the training set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import SupportsIndex, overload

from .._checks import check_fields
from ..errors import check_count


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
        check_fields(self)
        check_count(self, "epochs")
        check_count(self, "pretraining", "between", least=0)

    def passes(self, trains_feedback: bool) -> "Passes":
        """All passes in order, without feedback passes if the rule does not train its feedback."""
        return Passes(self if trains_feedback else Schedule(self.epochs))


class Passes(Sequence[Pass]):
    """The passes of a schedule in order. Each is computed when it is asked for.

    **Arguments:**

    - `schedule`: the schedule.
    """

    def __init__(self, schedule: Schedule):
        self._schedule = schedule

    def __len__(self) -> int:
        return self._schedule.pretraining + self.joint + (self._schedule.epochs - 1) * self._schedule.between

    @property
    def joint(self) -> int:
        """The number of joint passes."""
        return self._schedule.epochs

    def kinds(self, first: int = 0) -> list[Pass]:
        """One pass of each kind, joint or not, among those from number `first` on."""
        alone = first if first < self._schedule.pretraining else len(self) - 2
        found = [number for number in (len(self) - 1, alone) if number >= first]
        return list({at.joint: at for at in map(self._at, found)}.values())

    @overload
    def __getitem__(self, index: SupportsIndex) -> Pass: ...

    @overload
    def __getitem__(self, index: slice) -> list[Pass]: ...

    def __getitem__(self, index):
        numbers = range(len(self))[index]
        return [self._at(number) for number in numbers] if isinstance(index, slice) else self._at(numbers)

    def _at(self, number: int) -> Pass:
        pretraining, between, epochs = self._schedule.pretraining, self._schedule.between, self._schedule.epochs
        if number < pretraining:
            return Pass(0, number + 1, joint=False, ends_epoch=number == pretraining - 1)
        epoch, index = divmod(number - pretraining, between + 1)
        last = between if epoch + 1 < epochs else 0
        return Pass(epoch + 1, index, joint=index == 0, ends_epoch=index == last)
