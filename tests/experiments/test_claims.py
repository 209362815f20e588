"""A process that is killed between taking a trial and writing its name on it."""

import os
import signal
import subprocess
import sys

import optuna
import pytest
from optuna.trial import TrialState

import targetprop as tp
from targetprop.experiments import workers
from targetprop.experiments.study import open_storage

KILLED = """
import os, signal, sys
import targetprop as tp
from optuna.study import Study
ask = Study.ask

def killed(study):
    ask(study)
    os.kill(os.getpid(), signal.SIGKILL)

Study.ask = killed
recipe = tp.recipe("bp").replace(architecture=tp.MLP((3,)), schedule=tp.Schedule(1))
tp.search(recipe, trials=2, seeds=(7,), out=sys.argv[1], progress=False)
"""


def test_its_trial_is_run_again_at_once(tmp_path, monkeypatch):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    recipe = tp.recipe("bp").replace(architecture=tp.MLP((3,)), schedule=tp.Schedule(1))
    monkeypatch.setattr("targetprop.experiments.study.time.sleep", lambda seconds: pytest.fail("it waits"))
    assert len(tp.search(recipe, trials=2, seeds=(7,), out=tmp_path, progress=False).errors) == 2
    (study,) = optuna.get_all_study_summaries(open_storage(None, tmp_path / "bp.journal"))
    trials = optuna.load_study(study_name=study.study_name, storage=open_storage(None, tmp_path / "bp.journal")).trials
    assert [trial.state for trial in trials].count(TrialState.COMPLETE) == 2


def test_a_process_that_is_there_may_have_it():
    study = optuna.create_study()
    one, other = workers.Worker(study), workers.Worker(study)
    with one:
        assert one.is_alone()
        with other:
            assert not one.is_alone()
    study = optuna.create_study()
    study.set_user_attr(f"beats of {workers.machine()}:{gone()}:abc", 3)
    assert workers.Worker(study).is_alone()
    study.set_user_attr(f"beats of elsewhere:{gone()}:abc", 3)
    assert not workers.Worker(study).is_alone()


def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert process.pid != os.getpid()
    return process.pid
