import errno
import json
import math
import os
import struct
from collections.abc import Sequence

import pytest
from tensorboardX.proto.event_pb2 import Event

import targetprop as tp
from targetprop.training.callbacks import LiveRun, Resumed
from targetprop.training.loggers import JsonlLogger, TensorBoardLogger
from targetprop.training.result import SeedResult


def live(seeds: Sequence[int] = (0,), before: Sequence[dict] = ()) -> LiveRun:
    """A run of some seeds that has some records, as its loggers see it."""

    def nothing(*_):
        raise AssertionError("a logger only reads")

    recipes, results = [tp.recipe("bp")] * len(seeds), [SeedResult(seed) for seed in seeds]
    resumed = Resumed(records=len(before))
    return LiveRun(recipes, results, list(before), "digits", "%", 10, None, resumed, nothing, nothing, nothing)


def log(logger, run, records) -> None:
    logger.start(run)
    for record in records:
        run.records.append(record)
        logger.records(run, [record])
    logger.close()


def write(path, records, before=()):
    log(JsonlLogger(path), live(before=before), records)


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


RECORDS = [{"seed": 0, "epoch": epoch, "test_error": 1 / 3 + epoch} for epoch in range(4)]


@pytest.fixture
def metrics(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, RECORDS[:3])
    return path


def test_a_line_for_each_record(metrics):
    assert metrics.read_text().endswith("\n")
    assert read(metrics) == RECORDS[:3]


def test_a_record_is_on_disk_before_the_next(tmp_path):
    logger, run = JsonlLogger(tmp_path / "metrics.jsonl"), live()
    logger.start(run)
    for n, record in enumerate(RECORDS, start=1):
        logger.records(run, [record])
        assert read(tmp_path / "metrics.jsonl") == RECORDS[:n]
    logger.close()


@pytest.mark.parametrize("keep", [0, 1, 2, 3])
def test_the_lines_of_the_checkpoint_stay_and_the_others_go(metrics, keep, caplog):
    write(metrics, RECORDS[3:], RECORDS[:keep])
    assert read(metrics) == RECORDS[:keep] + RECORDS[3:]
    assert caplog.messages == []


def test_a_half_written_last_line_goes(metrics, caplog):
    with open(metrics, "a") as file:
        file.write('{"seed": 0, "ep')
    write(metrics, RECORDS[3:], RECORDS[:3])
    assert read(metrics) == RECORDS
    assert caplog.messages == []


DAMAGE = {
    "half a line": lambda content: content[:-5],
    "lines lost": lambda content: content.split(b"\n", 1)[1],
    "a number edited": lambda content: content.replace(b"1.333", b"0.333"),
    "binary": lambda content: bytes(range(256)),
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_lost_or_changed_lines_are_told_and_restored(metrics, damage, caplog):
    metrics.write_bytes(damage(metrics.read_bytes()))
    write(metrics, RECORDS[3:], RECORDS[:3])
    assert read(metrics) == RECORDS
    (message,) = caplog.messages
    assert "metrics.jsonl was changed, or lost lines, since the checkpoint" in message


@pytest.mark.parametrize("harm", ["removed", "folder removed", "torn"])
def test_a_file_that_was_harmed_during_the_run_is_whole_at_the_end(tmp_path, harm):
    path = tmp_path / "run" / "metrics.jsonl"
    logger, run = JsonlLogger(path), live()
    logger.start(run)
    for i, record in enumerate(RECORDS):
        if i == 2:
            path.write_bytes(path.read_bytes()[:-3]) if harm == "torn" else path.unlink()
        if harm == "folder removed" and i == 2:
            path.parent.rmdir()
        run.records.append(record)
        logger.records(run, [record])
    assert read(path) == RECORDS


def test_numbers_that_are_not_finite_are_null(tmp_path):
    write(tmp_path / "metrics.jsonl", [{"a": math.inf, "b": [math.nan, 1.0], "c": None}])
    assert (tmp_path / "metrics.jsonl").read_text() == '{"a": null, "b": [null, 1.0], "c": null}\n'


def events(folder) -> list[Event]:
    """All events of a folder's files: each is framed by its length, a checksum of that, and a
    checksum of itself.
    """
    found = []
    for path in sorted(folder.glob("events.*")):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack_from("<Q", content)
            found.append(Event.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return found


def scalars(folder) -> list[tuple[str, int, float]]:
    return [(value.tag, event.step, value.simple_value) for event in events(folder) for value in event.summary.value]


def test_tensorboard_files(tmp_path):
    records = [
        {"seed": 0, "epoch": 1, "test_error": 2.5, "validation_error": None, "feedback_loss": [0.5, 0.25]},
        {"seed": 7, "epoch": 1, "test_error": 3.5, "validation_error": 1.5, "feedback_loss": None},
    ]
    log(TensorBoardLogger(tmp_path), live([0, 7]), records)
    assert scalars(tmp_path / "seed0") == [("test_error", 1, 2.5), ("feedback_loss/1", 1, 0.5), ("feedback_loss/2", 1, 0.25)]
    assert scalars(tmp_path / "seed7") == [("test_error", 1, 3.5), ("validation_error", 1, 1.5)]


def pretraining(passes: Sequence[int]) -> list[dict]:
    return [{"seed": 0, "epoch": 0, "feedback_loss": [0.5 / index], "pass": index} for index in passes]


def test_tensorboard_shows_pre_training_pass_by_pass(tmp_path):
    log(TensorBoardLogger(tmp_path), live(), pretraining([1, 2]))
    assert scalars(tmp_path / "seed0" / "pretraining") == [("feedback_loss/1", 1, 0.5), ("feedback_loss/1", 2, 0.25)]
    assert scalars(tmp_path / "seed0") == []


def test_a_new_run_removes_all_older_events(tmp_path):
    for epoch in (1, 2):
        before = pretraining([1]) if epoch == 1 else []
        log(TensorBoardLogger(tmp_path), live(), [*before, {"seed": 0, "epoch": epoch, "test_error": 1.0}])
    assert scalars(tmp_path / "seed0") == [("test_error", 2, 1.0)]
    assert scalars(tmp_path / "seed0" / "pretraining") == []


def test_a_resumed_run_writes_all_events_anew(tmp_path):
    """The last event before a crash may be missing. One after the checkpoint is there. The clock
    may have gone back."""
    history = [*pretraining([1, 2]), *({"seed": 0, "epoch": epoch, "test_error": 10.0 - epoch} for epoch in (1, 2, 3))]
    log(TensorBoardLogger(tmp_path), live(), [*history[:3], {"seed": 0, "epoch": 7, "test_error": 0.0}])
    for path in tmp_path.rglob("events.*"):
        path.rename(path.with_name("events.out.tfevents.9999999999.later"))
    log(TensorBoardLogger(tmp_path), live(before=history[:4]), history[4:])
    assert scalars(tmp_path / "seed0") == [("test_error", epoch, 10.0 - epoch) for epoch in (1, 2, 3)]
    assert scalars(tmp_path / "seed0" / "pretraining") == [("feedback_loss/1", 1, 0.5), ("feedback_loss/1", 2, 0.25)]


def test_an_event_is_on_disk_before_the_next(tmp_path):
    logger, run = TensorBoardLogger(tmp_path), live()
    logger.start(run)
    for n, record in enumerate(RECORDS, start=1):
        logger.records(run, [record])
        assert len(scalars(tmp_path / "seed0")) == n
    logger.close()


def test_events_that_could_not_be_written_are_written_later(tmp_path, monkeypatch):
    logger, run = TensorBoardLogger(tmp_path), live()
    logger.start(run)
    for i, record in enumerate(RECORDS):
        run.records.append(record)
        with monkeypatch.context() as patch:
            if i in (1, 2):
                patch.setattr("tensorboardX.record_writer.os.fsync", full)
                with pytest.raises(OSError, match="No space left"):
                    logger.records(run, [record])
            else:
                logger.records(run, [record])
    logger.close()
    assert [step for _, step, _ in scalars(tmp_path / "seed0")] == [0, 1, 2, 3]


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
