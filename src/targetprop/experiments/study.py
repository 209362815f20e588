"""A study in Optuna's storage, on which several processes may work at once."""

import contextlib
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import MedianPruner
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from .._checks import check_is
from ..errors import ConfigError
from ..training.bars import ProgressBar
from ..training.callbacks import Callback, LiveRun
from ..training.provenance import first_difference
from ..training.result import finite_or_none
from .proposals import RETRY, Proposals, finished, proposed_as, suggest
from .space import Space
from .workers import Worker

SETTINGS, STARTUP, PROCESS = "settings", "startup trials", "process"
"""Attributes of a study and of a trial."""

POLL_SECONDS = 1.0
"""How often a process that has nothing to do looks whether the others are done."""
PRUNED_AFTER = 5
"""The number of whole trials before which none is given up."""


def open_storage(storage: str | BaseStorage | None, journal: Path | None) -> BaseStorage:
    """The storage of a search.

    **Arguments:**

    - `storage`: a URL of a database, a storage of Optuna, or `None`.
    - `journal`: the file that is used if there is no `storage`. `None`: memory.

    **Raises:** `ConfigError` if the database cannot be opened, or if the file is damaged.
    """
    check_is("storage", storage, (str, BaseStorage, type(None)), "give a URL such as sqlite:///search.db")
    if isinstance(storage, BaseStorage):
        return storage
    if storage is not None:
        return _open_database(storage)
    if journal is None:
        return InMemoryStorage()
    lock = JournalFileOpenLock(str(journal))
    _mend(journal, lock)
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))


def _open_database(url: str) -> RDBStorage:
    """A database of Optuna, which is made if it does not exist.

    If several processes make it at once, only one succeeds at first. So it is tried again.
    """
    from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

    waiting = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    for pause in (0.3, 1.0, None):
        try:
            return RDBStorage(url, engine_kwargs=waiting)
        except (SQLAlchemyError, ImportError) as error:
            if pause is None or not isinstance(error, IntegrityError | OperationalError):
                reason = str(error).splitlines()[0]
                raise ConfigError(
                    f"`storage` cannot be opened ({reason}): give a URL such as sqlite:///search.db."
                ) from error
            time.sleep(pause)
    raise AssertionError


def _mend(journal: Path, lock: JournalFileOpenLock) -> None:
    """Remove an incomplete last line, which a crash of the machine may have left.

    **Raises:** `ConfigError` if another line is damaged.
    """
    if not journal.exists():
        return
    lock.acquire()
    try:
        text = journal.read_bytes()
        if not text.endswith(b"\n"):
            os.truncate(journal, text.rfind(b"\n") + 1)
    finally:
        lock.release()
    for number, line in enumerate(text.split(b"\n")[:-1], start=1):
        try:
            json.loads(line)["op_code"]
        except (KeyError, RecursionError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{journal} is damaged in line {number} ({error}): move it away to search anew, or remove this line and "
                "all after it to go on from the trials before."
            ) from error


def open_study(storage: BaseStorage, name: str, settings: dict[str, Any], startup: int, overwrite: bool = False) -> Study:
    """The study with this name. It is made if it does not exist.

    A study of other settings in which nothing was finished is replaced.

    **Arguments:**

    - `storage`: where it is.
    - `name`: its name.
    - `settings`: what defines it, as plain data.
    - `startup`: the number of random proposals at its beginning, kept with the study.
    - `overwrite`: whether a study of other settings is replaced.

    **Raises:** `ConfigError` if there is a study of other settings that is not replaced. It says what differs.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
    trials = study.get_trials(deepcopy=False)
    if trials and SETTINGS not in study.user_attrs:
        raise ConfigError(f"The study {name!r} in this storage is no search of targetprop: use another `name`.")
    difference = first_difference(study.user_attrs.get(SETTINGS, settings), settings, "")
    if difference and (overwrite or all(trial.state in (TrialState.WAITING, TrialState.FAIL) for trial in trials)):
        optuna.delete_study(study_name=name, storage=storage)
        return open_study(storage, name, settings, startup)
    if difference:
        raise ConfigError(
            f"There is another search named {name!r} already: {difference.lstrip('.')}. "
            "Use the same settings, another `name`, another `out` or another `storage`, or replace it with `overwrite`."
        )
    if SETTINGS not in study.user_attrs:
        study.set_user_attr(STARTUP, startup)
        study.set_user_attr(SETTINGS, settings)
    return study


class SharedStudy:
    """The trials of a study, as one of several processes sees them.

    **Arguments:**

    - `study`: the study.
    - `space`: what is searched.
    - `trials`: the number of trials after which the study ends.
    - `together`: how many trials a process takes at once.
    """

    def __init__(self, study: Study, space: Space, trials: int, together: int):
        self._study, self._space = study, space
        self._trials, self._together = trials, together
        self._worker = Worker(study)
        self._proposals = study.sampler = Proposals(space, study.user_attrs[STARTUP], together)

    def work(self, run: Callable[[Sequence[Trial]], None], bar: ProgressBar) -> list[FrozenTrial]:
        """Run trials until the study ends.

        **Arguments:**

        - `run`: runs some trials and tells their results. If it fails, the trials are given back.
        - `bar`: shows how many trials have a result, those of other processes too.

        **Returns:** the trials of the study with a result, in the order of their proposals.
        """
        done = self._show(bar, 0)
        if len(done) == self._trials:
            return done
        with self._worker:
            while len(done) < self._trials:
                group = self._claim()
                try:
                    if group:
                        run(group)
                    else:
                        bar.note("waiting for the other processes")
                        time.sleep(POLL_SECONDS)
                finally:
                    self._release(group)
                done = self._show(bar, len(done))
        return done

    def _show(self, bar: ProgressBar, before: int) -> list[FrozenTrial]:
        """The trials with a result, at most as many as asked for. They are shown on the bar."""
        done = finished(self._study.get_trials(deepcopy=False))[: self._trials]
        bar.advance(len(done) - before)
        if done:
            bar.note(f"best {min(trial.value for trial in done if trial.value is not None):.2f}")
        return done

    def _claim(self) -> list[Trial]:
        """The next trials for this process.

        Trials that were given back come first. Empty if the other processes have taken all that is
        left.
        """
        self._rescue()
        trials = self._study.get_trials(deepcopy=False)
        waiting = sum(trial.state == TrialState.WAITING for trial in trials)
        left = self._trials - sum(trial.state != TrialState.FAIL for trial in trials)
        begun = len(self._proposals.proposed(trials))
        to_fill = -begun % self._together if waiting else self._together - begun % self._together
        group: list[Trial] = []
        try:
            for _ in range(min(self._together, waiting + max(0, min(left, to_fill)))):
                trial = self._study.ask()
                group.append(trial)
                if self._is_surplus(trial.number):
                    self._study.tell(group.pop(), state=TrialState.FAIL)
                    break
                trial.set_user_attr(PROCESS, self._worker.name)
                suggest(trial, self._space)
        except BaseException:
            self._release(group)
            raise
        return group

    def tell(self, trial: Trial, errors: Sequence[float], seconds: float, pruned: bool) -> None:
        """Keep the result of a trial.

        Nothing is kept if another process has taken this one for gone, and the trial with it.

        **Arguments:**

        - `trial`: the trial.
        - `errors`: the validation error of each seed.
        - `seconds`: the time that it took.
        - `pruned`: whether it was given up early. Its value is then the last that was reported.
        """
        value, state = (None, TrialState.PRUNED) if pruned else (statistics.fmean(errors), TrialState.COMPLETE)
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            trial.set_user_attr("errors", finite_or_none(errors))
            trial.set_user_attr("seconds", seconds)
            self._study.tell(trial, value, state, skip_if_finished=True)

    def pruning(self, group: Sequence[Trial], epochs: int) -> "Pruning":
        """What gives up trials of a group early. It watches their training.

        **Arguments:**

        - `group`: the trials. Each has the same number of seeds.
        - `epochs`: the number of epochs of a trial.
        """
        self._study.pruner = MedianPruner(n_startup_trials=PRUNED_AFTER, n_warmup_steps=epochs // 4)
        return Pruning(group)

    def _release(self, group: Sequence[Trial]) -> None:
        """Give back the trials of a group that have no result, so that anybody can take them."""
        numbers = {trial.number for trial in group}
        for trial in self._study.get_trials(deepcopy=False):
            if trial.number in numbers and trial.state == TrialState.RUNNING:
                self._give_back(trial)

    def _rescue(self) -> None:
        """Give back the trials of processes that are gone."""
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state == TrialState.RUNNING and self._is_left(trial):
                self._give_back(trial)

    def _is_left(self, trial: FrozenTrial) -> bool:
        """Whether the process that runs a trial is gone."""
        process = trial.user_attrs.get(PROCESS)
        if process is None:  # the trial is new, or its process was killed just then
            return self._worker.is_alone() or self._worker.is_gone(f"unknown:{os.getpid()}:{trial.number}")
        return process != self._worker.name and self._worker.is_gone(process)

    def _give_back(self, trial: FrozenTrial) -> None:
        """Mark a trial as failed, and queue its settings once more. One process only succeeds."""
        try:
            self._study.tell(trial.number, state=TrialState.FAIL)
        except (optuna.exceptions.UpdateFinishedTrialError, ValueError):  # another process has done so
            return
        if self._proposals.whole(trial):
            self._study.enqueue_trial(trial.params, user_attrs={RETRY: proposed_as(trial)})

    def _is_surplus(self, number: int) -> bool:
        """Whether other processes had claimed all trials before this one."""
        trials = self._study.get_trials(deepcopy=False)
        return sum(trial.number < number and trial.state != TrialState.FAIL for trial in trials) >= self._trials


class Pruning(Callback):
    """Watches the training of some trials, and stops those that the study's pruner rejects.

    The value of a trial at an epoch is the best validation error until then, averaged over its
    seeds. A trial of which a seed has diverged is left alone.

    **Arguments:**

    - `group`: the trials, in the order of the members that are trained.
    """

    def __init__(self, group: Sequence[Trial]):
        self._group = group
        self.pruned: set[int] = set()
        """The numbers of the trials that were given up."""

    def records(self, run: LiveRun, records: Sequence[dict]) -> None:
        if any("pass" in record for record in records):
            return  # pretraining
        results = run.seeds
        seeds = len(results) // len(self._group)
        members = {trial.number: range(i * seeds, (i + 1) * seeds) for i, trial in enumerate(self._group)}
        for trial in self._group:
            found = [results[i] for i in members[trial.number]]
            if trial.number not in self.pruned and not any(result.diverged for result in found):
                value = statistics.fmean(min(record["validation_error"] for record in r.history) for r in found)
                if _is_rejected(trial, value, found[0].history[-1]["epoch"]):
                    self.pruned.add(trial.number)
                    for i in members[trial.number]:
                        run.stop(i)


def _is_rejected(trial: Trial, value: float, epoch: int) -> bool:
    """Whether the pruner gives up a trial with this value, or another process has the trial now."""
    try:
        trial.report(value, epoch)
    except optuna.exceptions.UpdateFinishedTrialError:
        return True
    return trial.should_prune()
