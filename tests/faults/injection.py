"""Faults at chosen operations on files: at the n-th one the process is killed, or the disk is full.

As a program, `python injection.py SPEC ARGS ..` runs the command line `targetprop ARGS ..`. SPEC is
a `Fault` as JSON. In a test, `injected(fault, root)` is a context in which the fault happens.
"""

import builtins
import contextlib
import dataclasses
import errno
import io
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}


@dataclasses.dataclass(frozen=True)
class Fault:
    """What goes wrong, and where.

    **Arguments:**

    - `action`: `kill`, `half` (killed when half of the bytes are written), `term`, `int`, `remove`
      (the folder is removed), `clock` (it is a week behind), `none`, or the name of an error
      number, such as `ENOSPC`.
    - `at`: the number of the operation among those that fit, from 1.
    - `op`: `open`, `write`, `fsync`, `replace`, `unlink`, `mkdir`, `advance` (some steps of the
      training) or `any`.
    - `match`: a part of the path.
    - `lasting`: whether an error occurs at all operations from then on.
    """

    action: str = "none"
    at: int = 1
    op: str = "any"
    match: str = ""
    lasting: bool = True

    def __str__(self) -> str:
        return f"{self.action} at {self.op} {self.match or 'of any file'} number {self.at}"


class Raw(io.FileIO):
    """A file that asks before it writes."""

    before: Any = None

    def write(self, data: Any) -> int:
        self.before("write", self.name, lambda: self.write_half(bytes(data)))
        return super().write(data)

    def write_half(self, data: bytes) -> int:
        return super().write(data[: len(data) // 2])


class Injector:
    """Watches the operations on files below a folder.

    **Arguments:**

    - `fault`: what goes wrong.
    - `root`: the folder.
    """

    def __init__(self, fault: Fault, root: Path):
        self.fault, self.root, self.seen = fault, os.path.realpath(root), 0
        self.trace: list[tuple[str, str]] = []

    def watches(self, path: Any) -> bool:
        if isinstance(path, int) or path is None:
            return False
        return os.path.abspath(os.fsdecode(path)).startswith(self.root + os.sep)

    def __call__(self, op: str, path: Any, half: Any = None) -> None:
        name = os.path.relpath(os.path.abspath(os.fsdecode(path)), self.root)
        self.trace.append((op, name))
        fault = self.fault
        if fault.op not in ("any", op) or fault.match not in name or fault.action in ("none", "clock"):
            return
        self.seen += 1
        if self.seen == fault.at or (fault.lasting and self.seen > fault.at and fault.action.startswith("E")):
            self.happen(name, half)

    def happen(self, name: str, half: Any) -> None:
        action = self.fault.action
        if half is not None and (action == "half" or action in ("ENOSPC", "EDQUOT")):
            half()
        if action == "remove":
            shutil.rmtree(self.root, ignore_errors=True)
        elif action.startswith("E"):
            number = getattr(errno, action)
            raise OSError(number, os.strerror(number), name)
        else:
            os.kill(os.getpid(), SIGNALS.get(action, signal.SIGKILL))


def opener(watch: Injector) -> Any:
    """`open`, with files below the folder watched."""
    plain = io.open

    def opened(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        if not (set(mode) & set("wax+") and watch.watches(file)) or opener is not None:
            return plain(file, mode, buffering, encoding, errors, newline, closefd, opener)
        watch("open", file)
        raw = Raw(os.fsdecode(file), mode.replace("b", "").replace("t", ""))
        raw.before = watch
        if "b" in mode and buffering == 0:
            return raw
        buffer = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffer if "b" in mode else io.TextIOWrapper(buffer, encoding, errors, newline, line_buffering=buffering == 1)

    return opened


def operations(watch: Injector) -> dict[str, Any]:
    """The functions of `os` that are replaced."""
    named = {"replace": "replace", "rename": "replace", "unlink": "unlink", "remove": "unlink", "mkdir": "mkdir"}

    def asks(op: str, function: Any) -> Any:
        def asked(path, *args, **kwargs):
            if watch.watches(path):
                watch(op, path)
            return function(path, *args, **kwargs)

        return asked

    plain_open, plain_fsync = os.open, os.fsync

    def opened(path, flags, *args, **kwargs):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and watch.watches(path):
            watch("open", path)
        return plain_open(path, flags, *args, **kwargs)

    def synced(number):
        path = os.readlink(f"/proc/self/fd/{number if isinstance(number, int) else number.fileno()}")
        if watch.watches(path):
            watch("fsync", path)
        return plain_fsync(number)

    return {name: asks(op, getattr(os, name)) for name, op in named.items()} | {"open": opened, "fsync": synced}


@contextlib.contextmanager
def injected(fault: Fault, root: Path) -> Iterator[Injector]:
    """A context in which the fault happens to files below `root`."""
    watch = Injector(fault, root)
    replaced = [(builtins, "open", opener(watch)), (io, "open", opener(watch))]
    replaced += [(os, name, function) for name, function in operations(watch).items()]
    if fault.action == "clock":
        now = time.time
        replaced.append((time, "time", lambda: now() - 7 * 86400))
    before = [(place, name, getattr(place, name)) for place, name, _ in replaced]
    for place, name, function in replaced:
        setattr(place, name, function)
    try:
        yield watch
    finally:
        for place, name, function in before:
            setattr(place, name, function)


def watch_training(watch: Injector) -> None:
    """Each run of some steps is an operation too. The passes are cut into runs of a few steps."""
    from targetprop.cli.compile_cache import use_compile_cache

    use_compile_cache()
    from targetprop.training import loop
    from targetprop.training.ensemble import Ensemble

    advance = Ensemble.advance
    loop.SECONDS_PER_RUN = 0.02

    def advanced(self, *args):
        watch("advance", os.path.join(watch.root, "steps"))
        return advance(self, *args)

    Ensemble.advance = advanced


def run(spec: str, args: list[str]) -> int:
    """Run a command line with a fault. The folder is the working directory."""
    fault, trace = Fault(**json.loads(spec)), os.environ.pop("FAULTS_TRACE", None)
    with injected(fault, Path.cwd()) as watch:
        if fault.op == "advance" or (trace and args[0] == "train"):
            watch_training(watch)
        from targetprop.cli import main

        status = main(args)
    if trace:
        Path(trace).write_text(json.dumps(watch.trace))
    return status


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1], sys.argv[2:]))
