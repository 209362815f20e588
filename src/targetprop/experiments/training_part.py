"""The part of an item that is a training run."""

import dataclasses
import time
from collections.abc import Sequence

from ..data import load
from ..diagnostics import Probe
from ..training.ensemble import Ensemble
from ..training.recipe import Recipe
from ..training.run import train
from .catalog import recipe
from .item import Part
from .store import Store, StoredSeed, keep_damaged

CHECKPOINT_EVERY = 5


@dataclasses.dataclass(frozen=True)
class TrainingPart(Part):
    """The training runs of a recipe.

    **Arguments:**

    - `row`, `column`: which part of the item it is.
    - `name`: the name of the recipe, which is also the folder of its runs.
    - `recipe`: what is trained.
    - `store`: where the runs are.
    - `probe`: diagnostics during training, or `None`.
    - `needs`: a seed counts only if its metrics have these fields in every epoch.
    """

    row: str
    column: str
    name: str
    recipe: Recipe
    store: Store
    probe: Probe | None = None
    needs: tuple[str, ...] = ()

    def found(self) -> dict[int, StoredSeed]:
        return {seed: run for seed, run in self.stored().items() if run.finished}

    def stored(self) -> dict[int, StoredSeed]:
        """All seeds in order, finished or not."""
        return dict(sorted(self.store.seeds(self.name, self.recipe, self.needs).items()))

    def run(self, seeds: Sequence[int], progress: bool) -> bool:
        begun = [run for run in self.store.unfinished(self.name, self.recipe) if set(run) <= set(seeds)]
        ended = {seed for seed, run in self.stored().items() if run.diverged}  # it would diverge again
        others = [seed for seed in seeds if seed not in ended and not any(seed in run for run in begun)]
        return all(self._run(together, progress) for together in [*begun, others] if together)

    def _run(self, seeds: Sequence[int], progress: bool) -> bool:
        folder = self.store.run_folder(self.name, self.recipe, seeds)
        keep_damaged(folder)
        result = train(
            self.recipe,
            seeds=seeds,
            out=folder,
            resume=folder.exists(),
            checkpoint_every=CHECKPOINT_EVERY,
            probe=self.probe,
            progress=progress,
        )
        return not result.interrupted

    def seconds(self, seeds: Sequence[int]) -> float:
        return len(seeds) * _seconds(self.recipe, self.probe)


def published_recipe(name: str, epochs: int | None) -> Recipe:
    """The recipe of a published configuration.

    **Arguments:**

    - `name`: the full name of the configuration.
    - `epochs`: a number of epochs that replaces the published one, or `None`.
    """
    return with_epochs(recipe(name), epochs)


def with_epochs(found: Recipe, epochs: int | None) -> Recipe:
    """A recipe with another number of epochs. `None` leaves it as it is."""
    return found if epochs is None else found.replace(schedule=dataclasses.replace(found.schedule, epochs=epochs))


def _seconds(entry: Recipe, probe: Probe | None) -> float:
    """Estimate the seconds for one seed of a recipe.

    One short run of each kind of pass is timed, and one use of the probe.
    """
    ensemble = Ensemble([entry], [0], load(entry.dataset))
    passes = entry.schedule.passes(ensemble.trained_maps > 0)
    total = 0.0
    for at in passes.kinds():
        count = passes.number(at.learning)
        ensemble.compile(at.learning)
        began = time.perf_counter()
        steps = min(30, ensemble.steps)
        ensemble.advance(at, 0, steps)
        total += (time.perf_counter() - began) / steps * ensemble.steps * count
        if at.joint and probe is not None:
            ensemble.diagnose(probe, at, 0)
            began = time.perf_counter()
            ensemble.diagnose(probe, at, 0)
            total += (time.perf_counter() - began) * -(-ensemble.steps // probe.every) * count
    return total
