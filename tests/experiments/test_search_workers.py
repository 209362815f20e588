"""The search in several processes: they share its trials, and run those of a killed one again."""

import json
import os
import subprocess
import sys
import threading

import optuna
import pytest
from optuna.trial import TrialState

from experiments.searches import FOUR, RATE, error, in_state, place, stored
from targetprop.experiments import search, tuning, workers


@pytest.mark.parametrize("kind", ["journal", "database"])
def test_two_workers_share_the_trials_and_end_together(kind, tmp_path, monkeypatch):
    """Both take their first trials at the same time, while proposals are still random."""
    begun, taken = threading.Barrier(2), {}

    def errors(self, proposals, watch):
        own = taken.setdefault(threading.get_ident(), [])
        own.extend(proposals)
        if len(own) == len(proposals):
            begun.wait(60)
        return [[error(proposal)] for proposal in proposals]

    monkeypatch.setattr(tuning._Objective, "errors", errors)
    monkeypatch.setattr("targetprop.experiments.study.POLL_SECONDS", 0.01)
    results = []

    def work():
        arguments = {"trials": 11, "together": 2, "seeds": (7,), "progress": False, **place(kind, tmp_path)}
        results.append(search(FOUR, **arguments))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 2
    settings = [tuple(proposal.values()) for own in taken.values() for proposal in own]
    assert len(settings) == len(set(settings)) == 11
    assert results[0] == results[1]
    trials = stored(tmp_path, kind=kind)
    assert len(in_state(trials, TrialState.COMPLETE)) == 11
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.FAIL}, "a surplus trial has failed"


SCRIPT = """
import dataclasses, json, sys
import targetprop as tp
recipe = tp.recipe("bp").replace(architecture=tp.MLP((3,)), schedule=tp.Schedule(1))
found = tp.search(recipe, trials=6, together=1, seeds=(7,), storage=sys.argv[1], progress=False)
print(json.dumps(dataclasses.asdict(found)))
"""


def test_two_processes_train_each_setting_once(tmp_path):
    url = place("database", tmp_path)["storage"]
    processes = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    first, second = (json.loads(output) for output, _ in said)
    assert first == second
    trials = in_state(stored(tmp_path, "bp on digits", "database"), TrialState.COMPLETE)
    assert len({trial.params[RATE] for trial in trials}) == len(trials) == 6
    assert sorted(trial.value for trial in trials) == sorted(first["errors"])


KILLED = """
import sys, time
from targetprop.experiments import tuning
import targetprop as tp

def errors(self, proposals, watch):
    if len(sys.argv) > 2:
        print("training", flush=True)
        time.sleep(600)
    sys.argv.append("again")
    return [[1.0] for proposal in proposals]

tuning._Objective.errors = errors
recipe = tp.recipe("dtp").replace(architecture=tp.MLP((3,)), schedule=tp.Schedule(1))
tp.search(recipe, trials=6, together=2, seeds=(7,), out=sys.argv[1], progress=False)
"""


def test_the_trials_of_a_killed_process_are_run_by_another(calls, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "training\n"
    assert [trial.state for trial in stored(tmp_path)] == [TrialState.COMPLETE] * 2 + [TrialState.RUNNING] * 2
    process.kill()
    process.communicate()
    found = search(FOUR, trials=6, together=2, seeds=(7,), out=tmp_path, progress=False)
    assert found.errors[:2] == (1.0, 1.0)
    trials = stored(tmp_path)
    lost, again = trials[2:4], trials[4:6]
    assert in_state(trials, TrialState.FAIL) == lost
    assert [trial.params for trial in again] == [trial.params for trial in lost]
    assert len(in_state(trials, TrialState.COMPLETE)) == 6


def test_a_process_of_another_machine_is_gone_when_nothing_is_heard_of_it(monkeypatch):
    now = 0.0
    monkeypatch.setattr("targetprop.experiments.workers.time.monotonic", lambda: now)
    study = optuna.create_study()
    worker, other = workers.Worker(study), "elsewhere:1:abc"
    assert not worker.is_gone(other)
    now = workers.GRACE_SECONDS - 1
    assert not worker.is_gone(other)
    study.set_user_attr(f"beats of {other}", 1)
    now += workers.GRACE_SECONDS
    assert not worker.is_gone(other), "it was heard of"
    now += workers.GRACE_SECONDS + 1
    assert worker.is_gone(other)
    here = workers.machine()
    assert not worker.is_gone(f"{here}:{os.getpid()}:abc")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert worker.is_gone(f"{here}:{process.pid}:abc")


def test_a_worker_says_that_it_is_there(monkeypatch):
    monkeypatch.setattr(workers, "BEAT_SECONDS", 0.001)
    study = optuna.create_study()
    worker = workers.Worker(study)
    with worker:
        while study.user_attrs.get(f"beats of {worker.name}", 0) < 3:
            pass
    assert not worker._thread.is_alive()
