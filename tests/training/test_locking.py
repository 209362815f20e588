"""Two processes and one folder."""

import subprocess
import sys

import pytest

import targetprop as tp

HOLD = """
import sys, time, pathlib
from targetprop.training.locking import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_the_second_of_two_processes_gets_one_clear_line_and_a_killed_one_leaves_no_lock(bp, toy, tmp_path, holder):
    recipe = bp.replace(schedule=tp.Schedule(1))
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(tp.ConfigError, match=r"Another process is writing the run in .*`out`"):
            tp.train(recipe, toy, out=tmp_path, progress=False, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["run.lock"]
    holder.kill()
    holder.wait()
    assert tp.train(recipe, toy, out=tmp_path, progress=False).finished


def test_a_run_that_ended_meanwhile_is_not_replaced(bp, toy, tmp_path, monkeypatch):
    """Another process ends a run between the first check of the folder and the lock."""
    recipe = bp.replace(schedule=tp.Schedule(1))
    tp.train(recipe, toy, out=tmp_path, progress=False)
    before = (tmp_path / "result.json").read_bytes(), (tmp_path / "checkpoint.safetensors").stat().st_mtime_ns
    checks = iter([lambda *_: None, tp.training.run.check_run_folder])
    monkeypatch.setattr("targetprop.training.run.check_run_folder", lambda *args: next(checks)(*args))
    with pytest.raises(tp.ConfigError, match="There is a run in"):
        tp.train(recipe, toy, out=tmp_path, progress=False)
    assert ((tmp_path / "result.json").read_bytes(), (tmp_path / "checkpoint.safetensors").stat().st_mtime_ns) == before
