"""The progress bar of a run."""

from collections.abc import Sequence

from .bars import ProgressBar
from .callbacks import Callback, LiveRun


class Progress(Callback):
    """A progress bar with the time left, what the run does, and the best present test error."""

    def __init__(self) -> None:
        self._bar: ProgressBar | None = None
        self._activity, self._error = "", ""

    def start(self, run: LiveRun) -> None:
        bar = ProgressBar(f"{run.rule} on {run.dataset}", run.steps, run.resumed.steps)
        self._bar = bar.__enter__()

    def activity(self, run: LiveRun, text: str) -> None:
        self._activity = text
        self._note()

    def steps(self, run: LiveRun, number: int) -> None:
        if self._bar is not None:
            self._bar.advance(number)

    def records(self, run: LiveRun, records: Sequence[dict]) -> None:
        errors = [record["test_error"] for record in records if "test_error" in record]
        if errors:
            self._error = f"test {min(errors):.2f} {run.unit}"
            self._note()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
        self._bar = None

    def _note(self) -> None:
        if self._bar is not None:
            self._bar.note(", ".join(filter(None, (self._activity, self._error))))
