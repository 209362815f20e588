"""The schedule of a run: its passes over the training set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, SupportsIndex, overload

from .._checks import check_fields
from ..errors import ConfigError, check_count


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
        check_fields(self)
        check_count(self, "epochs")
        check_count(self, "pretraining", "between", least=0)
        if self.alternating and self.pretraining < 1:
            raise ConfigError("An `alternating` schedule begins with a pass of the feedback: give `pretraining` 1 or more.")

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
        """The number of passes in which the network learns."""
        return self._schedule.epochs

    @property
    def of_feedback(self) -> int:
        """The number of passes in which the feedback may learn."""
        return len(self) - self.joint * self._schedule.alternating

    def number(self, learning: Learning) -> int:
        """The number of passes in which this learns."""
        return self.joint if learning.network else len(self) - self.joint

    def kinds(self, first: int = 0) -> list[Pass]:
        """One pass of each kind, by what learns, among those from number `first` on."""
        alone = first if first < self._schedule.pretraining else len(self) - 2
        found = [number for number in (len(self) - 1, alone) if number >= first]
        return list({at.learning: at for at in map(self._at, found)}.values())

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
        together = index > 0 or not self._schedule.alternating
        return Pass(epoch + 1, index, joint=index == 0, ends_epoch=index == last, feedback=together)
