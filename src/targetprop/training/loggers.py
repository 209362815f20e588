"""Loggers of metrics: a JSONL file that survives a crash, and TensorBoard event files.

Both can write everything again, since the run has all its records. They do so when a run is
resumed, and after an error of the file system.
"""

import contextlib
import json
import logging
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._files import write_whole
from .callbacks import Callback, LiveRun, scalars
from .folder import event_files
from .result import Result, finite_or_none

LOGGER = logging.getLogger("targetprop")
PRETRAINING = "pretraining"


class JsonlLogger(Callback):
    """One JSON object per line. Each line is flushed to disk at once.

    Numbers that are not finite are written as null. A resumed run writes the records of its
    checkpoint again. So its file is the same as that of an uninterrupted run. The log says if
    lines were lost or changed.

    **Arguments:**

    - `path`: the file.
    """

    def __init__(self, path: Path):
        self.path = path
        self._size = -1

    def start(self, run: LiveRun) -> None:
        text = _lines(run.records)
        if text and not self._begins_with(text.encode()):
            LOGGER.warning("%s was changed, or lost lines, since the checkpoint: it is written again from that.", self.path)
        self._write_all(text)

    def _begins_with(self, content: bytes) -> bool:
        try:
            return self.path.read_bytes().startswith(content)
        except OSError:
            return False

    def records(self, run: LiveRun, records: Sequence[dict]) -> None:
        if not self.path.is_file() or self.path.stat().st_size != self._size:
            self._write_all(_lines(run.records))
            return
        with open(self.path, "ab") as file:
            self._size += file.write(_lines(records).encode())
            file.flush()
            os.fsync(file.fileno())

    def end(self, run: LiveRun, result: Result) -> None:
        if not self.path.is_file() or self.path.stat().st_size != self._size:
            self._write_all(_lines(run.records))

    def _write_all(self, text: str) -> None:
        write_whole(self.path, text)
        self._size = len(text.encode())


def _lines(records: Sequence[dict]) -> str:
    return "".join(json.dumps(finite_or_none(record), allow_nan=False) + "\n" for record in records)


class TensorBoardLogger(Callback):
    """TensorBoard event files, one folder per seed. Pretraining has a subfolder `pretraining`.

    The files of an older run are removed. For a resumed run all events are written anew, because
    the last ones before a crash may be missing.

    **Arguments:**

    - `folder`: the folder of the event files.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._files: dict[Path, EventFile] = {}
        self._whole = False

    def start(self, run: LiveRun) -> None:
        self.close()
        for older in event_files(self.folder):
            older.unlink()
        self._whole = True
        for seed in run.seeds:
            self._file(self.folder / f"seed{seed.seed}")
        self._write(run.records)

    def records(self, run: LiveRun, records: Sequence[dict]) -> None:
        if self._whole:
            self._write(records)
        else:
            self.start(run)

    def end(self, run: LiveRun, result: Result) -> None:
        if not self._whole:
            self.start(run)

    def _write(self, records: Sequence[dict]) -> None:
        try:
            for record in records:
                folder, step = self.folder / f"seed{record['seed']}", record.get("pass", record["epoch"])
                file = self._file(folder / PRETRAINING if "pass" in record else folder)
                for name, value in scalars(record).items():
                    file.scalar(name, value, step)
                for text in record.get("warnings", ()):
                    file.text("warnings", text, step)
            for file in self._files.values():
                file.flush()
        except OSError:
            self._whole = False
            raise

    def _file(self, folder: Path) -> "EventFile":
        if folder not in self._files:
            self._files[folder] = EventFile(folder)
        return self._files[folder]

    def close(self) -> None:
        for file in self._files.values():
            with contextlib.suppress(OSError):
                file.close()
        self._files = {}


class EventFile:
    """One event file of TensorBoard, written at once.

    The `SummaryWriter` of tensorboardX writes in a thread. What is in its queue is lost in a
    crash, and an error in the thread stops it for good.

    **Arguments:**

    - `folder`: its folder, which is made.

    **Raises:** `OSError`, as the other methods do, if it cannot be written.
    """

    def __init__(self, folder: Path):
        from tensorboardX.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._file = RecordWriter(str(folder / f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"))
        self._add(file_version="brain.Event:2")

    def scalar(self, name: str, value: float, step: int) -> None:
        """Add a number."""
        from tensorboardX import summary

        self._add(summary=summary.scalar(name, value), step=step)

    def text(self, name: str, text: str, step: int) -> None:
        """Add a text."""
        from tensorboardX import summary

        self._add(summary=summary.text(name, text), step=step)

    def _add(self, **content: Any) -> None:
        from tensorboardX.proto import event_pb2

        proto: Any = event_pb2  # its classes are made at run time
        self._file.write(proto.Event(wall_time=time.time(), **content).SerializeToString())

    def flush(self) -> None:
        """Wait until everything is on the disk."""
        self._file.flush()

    def close(self) -> None:
        """Write what is left, and close the file."""
        self._file.close()
