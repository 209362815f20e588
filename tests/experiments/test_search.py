"""The search: it continues as if it had not stopped, gives up bad settings, and its space is
checked.
"""

import json
import math

import numpy as np
import optuna
import pytest
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

import targetprop as tp
from experiments.searches import FOUR, RATE, SMALL, error, in_state, place, stored
from targetprop.cli import main
from targetprop.experiments import SPACE, OneOf, Range, search, workers


@pytest.fixture
def unbroken(calls):
    """The result of a search in memory, and what it trained."""
    found = search(FOUR, trials=12, together=3, progress=False)
    groups = list(calls)
    calls.clear()
    return found, groups


@pytest.mark.parametrize("kind", ["journal", "database"])
def test_an_interrupted_search_goes_on_where_it_stopped(kind, unbroken, calls, tmp_path):
    expected, groups = unbroken
    for calls.stop in (2, 1):
        with pytest.raises(KeyboardInterrupt):
            search(FOUR, trials=12, together=3, progress=False, **place(kind, tmp_path))
        calls.clear()
    calls.stop = None
    assert search(FOUR, trials=12, together=3, progress=False, **place(kind, tmp_path)) == expected
    assert calls == groups[3:], "the group that was interrupted is run again"
    calls.clear()
    assert search(FOUR, trials=12, together=3, progress=False, **place(kind, tmp_path)) == expected
    assert calls == [], "a search that is done is not run again"


def test_every_trial_remains_with_what_is_known_of_it(unbroken, calls, tmp_path):
    search(FOUR, trials=12, together=3, progress=False, out=tmp_path)
    trials = stored(tmp_path)
    assert [trial.params for trial in trials] == [proposal for group in calls for proposal in group]
    for trial in trials:
        assert trial.state == TrialState.COMPLETE
        assert trial.value == error(trial.params)
        assert trial.user_attrs["errors"] == [None if math.isinf(trial.value) else trial.value] * 2
        assert trial.user_attrs["seconds"] >= 0


class Killed(BaseException):
    """The process ends here, and writes nothing any more."""


@pytest.mark.parametrize("lines", range(4, 108, 13))
def test_a_search_killed_at_any_moment_loses_one_group(lines, unbroken, calls, tmp_path, monkeypatch):
    """The process dies before it writes a line of its journal, whichever that is."""
    append, written = JournalFileBackend.append_logs, 0

    def until_killed(self, logs):
        nonlocal written
        written += 1
        if written > lines:
            raise Killed
        append(self, logs)

    with monkeypatch.context() as patched:
        patched.setattr(JournalFileBackend, "append_logs", until_killed)
        with pytest.raises(Killed):
            search(FOUR, trials=12, together=3, progress=False, out=tmp_path)
    assert not list(tmp_path.glob("*.lock"))
    monkeypatch.setattr(workers.Worker, "is_gone", lambda self, name: True)
    assert search(FOUR, trials=12, together=3, progress=False, out=tmp_path) == unbroken[0]
    assert len(in_state(stored(tmp_path), TrialState.FAIL)) <= 3
    assert len(in_state(stored(tmp_path), TrialState.COMPLETE)) == 12


def test_a_line_cut_by_a_crash_is_forgotten(unbroken, calls, tmp_path):
    calls.stop = 2
    with pytest.raises(KeyboardInterrupt):
        search(FOUR, trials=12, together=3, progress=False, out=tmp_path)
    journal = tmp_path / "dtp.journal"
    journal.write_bytes(journal.read_bytes() + b'{"op_code":4,"wor')
    calls.stop = None
    assert search(FOUR, trials=12, together=3, progress=False, out=tmp_path) == unbroken[0]


def test_a_damaged_line_is_named_and_the_trials_before_it_can_be_kept(unbroken, calls, tmp_path, monkeypatch):
    search(FOUR, trials=12, together=3, progress=False, out=tmp_path)
    journal = tmp_path / "dtp.journal"
    lines = journal.read_text().splitlines(keepends=True)
    where = len(lines) // 2
    for damaged in (lines[where][:9] + "\n", "\0" * 20 + "\n", "{}\n", "[]\n"):
        text = "".join([*lines[:where], damaged, *lines[where + 1 :]])
        journal.write_text(text)
        with pytest.raises(tp.ConfigError, match=rf"dtp\.journal is damaged in line {where + 1} \(.*\): move it away"):
            search(FOUR, trials=12, together=3, progress=False, out=tmp_path)
        assert journal.read_text() == text
    journal.write_text("".join(lines[:where]))
    monkeypatch.setattr(workers.Worker, "is_gone", lambda self, name: True)
    assert search(FOUR, trials=12, together=3, progress=False, out=tmp_path) == unbroken[0]


def test_more_trials_continue_a_finished_search(calls, tmp_path):
    few = search(FOUR, trials=12, together=3, progress=False, out=tmp_path)
    more = search(FOUR, trials=16, together=3, progress=False, out=tmp_path)
    assert more.errors[:12] == few.errors
    assert len(calls) == 6
    assert search(FOUR, trials=12, together=3, progress=False, out=tmp_path) == few


def test_another_search_in_the_same_place_is_refused(calls, tmp_path):
    search(FOUR, trials=2, progress=False, out=tmp_path)
    for other, difference in (
        ({"seeds": (7, 8)}, r"seeds\[0\] was 1000 and is now 7"),
        ({"prune": True}, "prune was False and is now True"),
        ({"space": {**SPACE, RATE: Range(1e-4, 0.1)}}, r"space\.optimizer\.learning_rate\.high was 0.03 and is now 0.1"),
    ):
        with pytest.raises(tp.ConfigError, match=rf"another search named 'dtp on digits' already: .*{difference}"):
            search(FOUR, trials=2, progress=False, out=tmp_path, **other)
    longer = FOUR.replace(schedule=tp.Schedule(2))
    with pytest.raises(tp.ConfigError, match=r"schedule\.epochs was 1 and is now 2"):
        search(longer, trials=2, progress=False, out=tmp_path)
    assert search(longer, trials=2, progress=False, out=tmp_path, name="longer").epochs == 2
    tuned = FOUR.replace(optimizer=tp.Adam(0.5))
    assert search(tuned, trials=2, progress=False, out=tmp_path).trials == 2, "a number that is searched may have changed"


def test_a_study_of_another_program_is_refused():
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage, study_name="dtp on digits").ask()
    with pytest.raises(tp.ConfigError, match="no search of targetprop: use another `name`"):
        search(FOUR, trials=2, storage=storage, progress=False)


def test_settings_of_which_nothing_was_finished_are_replaced(calls, tmp_path):
    calls.stop, calls.failure = 0, tp.ConfigError
    with pytest.raises(tp.ConfigError):
        search(FOUR, trials=2, progress=False, out=tmp_path)
    assert search(FOUR.replace(schedule=tp.Schedule(2)), trials=2, progress=False, out=tmp_path).epochs == 2


def test_settings_above_the_median_are_given_up(tmp_path):
    """Five whole trials first, then five that are compared with the median of these."""
    recipe = SMALL.replace(schedule=tp.Schedule(3))
    arguments = {"trials": 10, "together": 5, "seeds": (7, 8), "progress": False}
    found = search(recipe, prune=True, out=tmp_path, **arguments)
    trials = stored(tmp_path, "bp on digits")
    assert {trial.state for trial in trials[:5]} == {TrialState.COMPLETE}
    pruned = in_state(trials, TrialState.PRUNED)
    assert pruned
    for trial in trials:
        curve = [trial.intermediate_values[epoch] for epoch in sorted(trial.intermediate_values)]
        assert curve == sorted(curve, reverse=True), "the best error until then"
        assert trial.value == curve[-1]
        medians = [np.median([other.intermediate_values[epoch] for other in trials[:5]]) for epoch in (1, 2, 3)]
        bad = [epoch for epoch, value in enumerate(curve, start=1) if value > medians[epoch - 1]]
        if trial in pruned:
            assert bad == [len(curve)], "given up at the first epoch above the median"
        elif trial.number >= 5:
            assert bad == []
    assert found.best == min(in_state(trials, TrialState.COMPLETE), key=lambda trial: trial.value).params
    assert found.errors == tuple(trial.value for trial in trials)
    assert search(recipe, out=tmp_path, name="whole", **arguments).errors[:5] == found.errors[:5]


def test_a_search_that_can_find_nothing_says_why():
    with pytest.raises(tp.ConfigError, match="use 1 or more"):
        search(SMALL, trials=0)
    with pytest.raises(tp.ConfigError, match="`together` is 0"):
        search(SMALL, together=0)
    with pytest.raises(tp.ConfigError, match="give the recipe validation samples"):
        search(SMALL.replace(validation=0), trials=1)
    with pytest.raises(tp.ConfigError, match="All 1 settings diverged"):
        search(SMALL, trials=1, seeds=(0,), space={RATE: Range(1e37, 1e38)}, progress=False)
    with pytest.raises(tp.ConfigError, match="nothing to search: bp has none of stepsize"):
        search(SMALL, trials=1, space={"stepsize": SPACE["stepsize"]})
    with pytest.raises(tp.ConfigError, match=r"`storage` cannot be opened \(.*\): give a URL"):
        search(SMALL, trials=1, storage="no url")


def test_search_stays_in_its_space_and_is_repeatable():
    recipe = tp.recipe("dtp").replace(schedule=tp.Schedule(1), architecture=tp.MLP((6,)))
    first, second = (search(recipe, trials=4, together=2, seeds=(7,), progress=False) for _ in range(2))
    assert first == second
    assert len(first.errors) == 4
    assert first.validation_error == min(first.errors)
    assert set(first.best) == {RATE, "stepsize", "rule.learner.noise.sigma", "feedback_optimizer.learning_rate"}
    assert all(SPACE[name].low <= value <= SPACE[name].high for name, value in first.best.items())


def test_a_space_of_ones_own(calls, tmp_path):
    recipe = SMALL.replace(optimizer=tp.Adam(b1=0.0))
    space = {**SPACE, "optimizer.b1": Range(0, 0.9, log=False), "optimizer.b2": OneOf((0.9, 0.99))}
    found = search(recipe, trials=12, together=4, space=space, out=tmp_path, progress=False)
    assert search(recipe, trials=12, space=space, out=tmp_path, progress=False) == found
    assert list(found.space) == [RATE, "optimizer.b1", "optimizer.b2"]
    tried = [proposal for group in calls for proposal in group]
    assert all(0 <= proposal["optimizer.b1"] <= 0.9 for proposal in tried)
    assert {proposal["optimizer.b2"] for proposal in tried} == {0.9, 0.99}
    assert found.apply(recipe).optimizer == tp.Adam(
        *(found.best[f"optimizer.{name}"] for name in ("learning_rate", "b1", "b2"))
    )


class Counting(tp.SGD):
    """An optimizer with a whole number."""

    count: int = 2


def test_whole_numbers_stay_whole(calls):
    recipe = SMALL.replace(optimizer=Counting(0.01))
    search(recipe, trials=4, space={"optimizer.count": Range(1, 3), RATE: Range(1, 2)}, progress=False)
    for proposal in calls[0]:
        assert isinstance(proposal["optimizer.count"], int)
        assert isinstance(proposal[RATE], float)


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        (
            "optimizer.learning_rat",
            Range(1e-4, 1),
            "no number 'optimizer.learning_rat' to search. It has optimizer.learning_rate",
        ),
        ("momentum", Range(1e-4, 1), "It has stepsize, optimizer.learning_rate, optimizer.b1"),
        ("optimizer", Range(1e-4, 1), "no number 'optimizer' to search"),
        ("rule.mu", Range(0.1, 0.2), "no number 'rule.mu' to search"),
        ("batch_size", Range(8, 64), "'batch_size' cannot be searched: .* may only differ in numbers, not in batch_size"),
        ("optimizer.b1", Range(0.5, 1), "'optimizer.b1' cannot be searched: Adam needs b1 from 0 to below 1, not 1"),
    ],
)
def test_fields_that_cannot_be_searched_are_refused(field, values, message):
    with pytest.raises(tp.ConfigError, match=message):
        search(SMALL, trials=1, space={**SPACE, field: values})


def test_intervals_that_are_none_are_refused():
    for low, high in ((1, 0.1), (0.1, math.inf), (math.nan, 1)):
        with pytest.raises(tp.ConfigError, match="is no interval"):
            Range(low, high)
    with pytest.raises(tp.ConfigError, match="no logarithm"):
        Range(0, 1)
    with pytest.raises(tp.ConfigError, match="at least one number"):
        OneOf(())


def test_the_command_reads_a_space(calls, tmp_path, capfd):
    args = ["search", "bp", "--trials", "3", "--epochs", "1", "--out", str(tmp_path), "--json"]
    space = ["optimizer.learning-rate=1e-3:0.1", "optimizer.b1=0.5:0.9:lin", "optimizer.b2=0.9,0.99"]
    assert main([*args, "--space", *space]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["space"] == {
        RATE: {"low": 1e-3, "high": 0.1, "log": True},
        "optimizer.b1": {"low": 0.5, "high": 0.9, "log": False},
        "optimizer.b2": {"values": [0.9, 0.99]},
    }
    assert json.loads((tmp_path / "bp.json").read_text())["best"] == document["best"]
    for text in ("optimizer.b1", "optimizer.b1=low:high", "optimizer.b1=1:2:3", "optimizer.b1=0.5:lin"):
        assert main([*args, "--space", text]) == 2
        assert f"--space {text}: write FIELD=LOW:HIGH" in capfd.readouterr().err
    assert main([*args, "--space", "optimizer.b3=0.1:0.2"]) == 2
    assert "no number 'optimizer.b3' to search. It has optimizer.b2, optimizer.b1" in capfd.readouterr().err
