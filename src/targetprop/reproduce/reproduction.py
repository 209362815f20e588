"""Running the cells of a published table and setting ours beside theirs."""

import dataclasses
import time
from collections.abc import Callable, Sequence

from ..data import load
from ..errors import ConfigError
from ..recipes import Recipe, recipe, recipe_names
from ..train.ensemble import Ensemble
from ..train.result import Summary
from ..train.run import train
from .published import Published, Table
from .store import Store
from .verdict import Verdict


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of a table with what was found for it. `would_stop` counts the seeds that the published runs' early stop
    would have dropped."""

    published: Published
    verdict: Verdict
    would_stop: int

    def to_json(self) -> dict:
        """The cell as plain data."""
        theirs, ours = self.published, self.verdict.ours
        found = {"mean": ours.mean, "sd": ours.sd, "n": len(ours.values)} if ours.values else None
        return {
            "row": theirs.row,
            "column": theirs.column,
            "published": {"mean": theirs.mean, "sd": theirs.sd},
            "ours": found,
            "difference": self.verdict.difference if ours.values else None,
            "interval": list(self.verdict.interval) if ours.values else None,
            "would_stop_early": self.would_stop,
            "verdict": str(self.verdict),
        }


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """A selection of a table's cells, the number of seeds wanted, and the store that holds the runs.

    `columns` and `rows` select; `epochs` replaces the published number. Raises `ConfigError` for a row or column that the
    table does not have.
    """

    table: Table
    store: Store
    columns: Sequence[str] = ()
    rows: Sequence[str] = ()
    seeds: int = 1
    epochs: int | None = None

    def __post_init__(self):
        for kind, asked, known in (("dataset", self.columns, self.table.columns), ("method", self.rows, self._methods())):
            for name in asked:
                if name not in known:
                    raise ConfigError(f"{self.table.name} has no {kind} {name!r}; it has {', '.join(known)}.")

    def _methods(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell.recipe.split("/")[2] for cell in self.table.cells))

    def cells(self) -> list[Published]:
        """The selected cells."""
        return [
            cell
            for cell in self.table.cells
            if (not self.columns or cell.column in self.columns)
            and (not self.rows or cell.recipe.split("/")[2] in self.rows)
        ]

    def recipe(self, cell: Published) -> Recipe:
        """The recipe of a cell, with the number of epochs asked for."""
        found = recipe(cell.recipe)
        if self.epochs is None:
            return found
        return found.replace(schedule=dataclasses.replace(found.schedule, epochs=self.epochs))

    def missing(self, cell: Published) -> list[int]:
        """The seeds of a cell that are still to be run."""
        if cell.recipe not in recipe_names():
            return []
        done = self.store.seeds(cell.recipe, self.recipe(cell))
        return [seed for seed in range(self.seeds) if seed not in done]

    def run(self, report: Callable[[Cell], None] = lambda cell: None, progress: bool = True) -> bool:
        """Run what is missing, cell by cell, all missing seeds of one as one program. An unfinished cell is continued where
        it stopped. Returns whether all came to their end."""
        for cell in self.cells():
            seeds = self.missing(cell)
            if seeds:
                entry = self.recipe(cell)
                folder = self.store.run_folder(cell.recipe, entry, seeds)
                result = train(entry, seeds=seeds, out=folder, resume=folder.exists(), checkpoint_every=5, progress=progress)
                if result.interrupted:
                    return False
            report(self.compare(cell))
        return True

    def compare(self, cell: Published) -> Cell:
        """A cell with what the store holds for it."""
        found = []
        if cell.recipe in recipe_names():
            found = [seed for _, seed in sorted(self.store.seeds(cell.recipe, self.recipe(cell)).items())]
        values = tuple(seed.result[self.table.metric] for seed in found)
        limit = 75.0 if cell.column.startswith("cifar10") else 60.0
        would_stop = sum(any(r["train_error"] > limit for r in seed.history if r["epoch"] > 5) for seed in found)
        return Cell(cell, Verdict(Summary(values), cell), would_stop)

    def compared(self) -> list[Cell]:
        """All selected cells with what the store holds for them."""
        return [self.compare(cell) for cell in self.cells()]

    def estimate(self, epochs: int = 1) -> list[tuple[Published, list[int], float]]:
        """For each cell, the seeds to run and the seconds that takes here, measured over a few passes."""
        estimates = []
        for cell in self.cells():
            seeds = self.missing(cell)
            estimates.append((cell, seeds, len(seeds) * _seconds(self.recipe(cell)) if seeds else 0.0))
        return estimates


def _seconds(entry: Recipe) -> float:
    """Seconds for one seed of a recipe: one short run of each kind of pass, times the number of passes."""
    ensemble = Ensemble([entry], [0], load(entry.dataset))
    passes = entry.schedule.passes(ensemble.trained_maps > 0)
    total = 0.0
    for joint in {at.joint for at in passes}:
        at = next(at for at in passes if at.joint == joint)
        ensemble.compile(joint)
        began = time.perf_counter()
        steps = min(30, ensemble.steps)
        ensemble.advance(at, 0, steps)
        total += (time.perf_counter() - began) / steps * ensemble.steps * sum(at.joint == joint for at in passes)
    return total
