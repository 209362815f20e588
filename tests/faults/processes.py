"""Command lines as processes of their own, and what is wrong with how they ended."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from faults.injection import Fault

PROGRAM = Path(__file__).with_name("injection.py")
LIMIT = 180.0
"""Seconds after which a process hangs. On an idle machine most take 4."""

Finding = tuple[str, str]
"""The kind of a failure, and what was seen."""

TRACEBACK = ("Traceback (most recent call last)", "Exception ignored in", "Fatal Python error", "Error in sys.excepthook")
RAISED = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b.*", re.MULTILINE)
WARNING = re.compile(r"\b[A-Z]\w*Warning:")


@dataclasses.dataclass(frozen=True)
class Done:
    """A process that has ended.

    **Arguments:**

    - `args`: the words after `targetprop`.
    - `status`: the exit status, negative for a signal. `None`: it did not end in time.
    - `out`, `err`: what it wrote.
    - `seconds`: how long it took.
    """

    args: tuple[str, ...]
    status: int | None
    out: str
    err: str
    seconds: float

    @property
    def killed(self) -> bool:
        return self.status is not None and self.status < 0

    @property
    def last_line(self) -> str:
        return next((line for line in reversed(self.err.splitlines()) if line.strip()), "")


def environment(cache: Path, **more: str) -> dict[str, str]:
    """The environment of a process: one cache of compiled programs for all, and no colors."""
    kept = {name: value for name, value in os.environ.items() if name not in ("JAX_DISABLE_MOST_OPTIMIZATIONS", "XLA_FLAGS")}
    paths = [str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return kept | {"TARGETPROP_COMPILE_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(paths), **more}


def start(args: Sequence[str], folder: Path, env: Mapping[str, str], fault: Fault | None = None, **options: Any):
    """Begin `targetprop ARGS ..` in a folder."""
    if fault is None:
        command = [sys.executable, "-m", "targetprop", *args]
    else:
        command = [sys.executable, "-P", str(PROGRAM), json.dumps(dataclasses.asdict(fault)), *args]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | options
    return subprocess.Popen(command, cwd=folder, env=dict(env), text=True, errors="replace", **pipes)


def finish(process: subprocess.Popen, args: Sequence[str], limit: float = LIMIT) -> Done:
    """Wait for a process. One that hangs is killed."""
    began = time.monotonic()
    try:
        out, err = process.communicate(timeout=limit)
        status = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        (out, err), status = process.communicate(), None
    return Done(tuple(args), status, out or "", err or "", time.monotonic() - began)


def run(args: Sequence[str], folder: Path, env: Mapping[str, str], fault: Fault | None = None, **options: Any) -> Done:
    """Run `targetprop ARGS ..` in a folder to its end."""
    return finish(start(args, folder, env, fault, **options), args)


def run_killed_after(seconds: float, args: Sequence[str], folder: Path, env: Mapping[str, str], signal: int) -> Done:
    """Run a command line, and send it a signal after some seconds."""
    process = start(args, folder, env)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal)
    return finish(process, args)


def disturbances(done: Done) -> list[Finding]:
    """What no process may do: end in a traceback, hang, crash, or let a library warn."""
    found: list[Finding] = []
    if done.status is None:
        found.append(("hang", f"it did not end within {LIMIT:.0f} s"))
    if any(mark in done.err for mark in TRACEBACK):
        found.append(("traceback", "; ".join(dict.fromkeys(RAISED.findall(done.err))) or done.last_line))
    elif done.killed and done.status not in (-2, -9, -13, -15):
        found.append(("crash", f"signal {-(done.status or 0)}: {done.last_line}"))
    warned = WARNING.search(done.err)
    if warned and not any(kind == "traceback" for kind, _ in found):
        line = next(line for line in done.err.splitlines() if WARNING.search(line))
        found.append(("warning", line.strip()))
    return found


def check_success(done: Done) -> list[Finding]:
    """A command line that must do all that it was asked for."""
    found = disturbances(done)
    if done.status != 0 and not found:
        found.append(("status", f"it ended with status {done.status}: {done.last_line}"))
    return found


def check_failure(done: Done, *words: str, lines: int = 1) -> list[Finding]:
    """A command line that cannot do what it was asked for: a status that is not 0, and a clear line.

    **Arguments:**

    - `done`: how it ended.
    - `words`: one of these must stand in the message.
    - `lines`: how many lines there may be on standard error.
    """
    found = disturbances(done)
    if found:
        return found
    if done.status == 0:
        found.append(("silent", f"it ended with status 0: {done.last_line or 'nothing on standard error'}"))
    elif done.killed or done.status not in (1, 2):
        found.append(("status", f"it ended with status {done.status}: {done.last_line}"))
    return found + check_message(done, *words, lines=lines)


def check_message(done: Done, *words: str, lines: int = 1) -> list[Finding]:
    """What is wrong with the message on standard error: missing, unclear or too long."""
    said = [line for line in done.err.splitlines() if line.strip()]
    if not said:
        return [("message", "nothing on standard error")]
    if len(said) > lines:
        return [("message", f"{len(said)} lines on standard error; the last is: {said[-1]}")]
    if words and not any(word in done.err for word in words):
        return [("message", f"it does not say {' or '.join(words)}: {said[-1]}")]
    return []
