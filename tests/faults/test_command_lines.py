"""Command lines that Hypothesis makes of the real flags: each is done, or ends in one clear line."""

import importlib
import itertools
import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from faults.command_lines import Line, command_lines
from faults.processes import Finding, environment
from faults.worker import Worker, ended, findings

QUICK, WHOLE = 50, 360
LIMIT, QUICK_LIMIT = 60.0, 20.0
"""Seconds for a command line."""
EVERYTHING = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
STUBBED = {
    "train": ("train",),
    "compare": ("compare", "compare_runs"),
    "search": ("search",),
    "bench": ("measure",),
    "reproduce": ("run_missing", "estimate", "_print"),
}
"""What does the work of each verb. In the quick part it is not done."""


class Accepted(BaseException):
    """A command line would begin its work."""


def refuse(*args: Any, **kwargs: Any) -> None:
    raise Accepted


def run_all(number: int, ask: Callable[[list[str]], dict[str, Any]], begin: Callable, shorten: bool) -> int:
    """Run generated command lines. Each different failure is noted with its shortest command line.

    **Returns:** the number of different command lines.
    """
    seen: set[Line] = set()
    noted: dict[tuple[str, str], Any] = {}

    @settings(
        max_examples=number, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=EVERYTHING,
    )  # fmt: skip
    @given(command_lines())
    def one(line: Line) -> None:
        if line in seen:
            return
        seen.add(line)
        found = findings(ask(list(itertools.chain(*line))))
        new = [finding for finding in found if finding not in noted]
        if shorten and new and new[0][0] not in ("hang", "crash"):
            line = shortest(line, new[0], ask)
        this = begin("command lines", "generated", shlex.join(itertools.chain(*line)))
        this.add(found)
        noted.update((finding, this) for finding in found)

    one()
    return len(seen)


def shortest(line: Line, finding: Finding, ask: Callable) -> Line:
    """The line without the flags that the failure does not need."""
    for words in line[1:]:
        without = tuple(other for other in line if other is not words)
        if finding in findings(ask(list(itertools.chain(*without)))):
            line = without
    return line


def surroundings(folder: Path) -> Path:
    """A new working directory with a file, for paths that lead below it."""
    folder.mkdir(parents=True)
    (folder / "file").write_text("a file of somebody else\n")
    return folder


def test_a_command_line_is_accepted_or_refused_in_one_line(case, monkeypatch, capfd, tmp_path):
    for verb, names in STUBBED.items():
        module = importlib.import_module(f"targetprop.cli.{verb}")
        for name in names:
            monkeypatch.setattr(module, name, refuse)
    monkeypatch.setenv("TARGETPROP_DATA", str(tmp_path))
    monkeypatch.setenv("TARGETPROP_CACHE", str(tmp_path / "cache"))
    numbers = itertools.count()

    def late(*_: Any) -> None:
        raise TimeoutError(f"no end within {QUICK_LIMIT} s")

    before = signal.signal(signal.SIGALRM, late)

    def ask(args: list[str]) -> dict[str, Any]:
        monkeypatch.chdir(surroundings(tmp_path / str(next(numbers))))
        signal.setitimer(signal.ITIMER_REAL, QUICK_LIMIT)
        answer = ended(args)
        signal.setitimer(signal.ITIMER_REAL, 0)
        out, err = capfd.readouterr()
        if answer.get("error", "").startswith("Accepted"):
            answer = {"status": 0}
        return answer | {"out": out, "err": err}

    try:
        assert run_all(QUICK, ask, case, shorten=False) > QUICK / 2
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.faults
def test_300_command_lines_are_done_or_refused_in_one_line(case, cache, tmp_path):
    empty = tmp_path / "nothing"
    empty.mkdir()
    env = environment(cache, TARGETPROP_DATA=str(empty), TARGETPROP_CACHE=str(empty), JAX_DISABLE_MOST_OPTIMIZATIONS="1")
    worker, numbers = Worker(env | {"COLUMNS": "80"}, LIMIT), itertools.count()

    def ask(args: list[str]) -> dict[str, Any]:
        return worker.ask(args, surroundings(tmp_path / str(next(numbers))))

    try:
        assert run_all(WHOLE, ask, case, shorten=True) >= 300
    finally:
        worker.close()
        os.chdir(tmp_path)
