"""A run that was stopped and taken up again has the numbers of one that never stopped."""

import contextlib
import json
import shutil

import pytest

import targetprop as tp
from targetprop.training import loop
from targetprop.training.checkpoint import (
    CHECKPOINT,
    CheckpointError,
    checkpoint_files,
    previous,
    read_checkpoint,
    save_checkpoint,
)

SEEDS = [0, 1, 2]


def go(recipe, data, folder, **options):
    return tp.train(recipe, data, seeds=SEEDS, out=folder, progress=False, **options)


@pytest.fixture(scope="module")
def unbroken(dtp, toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    assert go(dtp, toy, folder).finished
    return folder


# 4 passes (pre-training, joint, feedback, joint) of 3 runs of steps each
@pytest.mark.parametrize("number", [1, 3, 5, 6, 8, 11])
def test_an_interrupted_run_resumes_to_the_same_numbers(unbroken, dtp, toy, tmp_path, interrupt_at, number, assert_same_run):
    interrupt_at(number)
    result = go(dtp, toy, tmp_path)
    assert result.interrupted
    assert {seed.status for seed in result.seeds} == {"interrupted"}
    finished = go(dtp, toy, tmp_path, resume=True)
    assert finished.finished
    assert_same_run(tmp_path, unbroken)


def test_a_run_interrupted_again_and_again(unbroken, dtp, toy, tmp_path, interrupt_at, assert_same_run):
    starts, interrupted = 0, True
    while interrupted:
        interrupt_at(1)  # at each start one run of steps, then an end
        interrupted = go(dtp, toy, tmp_path, resume=True).interrupted
        starts += 1
    assert starts > 4
    assert_same_run(tmp_path, unbroken)


def test_an_interruption_in_the_last_step_leaves_nothing_to_do(unbroken, dtp, toy, tmp_path, interrupt_at, assert_same_run):
    interrupt_at(12)
    assert go(dtp, toy, tmp_path).finished
    assert_same_run(tmp_path, unbroken)


def test_resuming_a_finished_run_changes_nothing(unbroken, dtp, toy, tmp_path, assert_same_run):
    first = go(dtp, toy, tmp_path)
    again = go(dtp, toy, tmp_path, resume=True)
    assert again == first
    assert_same_run(tmp_path, unbroken)


def test_a_crash_between_checkpoints_loses_no_number(unbroken, dtp, toy, tmp_path, monkeypatch, assert_same_run):
    """An epoch's lines are written but its checkpoint is not."""

    def crash(path, tree, header):
        if header["records"] and header["records"][-1]["epoch"] == 2:
            raise KeyboardInterrupt
        save_checkpoint(path, tree, header)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", crash)
        with pytest.raises(KeyboardInterrupt):
            go(dtp, toy, tmp_path)
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"seed": 0, "epo')
    assert go(dtp, toy, tmp_path, resume=True).finished
    assert_same_run(tmp_path, unbroken)


def test_a_run_that_never_reached_a_checkpoint_starts_anew(unbroken, dtp, toy, tmp_path, monkeypatch, assert_same_run):
    go(dtp.replace(stepsize=0.5), toy, tmp_path)  # an older run of the same shape in the same folder

    def crash(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", crash)
        with pytest.raises(KeyboardInterrupt):
            go(dtp, toy, tmp_path, overwrite=True)
    assert go(dtp, toy, tmp_path, resume=True).finished
    assert_same_run(tmp_path, unbroken)


def test_resume_in_an_empty_folder_starts(unbroken, dtp, toy, tmp_path, assert_same_run):
    assert go(dtp, toy, tmp_path / "new", resume=True).finished
    assert_same_run(tmp_path / "new", unbroken)


def test_rarer_checkpoints_give_the_same_numbers(unbroken, dtp, toy, tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(loop, "save_checkpoint", lambda path, tree, header: saved.append(header["pass"]))
    go(dtp, toy, tmp_path, checkpoint_every=2)
    assert saved == [0, 1, 4, 4]  # the start, the pretraining, epoch 2, the end
    assert (tmp_path / "metrics.jsonl").read_text() == (unbroken / "metrics.jsonl").read_text()


def test_more_epochs_go_on_to_the_numbers_of_a_longer_run(dtp, toy, tmp_path, assert_same_run):
    longer = dtp.replace(schedule=tp.Schedule(4, 1, 1))
    go(longer, toy, tmp_path / "at once")
    go(dtp, toy, tmp_path / "in two parts")
    assert go(longer, toy, tmp_path / "in two parts", resume=True).finished
    assert_same_run(tmp_path / "at once", tmp_path / "in two parts")


def test_an_interrupted_extension_is_not_finished(dtp, toy, tmp_path, interrupt_at):
    go(dtp, toy, tmp_path)
    interrupt_at(1)
    assert go(dtp.replace(schedule=tp.Schedule(4, 1, 1)), toy, tmp_path, resume=True).interrupted


def test_other_settings_are_refused_and_nothing_is_touched(unbroken, dtp, toy):
    before = {path: path.read_bytes() for path in unbroken.iterdir() if path.is_file()}
    with pytest.raises(ValueError, match=r"Cannot resume in .*recipe\.stepsize was 1\.0 and is now 0\.25"):
        go(dtp.replace(stepsize=0.25), toy, unbroken, resume=True)
    assert {path: path.read_bytes() for path in before} == before


def test_a_damaged_checkpoint_costs_an_epoch_and_no_number(unbroken, dtp, toy, tmp_path, assert_same_run):
    """The one before it is from the end of the last epoch. Without it, there is nothing to go on from."""
    go(dtp, toy, tmp_path)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-100])
    assert go(dtp, toy, tmp_path, resume=True).finished
    assert_same_run(tmp_path, unbroken)
    for file in (path, previous(path)):
        file.write_bytes(file.read_bytes()[:-100])
    before = (tmp_path / "metrics.jsonl").read_text()
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors is damaged.*Begin the run again with `overwrite`"):
        go(dtp, toy, tmp_path, resume=True)
    assert (tmp_path / "metrics.jsonl").read_text() == before


def test_results_without_their_checkpoint_are_not_replaced(dtp, toy, tmp_path):
    go(dtp, toy, tmp_path)
    for file in checkpoint_files(tmp_path):
        file.unlink()
    before = (tmp_path / "metrics.jsonl").read_text()
    with pytest.raises(CheckpointError, match=r"has results, but no checkpoint.*`overwrite`"):
        go(dtp, toy, tmp_path, resume=True)
    assert (tmp_path / "metrics.jsonl").read_text() == before


def test_the_checkpoint_and_not_the_configuration_says_which_run_it_is(dtp, toy, tmp_path):
    """A checkpoint of other settings beside the right configuration, and without any."""
    for name, recipe in (("one", dtp), ("other", dtp.replace(stepsize=0.25))):
        go(recipe, toy, tmp_path / name)
    shutil.copy(tmp_path / "other" / CHECKPOINT, tmp_path / "one" / CHECKPOINT)
    (tmp_path / "other" / "config.json").unlink()
    for name in ("one", "other"):
        with pytest.raises(tp.ConfigError, match=r"recipe\.stepsize was 0\.25 and is now 1\.0"):
            go(dtp, toy, tmp_path / name, resume=True)
    with pytest.raises(tp.ConfigError, match=r"seeds\[0\] was 0 and is now 5"):
        tp.train(dtp.replace(stepsize=0.25), toy, seeds=[5, 6, 7], out=tmp_path / "other", resume=True, progress=False)


@pytest.mark.parametrize(
    "field",
    ["identity", "origins", "pass", "step", "midway", "measured", "seconds", "statuses", "records", "best", "best_epochs"],
)
def test_no_field_of_a_checkpoint_ends_in_a_traceback(dtp, toy, tmp_path, field):
    go(dtp, toy, tmp_path)
    found = read_checkpoint(tmp_path / CHECKPOINT)
    for value in (None, "text", [1], {"a": 1}, -1, 10**9, ...):
        header = {name: entry for name, entry in found.header.items() if name != field} | (
            {} if value is ... else {field: value}
        )
        save_checkpoint(tmp_path / CHECKPOINT, list(found.arrays), header)
        with contextlib.suppress(tp.UserError):  # a value may fit by chance
            go(dtp, toy, tmp_path, resume=True)
        save_checkpoint(tmp_path / CHECKPOINT, list(found.arrays), header)
        with contextlib.suppress(tp.UserError):
            tp.load_run(tmp_path)


def test_tensorboard_goes_on_after_the_checkpoint(unbroken, dtp, toy, tmp_path, interrupt_at):
    interrupt_at(11)
    go(dtp, toy, tmp_path)
    for file in (tmp_path / "tensorboard" / "seed1").glob("events.*"):
        file.unlink()  # what was in the queue of the writer when the process was killed
    go(dtp, toy, tmp_path, resume=True)
    counts = []
    for folder in (tmp_path, unbroken):
        (file,) = (folder / "tensorboard" / "seed1").glob("events.*")
        counts.append(file.read_bytes().count(b"validation_error"))
    assert counts == [2, 2]


def test_the_time_of_an_epoch_counts_both_parts(dtp, toy, tmp_path, interrupt_at):
    interrupt_at(11)
    first = go(dtp, toy, tmp_path)
    spent = read_checkpoint(tmp_path / CHECKPOINT).header["seconds"]
    second = go(dtp, toy, tmp_path, resume=True)
    assert first.seconds_per_epoch == pytest.approx(spent / 1 / 3)
    assert second.seconds_per_epoch > spent / 2 / 3


def test_result_is_json_without_nan(unbroken):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    json.loads((unbroken / "result.json").read_text(), parse_constant=refuse)
