"""`targetprop train` as a process of its own: interrupted, killed, resumed."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import targetprop as tp
from targetprop.cli import main
from targetprop.training.checkpoint import CHECKPOINT, read_checkpoint
from targetprop.training.trackers import TRACKERS

EPOCHS = 150
FLAGS = ["--epochs", str(EPOCHS), "--hidden", "8", "--batch-size", "128", "--checkpoint-every", "4"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    assert main(["train", "bp", *FLAGS, "--out", str(folder)]) == 0
    return folder


def start(folder) -> subprocess.Popen:
    command = [sys.executable, "-m", "targetprop", "train", "bp", *FLAGS, "--out", str(folder), "--resume", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def epochs_logged(folder) -> int:
    path = folder / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def wait_for(process, folder, epochs) -> None:
    """Until the run has logged that many epochs, or is over."""
    while process.poll() is None and epochs_logged(folder) < epochs:
        time.sleep(0.002)


def test_a_run_killed_and_interrupted_resumes_to_the_same_numbers(unbroken, tmp_path, assert_same_run):
    chance = random.Random(0)
    for epochs in (1, EPOCHS // 3):  # the first kill comes about the time of the first checkpoint
        process = start(tmp_path)
        wait_for(process, tmp_path, epochs + chance.randrange(10))
        time.sleep(chance.uniform(0, 0.03))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert epochs_logged(tmp_path) < EPOCHS

    process = start(tmp_path)
    wait_for(process, tmp_path, 2 * EPOCHS // 3)
    process.send_signal(signal.SIGINT)
    output, complaint = process.communicate()
    assert process.returncode == 1, complaint
    assert [seed["status"] for seed in json.loads(output)["seeds"]] == ["interrupted"]
    assert len(read_checkpoint(tmp_path / CHECKPOINT).header["records"]) == epochs_logged(tmp_path) < EPOCHS

    assert main(["train", "bp", *FLAGS, "--out", str(tmp_path), "--resume"]) == 0
    assert_same_run(tmp_path, unbroken)


def test_a_run_that_diverges_is_no_success(tmp_path, capsys):
    args = ["train", "bp", *FLAGS, "--optimizer.learning-rate", "1e38", "--out", str(tmp_path), "--json"]
    assert main(args) == 1
    (seed,) = json.loads(capsys.readouterr().out)["seeds"]
    assert seed["status"].startswith("diverged: layer ")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--batch-size", "2000"], "A batch of 2000 is larger than the"),
        (["--validation", "5000"], "--validation is 5000, but there are"),
        (["--epochs", "0"], "needs epochs above 0, not 0"),
        (["--checkpoint-every", "0"], "--checkpoint-every is 0 epochs"),
        (["--seeds", "0"], "give at least one seed"),
        (["--first-seed", "-5"], "-5 is not a seed: use whole numbers from 0 to 4294967295"),
        (["--first-seed", "99999999999"], "99999999999 is not a seed"),
        (["--resume"], "give its folder as --out"),
        (["--overwrite"], "no run to replace: give its folder as --out"),
        (["--checkpoint-every", "2"], "give a folder as --out, or leave out --checkpoint-every"),
        (["--resume", "--overwrite", "--out", "no/run"], "give --resume or --overwrite, not both"),
        (["--trainable", "1", "1"], "--trainable is (1, 1): name each layer once"),
        (["--diagnose", "angle-bp"], "--diagnose needs --diagnose-every"),
        (["--diagnose", "--diagnose-every", "5"], "--diagnose needs at least one name"),
        (["--out", "/dev/null"], "Nothing can be written to /dev/null: /dev/null is not a folder"),
        (["--out", "/dev/null/below"], "Nothing can be written to /dev/null/below: /dev/null is not a folder"),
        (["--out", "long" * 100], "cannot be made (File name too long): use another --out"),
        (["--batch-size", "0"], "Recipe needs batch_size above 0, not 0"),
        (["--hidden", "8", "-3"], "MLP needs hidden above 0, not -3"),
        (["--optimizer.learning-rate", "-1"], "Adam needs learning_rate 0 or above, not -1"),
        (["--stepsize", "nan"], "Recipe needs stepsize above 0, not nan"),
        (["--dataset", "teacher", "--loss", "cross-entropy"], "Cross-entropy needs labels, but teacher has real targets"),
    ],
)
def test_a_users_error_is_one_line(capsys, flags, complaint):
    assert main(["train", "bp", *flags]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert complaint in captured.err


def test_resuming_begins_a_run_where_there_is_no_checkpoint(tmp_path, unbroken, assert_same_run):
    """A script that is started again and again can always pass the flag."""
    for _ in range(2):
        assert main(["train", "bp", *FLAGS, "--out", str(tmp_path / "run"), "--resume"]) == 0
        assert_same_run(tmp_path / "run", unbroken)


def test_resuming_another_configuration_is_a_users_error(unbroken, capsys):
    assert main(["train", "bp", *FLAGS, "--out", str(unbroken), "--resume", "--stepsize", "0.5"]) == 2
    assert "recipe.stepsize was 1.0 and is now 0.5" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[1, 2]", "3", '{"seeds": [0]}', None])
def test_a_damaged_or_lost_configuration_is_written_again_from_the_checkpoint(unbroken, tmp_path, text, assert_same_run):
    folder = Path(shutil.copytree(unbroken, tmp_path / "run"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(text) if text else (folder / "config.json").unlink()
    assert main(["train", "bp", *FLAGS, "--out", str(folder), "--resume"]) == 0
    assert json.loads((folder / "config.json").read_text()) == config
    assert_same_run(folder, unbroken)


@pytest.mark.parametrize("flag", [[], ["--resume"], ["--overwrite"]], ids=["plain", "resume", "overwrite"])
@pytest.mark.parametrize("name", ["metrics.jsonl", "result.json", "config.json", "tensorboard/events.out.tfevents.1"])
def test_files_of_something_else_are_never_replaced(tmp_path, capsys, flag, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("of somebody else")
    assert main(["train", "bp", *FLAGS, "--out", str(tmp_path), *flag]) == 2
    assert f"{path} is not known to be of a run of targetprop" in " ".join(capsys.readouterr().err.split())
    assert path.read_text() == "of somebody else"


def test_the_metrics_go_to_a_tracker(monkeypatch, tmp_path):
    seen = []

    class Noted(tp.Callback):
        def records(self, run, records):
            seen.extend(record["epoch"] for record in records)

    monkeypatch.setitem(TRACKERS, "trackio", Noted)
    assert main(["train", "bp", "--epochs", "2", "--hidden", "4", "--track", "trackio"]) == 0
    assert seen == [1, 2]
