"""The progress bar, in a terminal and in a notebook."""

import contextlib
import io
import math
import time
from datetime import timedelta
from types import TracebackType

SECONDS_PER_LINE, SECONDS_PER_DISPLAY = 60.0, 0.2


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
            with contextlib.suppress(OSError):  # closed or full: what a bar says can be lost
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
