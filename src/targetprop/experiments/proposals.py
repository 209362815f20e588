"""Which settings a search tries: the proposals of the tree-structured Parzen estimator (TPE)."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from .space import OneOf, Space

RETRY = "retry of"
"""The attribute of a trial that is run again: the number under which it was proposed."""

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def proposed_as(trial: FrozenTrial) -> int:
    """The number under which the settings of a trial were proposed."""
    return trial.user_attrs.get(RETRY, trial.number)


def finished(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials with a result, in the order of their proposals."""
    return sorted((trial for trial in trials if trial.state in FINISHED), key=proposed_as)


def suggest(trial: Trial, space: Space) -> Mapping[str, float]:
    """Give a trial its settings, which are returned."""
    for name, values in space.items():
        if isinstance(values, OneOf):
            trial.suggest_categorical(name, values.values)
        elif isinstance(values.low, int) and isinstance(values.high, int):
            trial.suggest_int(name, values.low, values.high, log=values.log)
        else:
            trial.suggest_float(name, values.low, values.high, log=values.log)
    return trial.params


class Proposals(BaseSampler):
    """The sampler of a study that several processes may work on.

    A study on which one process works at a time is tried in sequence: the proposals follow from
    the settings of the search alone. An interrupted study continues the same sequence. If several
    processes work at once, each proposal follows from the trials that are known at that moment and
    from its number, so no two are the same.

    **Arguments:**

    - `space`: the space of the study.
    - `startup`: the number of finished trials before which proposals are random.
    - `together`: the size of a group. The proposals of a group follow from the groups before it.
    """

    def __init__(self, space: Space, startup: int, together: int):
        self._space, self._startup = space, startup
        self._sequence: _Sequence | None = _Sequence(space, _estimator(0, startup), together)
        self._proposal: tuple[int, Mapping[str, float]] = (-1, {})

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> float:
        if self._proposal[0] != trial.number:
            self._proposal = trial.number, self._propose(study.get_trials(deepcopy=False), trial.number)
        return self._proposal[1][param_name]

    def _propose(self, trials: Sequence[FrozenTrial], number: int) -> Mapping[str, float]:
        """The settings of the trial with a number."""
        before = [trial for trial in self.proposed(trials) if trial.number < number]
        if self._sequence is not None and self._sequence.follows(before, trials):
            return self._sequence.propose(number, trials)
        self._sequence = None
        known = [trial for trial in trials if trial.state in (*FINISHED, TrialState.RUNNING) and self.whole(trial)]
        alone = optuna.create_study(sampler=_estimator(number + 1, self._startup))
        alone.add_trials(known)
        return suggest(alone.ask(), self._space)

    def proposed(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The trials with settings of their own: no retries, and none that was given up before it
        had its settings.
        """
        return [
            trial
            for trial in trials
            if RETRY not in trial.user_attrs and (trial.state != TrialState.FAIL or self.whole(trial))
        ]

    def whole(self, trial: FrozenTrial) -> bool:
        """Whether a trial has all its settings."""
        return trial.params.keys() == self._space.keys()


def _estimator(seed: int, startup: int) -> TPESampler:
    return TPESampler(seed=seed, constant_liar=True, n_startup_trials=startup)


class _Sequence:
    """The proposals of one process that works alone, from the first on.

    It has a study of its own in memory. There the trials of the stored study are proposed again
    and told in the order of an unbroken search. So after an interruption its sampler is in the
    same state as before.
    """

    def __init__(self, space: Space, sampler: TPESampler, together: int):
        self._space, self._together = space, together
        self._study = optuna.create_study(sampler=sampler)
        self._asked: list[int] = []
        self._open: list[tuple[int, Trial]] = []

    def follows(self, before: Sequence[FrozenTrial], trials: Sequence[FrozenTrial]) -> bool:
        """Whether the trials proposed before are the beginning of the sequence.

        **Arguments:**

        - `before`: the proposed trials, in order.
        - `trials`: all trials of the study.
        """
        known = len(self._asked)
        if self._asked != [trial.number for trial in before[:known]]:
            return False
        return all(self.propose(trial.number, trials) == trial.params for trial in before[known:])

    def propose(self, number: int, trials: Sequence[FrozenTrial]) -> Mapping[str, float]:
        """The next proposal. It is for the trial with this number."""
        if len(self._asked) % self._together == 0:
            self._tell({proposed_as(trial): trial for trial in finished(trials)})
        trial = self._study.ask()
        self._asked.append(number)
        self._open.append((number, trial))
        return suggest(trial, self._space)

    def _tell(self, results: Mapping[int, FrozenTrial]) -> None:
        for number, trial in self._open:
            if number in results:
                found = results[number]
                for step, value in found.intermediate_values.items():
                    trial.report(value, step)
                self._study.tell(trial, None if found.state == TrialState.PRUNED else found.value, found.state)
        self._open = [(number, trial) for number, trial in self._open if number not in results]
