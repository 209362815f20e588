"""Callbacks that write the files of a run: checkpoints, the result and the trained networks."""

import json
from pathlib import Path

from .callbacks import Callback, LiveRun
from .files import write_whole
from .models import save_models
from .result import Result, finite_or_none

RESULT = "result.json"


class Checkpoints(Callback):
    """A checkpoint after some epochs, at an interruption, and at the end.

    **Arguments:**

    - `path`: the file.
    - `every`: the number of epochs between checkpoints.
    """

    def __init__(self, path: Path, every: int = 1):
        self.path, self.every = path, every

    def epoch(self, run: LiveRun, epoch: int) -> None:
        if epoch % self.every == 0:
            run.save(self.path)

    def end(self, run: LiveRun, result: Result) -> None:
        run.save(self.path)


class ResultFiles(Callback):
    """`result.json`, and the trained networks of a run that was not interrupted.

    **Arguments:**

    - `folder`: the folder of the run.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def end(self, run: LiveRun, result: Result) -> None:
        document = finite_or_none(result.to_json())
        write_whole(self.folder / RESULT, json.dumps(document, indent=1, allow_nan=False) + "\n")
        if not result.interrupted:
            save_models(self.folder, result)
