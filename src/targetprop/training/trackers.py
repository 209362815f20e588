"""Callbacks for experiment trackers: Weights & Biases, MLflow and Trackio.

Each seed is a run of its own. The runs of a recipe form a group. The libraries are optional, and
imported when used: `pip install targetprop[track]`.
"""

import abc
import contextlib
import importlib
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from ..errors import UserError
from .callbacks import Callback, LiveRun, scalars
from .provenance import describe, environment
from .result import Result, SeedResult


class Tracker(Callback):
    """Sends the numbers of each epoch to an experiment tracker, one run per seed.

    **Arguments:**

    - `project`: the project, or the experiment of MLflow.

    **Raises:** `UserError` if the library is not installed.
    """

    library: ClassVar[str]

    def __init__(self, project: str = "targetprop"):
        self.project = project
        self.module = _library(self.library)
        self._runs: dict[int, Any] = {}

    @abc.abstractmethod
    def open(self, run: LiveRun, name: str, settings: dict) -> Any:
        """Begin or continue the run `name`, with its settings as plain data."""

    @abc.abstractmethod
    def log(self, handle: Any, values: dict[str, float], epoch: int) -> None:
        """Send the numbers of an epoch."""

    @abc.abstractmethod
    def finish(self, handle: Any, status: str) -> None:
        """End a run."""

    def start(self, run: LiveRun) -> None:
        origin = environment()
        for recipe, seed in zip(run.recipes, run.seeds, strict=True):
            settings = {"recipe": describe(recipe), "seed": seed.seed, "data": run.dataset, **origin}
            with _off_standard_output():
                self._runs[seed.seed] = self.open(run, _name(run, seed), settings)

    def records(self, run: LiveRun, records: Sequence[dict]) -> None:
        for record in records:
            if "pass" not in record:
                self.log(self._runs[record["seed"]], scalars(record), record["epoch"])

    def end(self, run: LiveRun, result: Result) -> None:
        for seed in result.seeds:
            self._finish(self._runs.pop(seed.seed), seed.status)

    def close(self) -> None:
        for handle in self._runs.values():
            self._finish(handle, "failed")
        self._runs = {}

    def _finish(self, handle: Any, status: str) -> None:
        with _off_standard_output():
            self.finish(handle, status)


class WandbLogger(Tracker):
    """Weights & Biases. Set `WANDB_MODE=offline` to write files only."""

    library: ClassVar[str] = "wandb"

    def open(self, run, name, settings):
        own = {} if run.folder is None else {"id": _identity(run.folder, name), "resume": "allow"}
        return self.module.init(project=self.project, name=name, group=run.rule, config=settings, reinit="create_new", **own)

    def log(self, handle, values, epoch):
        handle.log(values, step=epoch)

    def finish(self, handle, status):
        handle.summary["status"] = status
        handle.finish(exit_code=0 if status in ("finished", "stopped") else 1)


class MLflowLogger(Tracker):
    """MLflow. `MLFLOW_TRACKING_URI` names the server or the folder, such as `file:./mlruns`."""

    library: ClassVar[str] = "mlflow"

    def open(self, run, name, settings):
        self._client = self.module.MlflowClient()
        found = self._client.get_experiment_by_name(self.project)
        experiment = found.experiment_id if found else self._client.create_experiment(self.project)
        identity = None if run.folder is None else _identity(run.folder, name)
        before = []
        if identity is not None and run.resumed.records:
            before = self._client.search_runs([experiment], f"tags.targetprop_run = '{identity}'", max_results=1)
        if before:
            self._client.update_run(before[0].info.run_id, "RUNNING")
            return before[0].info.run_id
        tags = {"group": run.rule} | ({} if identity is None else {"targetprop_run": identity})
        handle = self._client.create_run(experiment, tags=tags, run_name=name).info.run_id
        for field, value in _flat(settings).items():
            self._client.log_param(handle, field, value)
        return handle

    def log(self, handle, values, epoch):
        for name, value in values.items():
            self._client.log_metric(handle, name, value, step=epoch)

    def finish(self, handle, status):
        self._client.set_tag(handle, "status", status)
        self._client.set_terminated(handle, "FINISHED" if status in ("finished", "stopped") else "FAILED")


class TrackioLogger(Tracker):
    """Trackio. The numbers stay on this machine: `trackio show` displays them."""

    library: ClassVar[str] = "trackio"

    def open(self, run, name, settings):
        own = name if run.folder is None else f"{name}-{_identity(run.folder, name)}"
        quiet = {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False}
        return self.module.init(self.project, own, group=run.rule, config=settings, resume="allow", **quiet)

    def log(self, handle, values, epoch):
        handle.log(values, step=epoch)

    def finish(self, handle, status):
        handle.finish()
        self.module.context_vars.current_run.set(None)  # or the library ends it once more at exit


TRACKERS: dict[str, type[Tracker]] = {tracker.library: tracker for tracker in (WandbLogger, MLflowLogger, TrackioLogger)}


def _off_standard_output() -> contextlib.AbstractContextManager:
    """What a library prints goes to standard error. Standard output is for results."""
    return contextlib.redirect_stdout(sys.stderr)


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"{name} is not installed ({error}): pip install {name}, or targetprop[track].") from error


def _name(run: LiveRun, seed: SeedResult) -> str:
    place = run.rule if run.folder is None else run.folder.name
    return f"{place}-seed{seed.seed}"


def _identity(folder: Path, name: str) -> str:
    """The same text for the same folder and run, so that a resumed run continues its record."""
    return f"{zlib.crc32(f'{folder.absolute()}/{name}'.encode()):08x}"


def _flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as one dictionary with dotted names."""
    if not isinstance(settings, dict):
        return {prefix: settings}
    found = {}
    for name, value in settings.items():
        found |= _flat(value, f"{prefix}.{name}" if prefix else str(name))
    return found
