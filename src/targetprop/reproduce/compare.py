"""The main job: several rules, the same initial weights, the same minibatches, one table and one figure."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path

from ..data import Dataset, load
from ..errors import ConfigError
from ..provenance import environment
from ..recipes import Recipe, recipe
from ..rules import Rule
from ..train.result import Result, finite_or_none
from ..train.run import train
from .figures import learning_curves


class ComparisonError(ConfigError):
    """Rules that cannot be compared as asked; the message says what to change."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The results of several rules on one data set, in the order they were asked for."""

    dataset: str
    unit: str
    results: list[Result]

    @property
    def finished(self) -> bool:
        """Whether every seed of every rule came to its end."""
        return all(result.finished for result in self.results)

    def ratio_to_bp(self, result: Result) -> float:
        """Time of an epoch relative to BP's in the same comparison; `nan` without BP."""
        reference = next((other.seconds_per_epoch for other in self.results if other.rule == "bp"), math.nan)
        return result.seconds_per_epoch / reference

    def to_json(self) -> dict:
        """The comparison as plain data; errors in percent, or mean squared errors for regression."""
        rules = [
            {
                "rule": result.rule,
                "test_error": result.test_error.to_json(),
                "last_test_error": result.last_test_error.to_json(),
                "train_loss": result.train_loss.to_json(),
                "seconds_per_epoch": result.seconds_per_epoch,
                "ratio_to_bp": self.ratio_to_bp(result),
                "status": [seed.status for seed in result.seeds],
            }
            for result in self.results
        ]
        return {"dataset": self.dataset, "unit": self.unit, "rules": rules}

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Column titles and rows."""
        titles = ["rule", f"test error ({self.unit})", "training loss", "s / epoch", "ratio to bp"]
        rows = [
            [
                result.rule,
                str(result.test_error),
                str(result.train_loss),
                f"{result.seconds_per_epoch:.3g}",
                f"{self.ratio_to_bp(result):.2f}",
            ]
            for result in self.results
        ]
        return titles, rows

    def __str__(self) -> str:
        titles, rows = self.table()
        lines = [titles, ["---"] * len(titles), *rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def save(self, folder: Path) -> tuple[Path, Path, Path]:
        """Write `comparison.json`, `table.md` and `learning-curves.png`; returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = folder / "comparison.json", folder / "table.md", folder / "learning-curves.png"
        seeds = len(self.results[0].seeds)
        document = self.to_json() | {"seeds": [seed.seed for seed in self.results[0].seeds]} | environment()
        paths[0].write_text(json.dumps(finite_or_none(document), indent=1) + "\n")
        heading = f"{self.dataset}, mean ± SD over {seeds} seed{'s' * (seeds != 1)}"
        paths[1].write_text(f"{heading}\n\n{self}\n")
        learning_curves(self.results, self.dataset, paths[2])
        return paths


def compare(
    rules: Sequence[str | Rule | Recipe],
    dataset: str = "digits",
    *,
    seeds: int | Sequence[int] = 3,
    epochs: int | None = None,
    data: Dataset | None = None,
    out: Path | str | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Comparison:
    """Train several rules from the same initial weights on the same minibatches, and compare them.

    **Arguments:** `rules`, names, rule objects or recipes; a name or a rule takes its default recipe for `dataset`;
    `epochs`, in place of the recipes' own; `data`, a data set in place of the named one; `out`, a folder for the runs, the
    table and the figure; `resume`, continue what an earlier call left unfinished there.

    An interruption (SIGINT) ends the comparison after the steps under way, with what is there so far. Raises
    `ComparisonError` where the rules would not start from the same weights or see the same minibatches.
    """
    if not rules:
        raise ComparisonError("Name at least one rule to compare.")
    data = data or load(dataset)
    recipes = [entry if isinstance(entry, Recipe) else recipe(entry, dataset) for entry in rules]
    if epochs is not None:
        recipes = [r.replace(schedule=dataclasses.replace(r.schedule, epochs=epochs)) for r in recipes]
    _check_comparable(recipes)
    results = []
    for entry in recipes:
        folder = None if out is None else Path(out) / entry.rule.name
        results.append(train(entry, data, seeds=seeds, out=folder, resume=resume, progress=progress))
        if results[-1].interrupted:
            break
    comparison = Comparison(data.name, results[0].unit, results)
    if out is not None:
        comparison.save(Path(out))
    return comparison


def _check_comparable(recipes: Sequence[Recipe]) -> None:
    names = [entry.rule.name for entry in recipes]
    if len(set(names)) < len(names):
        raise ComparisonError(f"Each rule can be compared once, but these were named: {', '.join(names)}.")
    for field in ("architecture", "batch_size", "validation", "dtype"):
        values = [getattr(entry, field) for entry in recipes]
        if any(value != values[0] for value in values):
            raise ComparisonError(
                f"The recipes differ in {field} ({', '.join(str(value) for value in values)}): "
                f"give all of them the same {field}, so that they start from the same weights and see the same minibatches."
            )
