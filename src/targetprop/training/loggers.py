"""Loggers of metrics: a crash-safe JSONL file, TensorBoard event files, and a progress bar."""

import io
import json
import math
import os
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from .callbacks import Callback, LiveRun, scalars
from .files import write_whole
from .result import finite_or_none

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

PRETRAINING = "pretraining"
SECONDS_PER_LINE, SECONDS_PER_DISPLAY = 60.0, 0.2


class JsonlLogger(Callback):
    """One JSON object per line. Each line is flushed to disk at once.

    Numbers that are not finite are written as null. A resumed run keeps the lines of the records
    up to its checkpoint, and removes the rest, an incomplete last line too. So its file is the
    same as that of an uninterrupted run.

    **Arguments:**

    - `path`: the file.
    """

    def __init__(self, path: Path):
        self.path = path
        self._file: TextIO | None = None

    def start(self, run: LiveRun) -> None:
        lines = self.path.read_text().splitlines(keepends=True) if self.path.exists() else []
        kept = [line for line in lines[: run.resumed.records] if line.endswith("\n")]
        write_whole(self.path, "".join(kept))
        self._file = open(self.path, "a")  # noqa: SIM115 (open as long as the run)

    def records(self, run: LiveRun, records: Sequence[dict]) -> None:
        file = self._file
        if file is None:
            raise ValueError("The log is closed: `start` opens it.")
        for record in records:
            file.write(json.dumps(finite_or_none(record), allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


class TensorBoardLogger(Callback):
    """TensorBoard event files, one folder per seed. Pretraining has a subfolder `pretraining`.

    The files of an older run are removed. For a resumed run the events are written anew from the
    metrics of the checkpoint, because the last events before a crash may be missing. Those of
    pretraining are kept up to the last logged pass, and later ones are purged.

    **Arguments:**

    - `folder`: the folder of the event files.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._passes = 0
        self._writers: dict[int, SummaryWriter] = {}
        self._pretraining: dict[int, SummaryWriter] = {}

    def start(self, run: LiveRun) -> None:
        self._passes = run.resumed.passes
        for older in self.folder.rglob("events.out.tfevents.*"):
            if run.resumed.epoch is None or older.parent.name != PRETRAINING:
                older.unlink()
        self._writers = {seed.seed: _writer(self.folder / f"seed{seed.seed}", 0) for seed in run.seeds}
        for seed in run.seeds:
            self.records(run, seed.history)

    def records(self, run: LiveRun, records: Sequence[dict]) -> None:
        for record in records:
            writer, step = self._writer_and_step(record)
            for name, value in scalars(record).items():
                writer.add_scalar(name, value, step)
            for text in record.get("warnings", ()):
                writer.add_text("warnings", text, step)
            writer.flush()

    def _writer_and_step(self, record: dict) -> tuple["SummaryWriter", int]:
        seed = record["seed"]
        if "pass" not in record:
            return self._writers[seed], record["epoch"]
        if seed not in self._pretraining:
            self._pretraining[seed] = _writer(self.folder / f"seed{seed}" / PRETRAINING, self._passes)
        return self._pretraining[seed], record["pass"]

    def close(self) -> None:
        for writer in (*self._writers.values(), *self._pretraining.values()):
            writer.close()
        self._writers, self._pretraining = {}, {}


def _writer(folder: Path, last: int) -> "SummaryWriter":
    """A writer of events after step `last`, with its own file.

    The library names files by the second only, so a suffix is added.
    """
    from tensorboardX import SummaryWriter

    older = sum(1 for _ in folder.glob("events.*"))
    return SummaryWriter(str(folder), purge_step=last + 1, filename_suffix=f".{older}")


class NotebookDisplay:
    """One output of a notebook cell, whose content is replaced.

    It uses IPython, which every notebook has, and not ipywidgets. It is written by the thread that
    trains. So no thread of a bar prints into the output of another cell.
    """

    def __init__(self):
        from IPython.display import display  # pyright: ignore[reportMissingImports]

        self._handle = display({"text/plain": "", "text/html": ""}, raw=True, display_id=True)

    def show(self, html: str, text: str) -> None:
        """Replace the content.

        **Arguments:**

        - `html`: the new content.
        - `text`: the same for a front end without HTML.
        """
        self._handle.update({"text/plain": text, "text/html": html}, raw=True)

    def clear(self) -> None:
        """Leave an empty output."""
        self._handle.update({"text/plain": "", "text/html": ""}, raw=True)


class ProgressBar:
    """A progress bar on standard error, with the time left.

    In a notebook it is one output below the cell, which is empty in the end. If standard error is
    neither a terminal nor a notebook, a line is printed every minute. If `shown` is false, nothing
    is printed.
    """

    def __init__(self, title: str, total: int, done: int = 0, shown: bool = True):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        console = Console(stderr=True)
        lines = shown and not console.is_terminal and not console.is_jupyter
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not (shown and console.is_terminal),
            transient=True,
        )
        self._task = self._progress.add_task(title, total=total, completed=done, note="")
        self._log = console.file if lines else None
        self._notebook = NotebookDisplay() if shown and console.is_jupyter else None
        self._last_line, self._last_display = time.monotonic(), -math.inf

    def __enter__(self) -> "ProgressBar":
        self._progress.start()
        if self._notebook is not None:
            self._notebook.show(self._html(), self._line())
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()
        if self._notebook is not None:
            self._notebook.clear()

    def advance(self, steps: int) -> None:
        """Report that some steps are done."""
        self._progress.advance(self._task, steps)
        self._display()
        if self._log is not None and time.monotonic() - self._last_line >= SECONDS_PER_LINE:
            self._last_line = time.monotonic()
            self._log.write(self._line() + "\n")
            self._log.flush()

    def _line(self) -> str:
        """The state in one line of text."""
        task = self._progress.tasks[0]
        left = "" if task.time_remaining is None else f", {timedelta(seconds=round(task.time_remaining))} left"
        return f"{task.description}: {task.percentage:.0f} %{left} {task.fields['note']}".rstrip()

    def _html(self) -> str:
        """The bar as rich draws it, in HTML."""
        from rich.console import Console

        canvas = Console(file=io.StringIO(), record=True, width=110, force_jupyter=False)
        canvas.print(self._progress.get_renderable())
        return canvas.export_html(inline_styles=True, code_format='<pre style="margin: 0">{code}</pre>')

    def note(self, text: str) -> None:
        """Show a short text beside the bar."""
        self._progress.update(self._task, note=text)
        self._display()

    def _display(self) -> None:
        if self._notebook is not None and time.monotonic() - self._last_display >= SECONDS_PER_DISPLAY:
            self._last_display = time.monotonic()
            self._notebook.show(self._html(), self._line())
