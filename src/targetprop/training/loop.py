"""The training loop: runs of steps, metrics, divergence, and the calls of the callbacks."""

import functools
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import jax

from ..data import Dataset
from ..diagnostics import Probe
from ..diagnostics.averages import Averages
from ..diagnostics.warnings import movement, training_warnings
from ..networks.layers import parameters
from ..networks.network import Network
from . import divergence
from .callbacks import Callback, LiveRun, Resumed
from .checkpoint import Checkpoint, CheckpointError, save_checkpoint
from .configuration import Provenance
from .ensemble import Ensemble, healthy
from .interruption import Interruption
from .kept import BestAndLast
from .provenance import describe_recipes
from .recipe import Recipe
from .result import FINISHED, RUNNING, STOPPED, Result, SeedResult, results_of, shortest
from .schedule import Learning, Pass
from .state import Totals

LOGGER = logging.getLogger("targetprop")
SECONDS_PER_RUN = 0.5


class Loop:
    """One call of `train`, from the first step or from a checkpoint.

    **Arguments:**

    - `recipes`: one recipe per seed.
    - `dataset`: the data set.
    - `seeds`: the seeds.
    - `probe`: diagnostics to measure, or `None`.
    """

    def __init__(self, recipes: Sequence[Recipe], dataset: Dataset, seeds: Sequence[int], probe: Probe | None = None):
        self.recipes, self.recipe = recipes, recipes[0]
        self.probe, self.measured = probe, Averages()
        self.ensemble = Ensemble(recipes, seeds, dataset)
        self.untrained = [float(loss) for loss in self.ensemble.assess()[1].loss]
        self.passes = self.recipe.schedule.passes(self.ensemble.trained_maps > 0)
        self.dataset = dataset
        self.position: tuple[int, int] = (0, 0)
        self.records: list[dict] = []
        self.seconds, self.epochs_timed = 0.0, 0
        self.cold: dict[Learning, tuple[int, float]] = {}
        self.good = self.ensemble.members
        self.kept = BestAndLast.at_start(self.good)
        unit = self.ensemble.task.score.unit
        results, settings = [SeedResult(seed) for seed in seeds], describe_recipes(recipes)
        self.result = Result(self.recipe.rule.name, dataset.name, unit, results, settings=settings)
        self.callbacks: Sequence[Callback] = ()
        self.live: LiveRun

    @functools.cached_property
    def provenance(self) -> Provenance:
        """What is run, and where."""
        return Provenance.here(self.recipes, [result.seed for result in self.results], self.dataset)

    @property
    def results(self) -> list[SeedResult]:
        """The metrics of each seed so far."""
        return self.result.seeds

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint of this run.

        **Raises:** `CheckpointError` if it does not fit.
        """
        header = checkpoint.header
        try:
            like = self.ensemble.members
            kept = (self.kept.best if header[name] else None for name in ("best", "last"))
            members, good, *weights = checkpoint.tree((like, like if header["midway"] else None, *kept))
            self.ensemble.members, self.good = members, good or members
            self.position = self._position(int(header["pass"]), int(header["step"]))
            self.seconds, self.epochs_timed = float(header["seconds"]), int(header["epochs_timed"])
            self.measured = Averages(**header["measured"])
            self.records = list(header["records"])
            statuses = {seed.seed: status for seed, status in zip(self.results, header["statuses"], strict=True)}
            self.result.seeds = results_of(statuses, self.records)
            self.kept = BestAndLast.resumed(header, members, *weights)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{checkpoint.path} does not fit this run ({error!r}): use another `out`.") from error
        for index, result in enumerate(self.results):
            self.ensemble.alive[index] = result.status in (RUNNING, FINISHED)
            result.status = RUNNING if result.status == FINISHED else result.status

    def _position(self, number: int, step: int) -> tuple[int, int]:
        if not (0 <= number <= len(self.passes) and 0 <= step <= self.ensemble.steps):
            raise ValueError(f"it is at step {step} of pass {number}, which this run does not have")
        return number, step

    def save(self, path: Path) -> None:
        """Write a checkpoint. Raises `OSError` if this fails."""
        kept, weights = self.kept.to_save(self.ensemble.members)
        header = {
            "identity": self.provenance.identity,
            "origins": self.provenance.origins,
            "shape": self.ensemble.shape,
            "outputs": self.ensemble.outputs,
            "unit": self.result.unit,
            "pass": self.position[0],
            "step": self.position[1],
            "midway": self.good is not self.ensemble.members,
            "measured": self.measured.to_json(),
            "seconds": self.seconds,
            "epochs_timed": self.epochs_timed,
            "statuses": [result.status for result in self.results],
            "records": self.records,
            **kept,
        }
        good = self.good if header["midway"] else None
        save_checkpoint(path, (self.ensemble.members, good, *weights), header)

    def run(self, callbacks: Sequence[Callback], folder: Path | None) -> Result:
        """Train to the end, or until an interruption.

        **Arguments:**

        - `callbacks`: they are called in this order.
        - `folder`: the folder of the run, for the callbacks.
        """
        self.callbacks, first, steps = callbacks, self.position[0], self.ensemble.steps
        done = first * steps + self.position[1]
        self.live = LiveRun(
            self.recipes,
            self.results,
            self.records,
            self.result.dataset,
            self.result.unit,
            len(self.passes) * steps,
            folder,
            Resumed(done, len(self.records)),
            self._network,
            self._stop,
            self.save,
        )
        interrupted = False
        try:
            with Interruption() as interruption:
                self._call("start")
                self._call("activity", "compiling")
                for at in self.passes.kinds(first):
                    self.ensemble.compile(at.learning)
                if done == 0:
                    self._warn()
                for number in range(first, len(self.passes)):
                    interrupted = self._run_pass(number, interruption)
                    if interrupted or not self.ensemble.alive.any():
                        break
            self.seconds += sum(elapsed for _, elapsed in self.cold.values())
            self._finish(interrupted)
        finally:
            for callback in callbacks:
                callback.close()
        return self.result

    def _call(self, hook: str, *values) -> None:
        """Call a method of all callbacks."""
        for callback in self.callbacks:
            getattr(callback, hook)(self.live, *values)

    def _network(self, index: int) -> Network:
        return self.ensemble.member(index).state.network

    def _stop(self, index: int | None = None) -> None:
        for position in range(len(self.results)) if index is None else [index]:
            if self.ensemble.alive[position]:
                self.ensemble.alive[position] = False
                self.results[position].status = STOPPED

    def _warn(self) -> None:
        """Log the advice of the rule on the first minibatch."""
        for index, result in enumerate(self.results):
            for advice in self.ensemble.advice(self.passes[0], 0, index):
                LOGGER.warning("seed %d: %s", result.seed, advice)

    def _run_pass(self, number: int, interruption: Interruption) -> bool:
        """Run one pass from the present position, while a member is alive.

        **Returns:** whether the run was interrupted.
        """
        at, step, chunk = self.passes[number], self.position[1], 4
        self._call("activity", self._describe(at))
        while step < self.ensemble.steps and self.ensemble.alive.any():
            stop = min(step + chunk, self.ensemble.steps)
            if self.probe is not None and at.joint:
                stop = min(stop, self._measure(self.probe, at, step))
            before, began = self.ensemble.members, time.perf_counter()
            health = self.ensemble.advance(at, step, stop)
            elapsed = time.perf_counter() - began
            self._count(elapsed, stop - step, at.learning)
            for index, result in enumerate(self.results):
                if self.ensemble.alive[index] and not healthy(health, index):
                    result.status = self._diagnose(before, at, step, stop, index)
                    self.ensemble.restore(self.good, index)
                    self._call("divergence", result)
            chunk = max(1, int((stop - step) * SECONDS_PER_RUN / max(elapsed, 1e-4)))
            self.position = (number, stop)
            self._call("steps", stop - step)
            step = stop
            if interruption.asked and step < self.ensemble.steps:
                return True
        if not self.ensemble.alive.any():
            return False
        self.position = (number + 1, 0)
        self._record(at)
        if at.ends_epoch:
            self.good = self.ensemble.members
        self._call("end_of_pass", at)
        if at.ends_epoch:
            self._call("epoch", at.epoch)
        return interruption.asked and number + 1 < len(self.passes)

    def _describe(self, at: Pass) -> str:
        """What happens in a pass, in words."""
        if at.joint:
            return f"epoch {at.epoch} of {self.recipe.schedule.epochs}"
        where = "pretraining" if at.epoch == 0 else f"epoch {at.epoch}"
        return f"{where}, feedback pass {at.index}"

    def _count(self, elapsed: float, steps: int, learning: Learning) -> None:
        """Add to the time.

        The first steps of a program are slow. They are counted as if they were as fast as the next
        ones.
        """
        if learning not in self.cold:
            self.cold[learning] = (steps, elapsed)
            return
        before, _ = self.cold[learning]
        self.seconds += elapsed * (1 + before / steps)
        self.cold[learning] = (0, 0.0)

    def _measure(self, probe: Probe, at: Pass, step: int) -> int:
        """Use the probe if it is due at this step.

        **Returns:** the step before which it is due again.
        """
        if step % probe.every == 0:
            values = self.ensemble.diagnose(probe, at, step)
            self.measured.add(values)
            self._call("probe", values)
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
        hint = "; ".join(advice) or divergence.cause(self.recipes[index], in_feedback=bool(maps and not layers))
        return f"diverged: {where} not finite in epoch {at.epoch}, step {step + 1}; {hint}"

    def _record(self, at: Pass) -> None:
        """Record a pass.

        After the joint pass of an epoch all metrics are recorded. After a pass of pretraining it
        is the feedback loss.
        """
        if not at.joint and at.epoch > 0:
            return
        totals = jax.device_get(self.ensemble.members.state.totals)
        metrics = self._assess(totals) if at.joint else {"pass": [at.index] * len(self.results)}
        records = []
        for index, result in enumerate(self.results):
            if not self.ensemble.alive[index]:
                continue
            feedback_loss = [shortest(loss / self.ensemble.steps) for loss in totals.feedback_loss[index]]
            record = {"seed": result.seed, "epoch": at.epoch, "feedback_loss": feedback_loss or None}
            record |= {name: values[index] for name, values in metrics.items()}
            if self.measured.count:
                record |= self._diagnostics(index)
                for warning in record["warnings"]:
                    LOGGER.warning("seed %d, epoch %d: %s", result.seed, at.epoch, warning)
            if at.joint:
                result.history.append(record)
            records.append(record)
        self.kept.record(self.ensemble, self.results, at)
        self.records.extend(records)
        self.measured = Averages()
        self.epochs_timed += at.joint
        self._call("records", records)

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
        return {name: nothing if v is None else [shortest(x) for x in v] for name, v in columns.items()}

    def _finish(self, interrupted: bool) -> None:
        for recipe, result, start in zip(self.recipes, self.results, self.untrained, strict=True):
            if interrupted or result.diverged:
                continue
            diverged = divergence.at_end(result, start, recipe)
            if diverged is not None:
                result.status = diverged
                self._call("divergence", result)
            elif result.status == RUNNING:
                result.status = FINISHED
        self.result.best, self.result.last = self.kept.trained(self.recipes, self.results)
        if self.epochs_timed:
            self.result.seconds_per_epoch = self.seconds / self.epochs_timed / len(self.results)
        self._call("end", self.result)
