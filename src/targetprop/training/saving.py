"""Callbacks that write the files of a run: checkpoints, the result and the trained networks.

A file that cannot be written, for example because the disk is full, does not end the training.
"""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

from .._files import write_whole
from ..errors import UserError
from .callbacks import Callback, LiveRun
from .checkpoint import CHECKPOINT, CheckpointError, read_checkpoint
from .configuration import CONFIG, Provenance, write_config
from .folder import RESULT
from .models import save_models
from .result import Result, finite_or_none
from .schedule import Pass

LOGGER = logging.getLogger("targetprop")


class Checkpoints(Callback):
    """A checkpoint at the start, after some epochs, at an interruption, and at the end.

    During the pretraining its passes count as epochs do later.

    **Arguments:**

    - `path`: the file.
    - `every`: the number of epochs between checkpoints.
    """

    def __init__(self, path: Path, every: int = 1):
        self.path, self.every = path, every

    def start(self, run: LiveRun) -> None:
        if run.resumed.steps == 0:
            run.save(self.path)

    def end_of_pass(self, run: LiveRun, at: Pass) -> None:
        done = at.epoch or at.index
        if (at.epoch == 0 or at.ends_epoch) and (done % self.every == 0 or (at.epoch == 0 and at.ends_epoch)):
            run.save(self.path)

    def end(self, run: LiveRun, result: Result) -> None:
        run.save(self.path)


class ResultFiles(Callback):
    """`result.json`, and the trained networks of a run that was not interrupted.

    **Arguments:**

    - `folder`: the folder of the run.
    - `provenance`: what `config.json` says. It is written again if it was lost.
    """

    def __init__(self, folder: Path, provenance: Provenance):
        self.folder, self.provenance = folder, provenance

    def end(self, run: LiveRun, result: Result) -> None:
        document = finite_or_none(result.to_json())
        write_whole(self.folder / RESULT, json.dumps(document, indent=1, allow_nan=False) + "\n")
        if not (self.folder / CONFIG).exists():
            write_config(self.folder, self.provenance)
        if not result.interrupted:
            save_models(self.folder, result)


class UnsavedError(UserError):
    """A run ended, but its files could not be written.

    **Arguments:**

    - `message`: what is lost, what is safe, and how to go on.
    - `result`: the result of the run.
    """

    status = 1

    def __init__(self, message: str, result: Result):
        super().__init__(message)
        self.result = result


@final
class Guarded(Callback):
    """A callback that writes files. An error of the file system does not end the run.

    The log says what could not be written. The callback is called again at the next moment, and
    writes then what is missing.

    **Arguments:**

    - `writer`: the callback.
    - `name`: what it writes.
    - `needed`: whether the run is incomplete without it.
    """

    def __init__(self, writer: Callback, name: str, needed: bool = True):
        self.writer, self.name, self.needed = writer, name, needed
        self.error: OSError | UserError | None = None
        self._told = False

    def start(self, run: LiveRun) -> None:
        self._try(self.writer.start, run)

    def records(self, run: LiveRun, records: Sequence[dict]) -> None:
        self._try(self.writer.records, run, records)

    def end_of_pass(self, run: LiveRun, at: Pass) -> None:
        self._try(self.writer.end_of_pass, run, at)

    def end(self, run: LiveRun, result: Result) -> None:
        self.error, self._told = None, self._told or self.needed  # what is needed and missing is an error then
        self._try(self.writer.end, run, result)

    def close(self) -> None:
        self._try(self.writer.close)

    def _try(self, hook: Callable[..., None], *args: Any) -> None:
        try:
            hook(*args)
        except (OSError, UserError) as error:
            self.error = error
            if not self._told:
                LOGGER.warning("%s cannot be written (%s): the run goes on, and tries again later", self.name, reason(error))
            self._told = True


def reason(error: Exception) -> str:
    """Why something could not be written."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def check_written(files: Sequence[Guarded], folder: Path, result: Result) -> None:
    """Check that all files of a run were written.

    **Raises:** `UnsavedError` if not, with what is safe.
    """
    failed = [file for file in files if file.error is not None and file.needed]
    if not failed:
        return
    names, why = " and ".join(file.name for file in failed), reason(failed[0].error or OSError())
    raise UnsavedError(f"The run ended, but {names} in {folder} could not be written ({why}). {_safe(folder)}", result)


def _safe(folder: Path) -> str:
    try:
        header = read_checkpoint(folder / CHECKPOINT).header
    except CheckpointError:
        return "Nothing of it is safe: make room, or use another `out`, and train again."
    epoch = max((record["epoch"] for record in header["records"]), default=0)
    return f"The checkpoint of epoch {epoch} is safe: make room, and go on from it with `resume`."
