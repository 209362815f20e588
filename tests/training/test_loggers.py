import contextlib
import json
import math
import re
import struct
import sys
import types
from collections.abc import Sequence

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

import targetprop as tp
from targetprop.training import loggers
from targetprop.training.callbacks import LiveRun, Resumed
from targetprop.training.loggers import JsonlLogger, ProgressBar, TensorBoardLogger
from targetprop.training.result import SeedResult


def live(seeds: Sequence[int] = (0,), **resumed) -> LiveRun:
    """A run of some seeds, as its loggers see it."""

    def nothing(*_):
        raise AssertionError("a logger only reads")

    recipes, results = [tp.recipe("bp")] * len(seeds), [SeedResult(seed) for seed in seeds]
    return LiveRun(recipes, results, "digits", "%", 10, None, Resumed(**resumed), nothing, nothing, nothing)


def log(logger, run, records) -> None:
    logger.start(run)
    for record in records:
        logger.records(run, [record])
    logger.close()


def write(path, records, keep=0):
    log(JsonlLogger(path), live(records=keep), records)


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
def test_the_kept_lines_stay_and_the_others_go(metrics, keep):
    write(metrics, RECORDS[3:], keep)
    assert read(metrics) == RECORDS[:keep] + RECORDS[3:]


def test_a_half_written_last_line_goes(metrics):
    with open(metrics, "a") as file:
        file.write('{"seed": 0, "ep')
    write(metrics, RECORDS[3:], keep=3)
    assert read(metrics) == RECORDS


def test_a_half_written_line_never_counts_as_kept(metrics):
    metrics.write_text(metrics.read_text()[:-5])
    write(metrics, RECORDS[2:], keep=3)
    assert read(metrics) == RECORDS


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


def starts(folder) -> list[int]:
    """The steps from which on older events are purged."""
    return [event.step for event in events(folder) if event.session_log.status == SessionLog.START]


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
    """The last event before a crash was in the queue of the writer. One after the checkpoint was not."""
    history = [{"seed": 0, "epoch": epoch, "test_error": 10.0 - epoch} for epoch in (1, 2, 3, 4)]
    log(TensorBoardLogger(tmp_path), live(), [*history[:2], {"seed": 0, "epoch": 7, "test_error": 0.0}])
    resumed = live(epoch=3)
    resumed.seeds[0].history.extend(history[:3])
    log(TensorBoardLogger(tmp_path), resumed, history[3:])
    assert scalars(tmp_path / "seed0") == [("test_error", epoch, 10.0 - epoch) for epoch in (1, 2, 3, 4)]


def test_a_resumed_pre_training_purges_its_own_passes_alone(tmp_path):
    log(TensorBoardLogger(tmp_path), live(), pretraining([1, 2, 3]))
    records = [*pretraining([3]), {"seed": 0, "epoch": 1, "test_error": 1.0}]
    log(TensorBoardLogger(tmp_path), live(epoch=0, passes=2), records)
    assert starts(tmp_path / "seed0" / "pretraining") == [1, 3]
    assert scalars(tmp_path / "seed0") == [("test_error", 1, 1.0)]


def test_a_bar_that_is_no_terminal_tells_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(loggers, "SECONDS_PER_LINE", 0.0)
    with ProgressBar("training", total=4) as bar:
        bar.note("test 3.00 %")
        bar.advance(1)
    line = capsys.readouterr().err
    assert line.startswith("training: 25 %")
    assert line.endswith("test 3.00 %\n")
    assert line.count("\n") == 1


def test_a_silent_bar_prints_nothing(capsys):
    with ProgressBar("training", total=4, shown=False) as bar:
        bar.advance(2)
        bar.note("half way")
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


class Kernel:
    """As much of IPython in a notebook as a bar uses. It keeps the displays and their contents."""

    def __init__(self):
        self.shown: list[list[dict]] = []

    def display(self, content, *, raw, display_id):
        assert raw is display_id is True
        self.shown.append([content])
        return types.SimpleNamespace(update=lambda content, *, raw: self.shown[-1].append(content))


@pytest.fixture
def kernel(monkeypatch) -> Kernel:
    found = Kernel()
    module = types.ModuleType("IPython.display")
    module.display = found.display
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(loggers, "SECONDS_PER_DISPLAY", 0.0)
    return found


def text(content: dict) -> str:
    return re.sub("<.*?>", "", content["text/html"])


def test_a_notebook_has_one_live_bar_that_goes(kernel, capsys):
    with ProgressBar("training", total=4) as bar:
        bar.note("compiling")
        for _ in range(4):
            bar.advance(1)
    assert len(kernel.shown) == 1, "one output"
    first, *contents, last = kernel.shown[0]
    assert [text(content).split("%")[0].split()[-1] for content in contents] == ["0", "0", "25", "50", "75", "100"]
    assert "compiling" in text(contents[1])
    assert contents[2]["text/plain"].startswith("training: 25 %")
    assert first == last == {"text/plain": "", "text/html": ""}
    assert capsys.readouterr() == ("", "")


def test_a_bar_in_a_notebook_is_not_drawn_more_often_than_one_can_see(kernel, monkeypatch):
    monkeypatch.setattr(loggers, "SECONDS_PER_DISPLAY", 1e9)
    with ProgressBar("training", total=1000) as bar:
        bar.note("compiling")
        for _ in range(1000):
            bar.advance(1)
    assert len(kernel.shown[0]) == 4  # nothing, the bar, what it does, nothing


def test_a_bar_in_a_notebook_goes_after_an_error(kernel):
    with contextlib.suppress(RuntimeError), ProgressBar("training", total=4):
        raise RuntimeError
    assert kernel.shown[0][-1]["text/html"] == ""


def test_a_silent_bar_shows_nothing_in_a_notebook(kernel):
    with ProgressBar("training", total=4, shown=False) as bar:
        bar.advance(2)
    assert kernel.shown == []


def test_the_title_of_a_bar_is_escaped(kernel):
    with ProgressBar("<b>mine</b>", total=4) as bar:
        bar.advance(1)
    assert "&lt;b&gt;mine&lt;/b&gt;" in kernel.shown[0][1]["text/html"]
