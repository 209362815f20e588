"""Files that cannot be written for a while, or at all: the training goes on, and nothing else is lost."""

import errno
import os
import shutil

import pytest

import targetprop as tp
from targetprop import _files as files
from targetprop.training.saving import UnsavedError

SEEDS = [0, 1, 2]


def go(recipe, data, folder, **options):
    return tp.train(recipe, data, seeds=SEEDS, out=folder, progress=False, **options)


@pytest.fixture(scope="module")
def unbroken(dtp, toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    assert go(dtp, toy, folder).finished
    return folder


class Disk(tp.Callback):
    """A disk that is full from the pass `since` on, and has room again from the pass `until` on."""

    def __init__(self, monkeypatch, since: int, until: int, number: int = errno.ENOSPC):
        self.passes, self.since, self.until, self.full = 0, since, until, False
        fsync = os.fsync

        def write(file):
            if self.full:
                raise OSError(number, os.strerror(number))
            fsync(file)

        monkeypatch.setattr(files.os, "fsync", write)

    def end_of_pass(self, run, at):
        self.passes += 1
        self.full = self.since <= self.passes < self.until

    def close(self):
        self.full = False


# 4 passes: pretraining, joint, feedback, joint
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("since", [1, 2, 3])
def test_a_disk_that_was_full_leaves_no_trace(
    unbroken, dtp, toy, tmp_path, monkeypatch, caplog, since, number, assert_same_run
):
    go(dtp, toy, tmp_path, callbacks=[Disk(monkeypatch, since, 4, number)])
    assert_same_run(tmp_path, unbroken)
    told = [text for text in caplog.messages if os.strerror(number) in text]
    assert 1 <= len(told) <= 3  # metrics, events, checkpoint: once each
    assert all("the run goes on, and tries again later" in text for text in told)


@pytest.mark.parametrize(
    ("since", "safe"),
    [(1, "checkpoint of epoch 0 is safe"), (2, "checkpoint of epoch 0 is safe"), (4, "of epoch 2 is safe")],
)
def test_a_disk_that_stays_full_is_an_error_with_the_result_and_the_way_on(
    unbroken, dtp, toy, tmp_path, monkeypatch, since, safe, assert_same_run
):
    disk = Disk(monkeypatch, since, 99)
    with pytest.raises(
        UnsavedError, match=r"The run ended, but .*could not be written \(No space left on device\)"
    ) as caught:
        go(dtp, toy, tmp_path, callbacks=[disk])
    assert safe in str(caught.value)
    assert "go on from it with `resume`" in str(caught.value)
    assert caught.value.result.finished
    assert caught.value.result.seeds == go(dtp, toy, tmp_path, resume=True).seeds
    assert_same_run(tmp_path, unbroken)


class Removal(tp.Callback):
    """The folder of the run is removed after a pass."""

    def __init__(self, after: int):
        self.after = after

    def end_of_pass(self, run, at):
        self.after -= 1
        if self.after == 0:
            shutil.rmtree(run.folder)


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_folder_that_is_removed_is_made_again(unbroken, dtp, toy, tmp_path, after, assert_same_run):
    go(dtp, toy, tmp_path / "run", callbacks=[Removal(after)])
    assert_same_run(tmp_path / "run", unbroken)
    assert go(dtp, toy, tmp_path / "run", resume=True).finished
    assert (tmp_path / "run" / "config.json").exists()


def test_nothing_is_begun_if_the_configuration_cannot_be_written(dtp, toy, tmp_path, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(tp.UserError, match=r"Nothing can be written to .* \(No space left on device\): use another `out`"):
        go(dtp, toy, tmp_path)


def test_events_are_no_reason_to_fail(unbroken, dtp, toy, tmp_path, caplog, assert_same_run):
    (tmp_path / "tensorboard").write_text("no folder")
    assert go(dtp, toy, tmp_path).finished
    assert_same_run(tmp_path, unbroken)
    (told,) = caplog.messages
    assert "the event files of TensorBoard cannot be written" in told
