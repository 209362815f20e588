"""The training loop: runs of steps, evaluation, logs, checkpoints, interruption, divergence."""

import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from ..data import Dataset, load
from ..diagnostics import Probe
from ..diagnostics.averages import Averages
from ..diagnostics.warnings import movement, training_warnings
from ..errors import ConfigError
from ..networks.layers import parameters
from .arguments import Seeds, check_data, recipe_list, seed_list
from .checkpoint import CHECKPOINT, load_checkpoint, load_header, save_checkpoint
from .ensemble import Ensemble, healthy
from .loggers import JsonlLogger, Logger, ProgressBar, TensorBoardLogger
from .paths import check_folder, make_folder
from .precision import precision
from .provenance import describe_recipes, write_config
from .recipe import Recipe
from .result import FINISHED, RUNNING, Result, SeedResult, finite_or_none
from .schedule import Pass
from .state import Totals

LOGGER = logging.getLogger("targetprop")
SECONDS_PER_RUN = 0.5

Watch = Callable[[Sequence[SeedResult]], Sequence[int]]
"""Looks at the results after each epoch, and says which members are not trained any more."""


def train(
    recipe: Recipe | Sequence[Recipe],
    data: Dataset | None = None,
    *,
    seeds: Seeds = 1,
    out: Path | str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    checkpoint_every: int = 1,
    probe: Probe | None = None,
    progress: bool = True,
    _watch: Watch | None = None,
) -> Result:
    """Train a network, one run per seed. All seeds are one program.

    A seed that diverges is restored to its last good state. Its `status` names the layer and the
    epoch. The other seeds go on. SIGINT stops after the current steps, and everything is saved.

    **Arguments:**

    - `recipe`: the recipe, or one recipe per seed. These may only differ in numbers.
    - `data`: the data set. Default: the data set of the recipe.
    - `seeds`: a list of seeds, or a number `n` for the seeds 0 .. n-1.
    - `out`: a folder for configuration, metrics, TensorBoard events and checkpoints. Default:
      nothing is written.
    - `resume`: continue from the checkpoint in the folder. The numbers are the same as in an
      uninterrupted run.
    - `overwrite`: replace the run in the folder.
    - `checkpoint_every`: the number of epochs between checkpoints.
    - `probe`: diagnostics to measure during training. They are written with the metrics. The log
      of `targetprop` warns about hidden layers that do not move or that learn against the
      gradient. A probe changes no other number.
    - `progress`: whether a progress bar is shown.

    **Returns:** the metrics and the trained networks.

    **Raises:**

    - `CheckpointError` or `ConfigError` if the run in the folder does not fit.
    - `ConfigError` (a `ValueError`) if settings do not fit.
    - `UserError` if the folder is not writable.
    - `TypeError` if the recipe or the data have the wrong type.
    """
    check_data(data)
    if checkpoint_every < 1:
        raise ConfigError(f"`checkpoint_every` is {checkpoint_every} epochs: use 1 or more.")
    if resume and out is None:
        raise ConfigError("Without a folder there is no run to resume: give its folder as `out`.")
    if out is not None:
        check_folder(Path(out))
    seeds = seed_list(seeds)
    recipes = recipe_list(recipe, len(seeds))
    if not (seeds and recipes):
        raise ConfigError("There is nothing to train: give at least one seed, and a recipe.")
    if len(set(seeds)) < len(seeds) and (out is not None or isinstance(recipe, Recipe)):
        raise ConfigError(f"The seeds {seeds} are not all different: use each seed once.")
    with precision(recipes[0].dtype):
        output = _Output(None if out is None else Path(out), resume, overwrite, checkpoint_every)
        return _Loop(recipes, data or load(recipes[0].dataset), seeds, output, probe, _watch).run(progress)


class _Output(NamedTuple):
    """Where a run is written, what happens to an old run, and when checkpoints are written."""

    folder: Path | None
    resume: bool
    overwrite: bool
    checkpoint_every: int


class _Loop:
    """One call of `train`."""

    def __init__(self, recipes, dataset, seeds, output: _Output, probe, watch: Watch | None):
        self.recipe, self.watch = recipes[0], watch
        self.probe, self.measured = probe, Averages()
        self.folder, self.checkpoint_every = output.folder, output.checkpoint_every
        self.checkpoint = None if self.folder is None else self.folder / CHECKPOINT
        self.ensemble = Ensemble(recipes, seeds, dataset)
        self.passes = self.recipe.schedule.passes(self.ensemble.trained_maps > 0)
        self.results = [SeedResult(seed) for seed in seeds]
        self.position, self.lines, self.logged = (0, 0), 0, None
        self.seconds, self.epochs_timed = 0.0, 0
        self.cold: dict[bool, tuple[int, float]] = {}
        self.good = self.ensemble.members
        if self.folder is not None and self.checkpoint is not None:
            make_folder(self.folder)
            if not output.resume:
                _clear(self.folder, output.overwrite)
            write_config(self.folder, recipes, seeds, dataset, output.resume)
            if self.checkpoint.exists():
                self._resume(self.checkpoint)
        self.loggers = self._open_loggers(seeds)
        unit = self.ensemble.task.score.unit
        settings = describe_recipes(recipes)
        self.result = Result(self.recipe.rule.name, dataset.name, unit, self.results, settings=settings)

    def _resume(self, checkpoint: Path) -> None:
        header = load_header(checkpoint)
        like = self.ensemble.members
        members, good = load_checkpoint(checkpoint, (like, like if header["midway"] else None))
        self.ensemble.members, self.good = members, good or members
        self.position = (header["pass"], header["step"])
        self.lines, self.logged = header["lines"], header["logged"]
        self.seconds, self.epochs_timed = header["seconds"], header["epochs_timed"]
        self.measured = Averages(**header["measured"])
        self.results = [SeedResult(**entry) for entry in header["results"]]
        for index, result in enumerate(self.results):
            self.ensemble.alive[index] = result.status in (RUNNING, FINISHED)
            result.status = RUNNING if result.status == FINISHED else result.status

    def _open_loggers(self, seeds: Sequence[int]) -> list[Logger]:
        if self.folder is None:
            return []
        return [
            JsonlLogger(self.folder / "metrics.jsonl", self.lines),
            TensorBoardLogger(self.folder / "tensorboard", seeds, self.logged, self.position[0]),
        ]

    def run(self, progress: bool) -> Result:
        first, steps = self.position[0], self.ensemble.steps
        title = f"{self.recipe.rule.name} on {self.result.dataset}"
        done = first * steps + self.position[1]
        interrupted = False
        try:
            with (
                _Interruption() as interruption,
                ProgressBar(title, len(self.passes) * steps, done, progress) as bar,
            ):
                bar.note("compiling")
                for joint in {at.joint for at in self.passes[first:]}:
                    self.ensemble.compile(joint)
                if done == 0:
                    self._warn()
                for number in range(first, len(self.passes)):
                    interrupted = self._run_pass(number, bar, interruption)
                    if interrupted or not self.ensemble.alive.any():
                        break
        finally:
            for logger in self.loggers:
                logger.close()
            self.seconds += sum(elapsed for _, elapsed in self.cold.values())
        if not interrupted:
            for result in self.results:
                result.status = FINISHED if result.status == RUNNING else result.status
        self._save()
        return self._finish()

    def _warn(self) -> None:
        """Log the advice of the rule on the first minibatch."""
        for index, result in enumerate(self.results):
            for advice in self.ensemble.advice(self.passes[0], 0, index):
                LOGGER.warning("seed %d: %s", result.seed, advice)

    def _run_pass(self, number: int, bar: ProgressBar, interruption: "_Interruption") -> bool:
        """Run one pass from the present position, while a member is alive.

        **Returns:** whether the run was interrupted.
        """
        at, step, chunk = self.passes[number], self.position[1], 4
        while step < self.ensemble.steps and self.ensemble.alive.any():
            stop = min(step + chunk, self.ensemble.steps)
            if self.probe is not None and at.joint:
                stop = min(stop, self._measure(self.probe, at, step))
            before, began = self.ensemble.members, time.perf_counter()
            health = self.ensemble.advance(at, step, stop)
            elapsed = time.perf_counter() - began
            self._count(elapsed, stop - step, at.joint)
            for index, result in enumerate(self.results):
                if self.ensemble.alive[index] and not healthy(health, index):
                    result.status = self._diagnose(before, at, step, stop, index)
                    self.ensemble.restore(self.good, index)
            chunk = max(1, int((stop - step) * SECONDS_PER_RUN / max(elapsed, 1e-4)))
            bar.advance(stop - step)
            step = stop
            self.position = (number, step)
            if interruption.asked and step < self.ensemble.steps:
                return True
        if not self.ensemble.alive.any():
            return False
        self.position = (number + 1, 0)
        self._log(at, bar)
        if self.watch is not None and at.joint:
            self.ensemble.alive[list(self.watch(self.results))] = False
        if at.ends_epoch:
            self.good = self.ensemble.members
            if at.epoch % self.checkpoint_every == 0:
                self._save()
        return interruption.asked and number + 1 < len(self.passes)

    def _count(self, elapsed: float, steps: int, joint: bool) -> None:
        """Add to the time.

        The first steps of a program are slow. They are counted as if they were as fast as the next
        ones.
        """
        if joint not in self.cold:
            self.cold[joint] = (steps, elapsed)
            return
        before, _ = self.cold[joint]
        self.seconds += elapsed * (1 + before / steps)
        self.cold[joint] = (0, 0.0)

    def _measure(self, probe: Probe, at: Pass, step: int) -> int:
        """Use the probe if it is due at this step.

        **Returns:** the step before which it is due again.
        """
        if step % probe.every == 0:
            self.measured.add(self.ensemble.diagnose(probe, at, step))
        return step - step % probe.every + probe.every

    def _diagnose(self, before, at: Pass, start: int, stop: int, index: int) -> str:
        step, health, advice = self.ensemble.locate(before, at, start, stop, index)
        layers = [i for i, finite in enumerate(health.layers, start=1) if not finite]
        maps = [i for i, finite in enumerate(health.feedback, start=1) if not finite]
        if layers:
            where = "layer " + ", ".join(map(str, layers))
        elif maps:
            where = "the feedback to layer " + ", ".join(map(str, maps))
        else:
            where = "the loss"
        hint = "; ".join(advice) or "try a smaller learning rate"
        return f"diverged: {where} not finite in epoch {at.epoch}, step {step + 1}; {hint}"

    def _log(self, at: Pass, bar: ProgressBar) -> None:
        """Record a pass.

        After the joint pass of an epoch all metrics are recorded. After a pass of pretraining it
        is the feedback loss.
        """
        if not at.joint and at.epoch > 0:
            return
        totals = jax.device_get(self.ensemble.members.state.totals)
        metrics = self._assess(totals) if at.joint else {"pass": [at.index] * len(self.results)}
        for index, result in enumerate(self.results):
            if not self.ensemble.alive[index]:
                continue
            feedback_loss = [_number(loss / self.ensemble.steps) for loss in totals.feedback_loss[index]]
            record = {"seed": result.seed, "epoch": at.epoch, "feedback_loss": feedback_loss or None}
            record |= {name: values[index] for name, values in metrics.items()}
            if self.measured.count:
                record |= self._diagnostics(index)
                for warning in record["warnings"]:
                    LOGGER.warning("seed %d, epoch %d: %s", result.seed, at.epoch, warning)
            if at.joint:
                result.history.append(record)
            for logger in self.loggers:
                logger.log(record)
            self.lines += 1
        self.logged, self.measured = at.epoch, Averages()
        if at.joint:
            self.epochs_timed += 1
            best = min(result.history[-1]["test_error"] for result in self.results if result.history)
            bar.note(f"test {best:.2f} {self.result.unit}")

    def _diagnostics(self, index: int) -> dict:
        """The values of the probe in this epoch, the movement of the layers, and the warnings."""
        before = self.good.state.network
        start, now = (
            jax.tree.map(lambda leaf: leaf[index], parameters(n)) for n in (before, self.ensemble.members.state.network)
        )
        found = {**self.measured.of(index), "diagnostics/movement": movement(start, now)}
        return found | {"warnings": training_warnings(found, self.recipe.trainable)}

    def _assess(self, totals: Totals) -> dict[str, list]:
        """The metrics of an epoch, each a list over members."""
        validation, test = self.ensemble.assess()
        columns = {
            "train_loss": totals.loss / self.ensemble.steps,
            "train_error": totals.score / self.ensemble.steps,
            "validation_loss": None if validation is None else validation.loss,
            "validation_error": None if validation is None else validation.score,
            "test_loss": test.loss,
            "test_error": test.score,
        }
        nothing = [None] * len(self.results)
        return {name: nothing if v is None else [_number(x) for x in v] for name, v in columns.items()}

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        header = {
            "pass": self.position[0],
            "step": self.position[1],
            "lines": self.lines,
            "logged": self.logged,
            "midway": self.good is not self.ensemble.members,
            "measured": self.measured.to_json(),
            "seconds": self.seconds,
            "epochs_timed": self.epochs_timed,
            "results": [vars(result) for result in self.results],
        }
        good = self.good if header["midway"] else None
        save_checkpoint(self.checkpoint, (self.ensemble.members, good), header)

    def _finish(self) -> Result:
        self.result.networks = [self.ensemble.member(i).state.network for i in range(len(self.results))]
        if self.epochs_timed:
            self.result.seconds_per_epoch = self.seconds / self.epochs_timed / len(self.results)
        if self.folder is not None:
            document = finite_or_none(self.result.to_json())
            (self.folder / "result.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
        return self.result


def _number(value: np.floating) -> float:
    """The shortest decimal number that represents the value in its precision."""
    return float(str(value))


def _clear(folder: Path, overwrite: bool) -> None:
    """Remove the results of an old run.

    **Raises:** `ConfigError` if there is a run and `overwrite` is false.
    """
    if (folder / "config.json").exists() and not overwrite:
        raise ConfigError(
            f"There is a run in {folder} already: continue it with `resume`, replace it with `overwrite`, "
            "or use another `out`."
        )
    for name in ("result.json", "checkpoint.npz"):
        (folder / name).unlink(missing_ok=True)


class _Interruption:
    """A context in which the first SIGINT or SIGTERM only sets `asked`.

    A second signal acts as usual. It works in the main thread only.
    """

    def __init__(self):
        self.asked = False
        self._previous = {}

    def __enter__(self) -> "_Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _ask(self, number, frame) -> None:
        self.asked = True
        signal.signal(number, self._previous[number])
