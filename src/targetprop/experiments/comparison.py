"""Comparison of rules: same initial weights, same minibatches, one table and one figure."""

import contextlib
import dataclasses
import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._checks import shown, whole
from .._files import write_whole
from .._html import html_table
from ..data import Dataset, load
from ..errors import ConfigError
from ..figures import dataset_name, kinds, training_figure
from ..figures import save as save_figure
from ..rules import Rule
from ..training.arguments import Seeds, check_data
from ..training.folder import check_run_folder
from ..training.frame import data_frame, rows
from ..training.locking import locked
from ..training.paths import as_path
from ..training.provenance import environment
from ..training.recipe import Recipe
from ..training.result import FINISHED, Result, finite_or_none
from ..training.run import train
from .catalog import recipe
from .intervals import PairedDifference

COMPARISON = "comparison.json"
LEGEND = """\
Difference: test error minus that of the baseline, mean over the seeds that both finished.
Effect size: Cohen's d_z of these differences, with Hedges' correction."""

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame  # pyright: ignore[reportMissingImports] (optional)


class ComparisonError(ConfigError):
    """The rules cannot be compared. The message says what to change."""


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison:
    """The results of several rules on one data set.

    - `dataset`: the name of the data set.
    - `unit`: the unit of the test error.
    - `results`: the result of each rule, in the order in which they were given.
    - `baseline`: the rule that the others are compared with. `None`: `bp` if it is there, else the
      first.
    - `warnings`: sentences about what the rules do not share.
    """

    dataset: str
    unit: str
    results: list[Result]
    baseline: str | None = None
    warnings: Sequence[str] = ()

    @property
    def baseline_name(self) -> str:
        """The name of the baseline."""
        names = [result.rule for result in self.results]
        return self.baseline or next((name for name in names if _is_bp(name)), names[0])

    @property
    def finished(self) -> bool:
        """Whether every seed of every rule finished."""
        return all(result.finished for result in self.results)

    def ratio_to_bp(self, result: Result) -> float:
        """The time of an epoch relative to backpropagation. `nan` if that is not in the
        comparison.
        """
        times = [other.seconds_per_epoch for other in self.results if _is_bp(other.rule)]
        return result.seconds_per_epoch / (times[0] if times else math.nan)

    def difference(self, result: Result) -> PairedDifference | None:
        """The test error minus that of the baseline, seed by seed. `None` for the baseline itself,
        or if that was not run.
        """
        baseline = next((other for other in self.results if other.rule == self.baseline_name), None)
        if baseline is None or baseline is result:
            return None
        return PairedDifference.between(_finished_errors(result), _finished_errors(baseline))

    @property
    def exceptions(self) -> list[str]:
        """A line for every seed that did not finish."""
        seeds = ((result.rule, seed) for result in self.results for seed in result.seeds)
        return [f"{rule}, seed {seed.seed}: {seed.status}" for rule, seed in seeds if seed.status != FINISHED]

    def to_json(self) -> dict:
        """Plain data: errors in percent, or mean squared errors for regression."""
        differences = [self.difference(result) for result in self.results]
        rules = [
            {
                "rule": result.rule,
                "test_error": result.test_error.to_json(),
                "difference": None if difference is None else difference.to_json(),
                "last_test_error": result.last_test_error.to_json(),
                "train_loss": result.train_loss.to_json(),
                "seconds_per_epoch": result.seconds_per_epoch,
                "ratio_to_bp": self.ratio_to_bp(result),
                "status": [seed.status for seed in result.seeds],
            }
            for result, difference in zip(self.results, differences, strict=True)
        ]
        heading = {"dataset": self.dataset, "unit": self.unit, "baseline": self.baseline_name}
        return heading | {"rules": rules, "warnings": list(self.warnings)}

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Column titles and rows."""
        titles = ["rule", f"test error ({self.unit})", f"difference to {self.baseline_name} (95 % interval)", "effect size"]
        titles += ["training loss", "seeds", "s / epoch", "ratio to bp"]
        differences = [self.difference(result) for result in self.results]
        rows = [
            [
                result.rule,
                str(result.test_error),
                "-" if difference is None else str(difference),
                "-" if difference is None else _or_dash(difference.effect_size, "+.2f"),
                str(result.train_loss),
                _counted(result),
                _or_dash(result.seconds_per_epoch, ".3g"),
                _or_dash(self.ratio_to_bp(result), ".2f"),
            ]
            for result, difference in zip(self.results, differences, strict=True)
        ]
        return titles, rows

    def __str__(self) -> str:
        titles, rows = self.table()
        lines = [titles, ["---"] * len(titles), *rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return "\n\n".join([table, *self.exceptions, *self.warnings])

    def save(self, folder: Path) -> tuple[Path, Path, Path]:
        """Write `comparison.json`, `table.md` and `learning-curves.png` to a folder. Returns their
        paths.
        """
        folder.mkdir(parents=True, exist_ok=True)
        paths = folder / COMPARISON, folder / "table.md", folder / "learning-curves.png"
        document = self.to_json() | {"seeds": [seed.seed for seed in self.results[0].seeds]} | environment()
        write_whole(paths[0], json.dumps(finite_or_none(document), indent=1) + "\n")
        write_whole(paths[1], f"{self.dataset}, mean ± SD over seeds\n\n{self}\n\n{LEGEND}\n")
        save_figure(self.plot("learning-curves"), paths[2])
        return paths

    def __repr__(self) -> str:
        rules = ", ".join(f"{result.rule} {result.test_error}" for result in self.results)
        text = f"Comparison on {self.dataset}, test error in {self.unit}: {rules}"
        return "\n".join(textwrap.wrap(text, 100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))

    def _repr_html_(self) -> str:
        return html_table(*self.table(), f"{dataset_name(self.dataset)}, mean ± SD over seeds", self.exceptions)

    def kinds(self) -> list[str]:
        """The pictures that `plot` can draw of it."""
        return kinds([result.curves() for result in self.results])

    def plot(self, kind: str | None = None) -> "Figure":
        """Draw the learning curves of the rules, and what was sampled in all of them.

        **Arguments:**

        - `kind`: `learning-curves`, `feedback`, `angles`, `target-updates`, `singular-values` or
          `other`. `None` draws all of these for which there are values.

        **Returns:** the figure. A notebook shows it. `figure.savefig` writes it to a file.

        **Raises:** `ConfigError` if there is nothing of this kind to draw.
        """
        return training_figure([result.curves() for result in self.results], self.dataset, kind)

    def to_frame(self) -> "DataFrame":
        """The metrics as a data frame of pandas, a row for each rule, seed and epoch.

        **Raises:** `UserError` if pandas is not installed.
        """
        return data_frame([{"rule": result.rule, **row} for result in self.results for row in rows(result.seeds)])


def _is_bp(rule: str) -> bool:
    """Whether this is the name of backpropagation, of a rule or of a published recipe."""
    return rule.split("/")[-1] == "bp"


def _finished_errors(result: Result) -> dict[int, float]:
    """The test error of each seed that finished."""
    return {s.seed: s.test_error for s in result.seeds if s.status == FINISHED and s.test_error is not None}


def _or_dash(value: float, form: str) -> str:
    return f"{value:{form}}" if math.isfinite(value) else "-"


def _counted(result: Result) -> str:
    """The number of seeds in the means."""
    counted, asked = len(result.counted), len(result.seeds)
    return str(asked) if counted == asked else f"{counted} of {asked}"


def compare(
    rules: Sequence[str | Rule | Recipe] | Mapping[str, str | Rule | Recipe],
    dataset: str | None = None,
    *,
    seeds: Seeds = 3,
    epochs: int | None = None,
    baseline: str | None = None,
    data: Dataset | None = None,
    out: Path | str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> Comparison:
    """Train several rules from the same initial weights on the same minibatches, and compare them.

    An interruption (SIGINT) ends the comparison after the current steps. The results so far are
    returned.

    **Arguments:**

    - `rules`: names, rule objects or recipes, or a mapping from names to any of these. A name or a
      rule object has its default recipe for `dataset`. A rule that is not built in has the values
      tuned for backpropagation.
    - `dataset`: the data set. `None` is that of the recipes, or `digits` if there are none.
    - `seeds`: the number of seeds, or the seeds.
    - `epochs`: a number of epochs that replaces those of the recipes, or `None`.
    - `baseline`: the name of the rule that the others are compared with, seed by seed. `None`:
      `bp` if it is there, else the first.
    - `data`: a data set in memory, used instead of the named one.
    - `out`: a folder for the runs, the table and the figure, or `None`.
    - `resume`: whether to continue what an earlier call left unfinished in `out`.
    - `overwrite`: whether to replace what is in `out`.
    - `progress`: whether bars are shown on standard error.

    **Returns:** the results of all rules.

    **Raises:** `ComparisonError` if the rules would not start from the same weights, see the same
    minibatches, or solve the same task, or if the baseline is not among them.
    """
    if isinstance(rules, str | Rule | Recipe):
        rules = [rules]
    if not isinstance(rules, Mapping | list | tuple):
        raise ComparisonError(f"`rules` is {shown(rules)}: give a list of rules, or a mapping from names to rules.")
    if epochs is not None and (whole(epochs) or 0) < 1:
        raise ComparisonError(f"`epochs` is {shown(epochs)}: use a whole number from 1 on.")
    check_data(data)
    out = None if out is None else as_path(out)
    if not rules:
        raise ComparisonError("Name at least one rule to compare.")
    named = rules if isinstance(rules, Mapping) else _named(rules)
    for name, entry in named.items():
        _check_entry(name, entry)
    check_baseline(baseline, list(named))
    dataset = dataset or _dataset(list(named.values()))
    recipes = {name: _recipe(entry, dataset) for name, entry in named.items()}
    if epochs is not None:
        recipes = {n: r.replace(schedule=dataclasses.replace(r.schedule, epochs=epochs)) for n, r in recipes.items()}
    _check_comparable(recipes)
    folders = {name: None if out is None else out / name.replace("/", "-") for name in recipes}
    for folder in folders.values():
        if folder is not None:
            check_run_folder(folder, resume, overwrite)
    if out is not None and (out / COMPARISON).exists() and not (resume or overwrite):
        raise ComparisonError(f"There is a comparison in {out} already: give `resume` or `overwrite`, or another `out`.")
    with contextlib.nullcontext() if out is None else locked(out):
        data = data or load(dataset)
        results = []
        for name, entry in recipes.items():
            found = train(entry, data, seeds=seeds, out=folders[name], resume=resume, overwrite=overwrite, progress=progress)
            results.append(dataclasses.replace(found, rule=name))
            if found.interrupted:
                break
        comparison = Comparison(data.name, results[0].unit, results, baseline)
        if out is not None:
            comparison.save(out)
        return comparison


def _check_entry(name: Any, entry: Any) -> None:
    """Check a name, which also names a folder, and its entry.

    **Raises:** `ComparisonError` if the name is none, `TypeError` if the entry is no rule.
    """
    if not isinstance(name, str) or not name or name in (".", "..") or "\0" in name:
        raise ComparisonError(f"`rules` has the name {shown(name)}: use a string that can name a folder.")
    if not isinstance(entry, str | Rule | Recipe):
        name = getattr(entry, "__name__", None)  # of a class or a preset
        hint = f"write {name}()" if name else "give a name of a rule, a rule object or a recipe"
        raise TypeError(f"`rules` has {shown(entry)}: {hint}.")


def _named(rules: Sequence[str | Rule | Recipe]) -> dict[str, str | Rule | Recipe]:
    for entry in rules:
        _check_entry("rule", entry)
    names = [entry if isinstance(entry, str) else _rule(entry).name for entry in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ComparisonError(
            f"There is more than one {', '.join(twice)}: name them, compare({{'one': .., 'another': ..}}), "
            "or give your own rule another `name`."
        )
    return dict(zip(names, rules, strict=True))


def _rule(entry: Rule | Recipe) -> Rule:
    return entry.rule if isinstance(entry, Recipe) else entry


def _recipe(entry: str | Rule | Recipe, dataset: str) -> Recipe:
    return (entry if isinstance(entry, Recipe) else recipe(entry, dataset)).replace(dataset=dataset)


def _dataset(entries: Sequence[str | Rule | Recipe]) -> str:
    """The data set of the recipes among the entries, or digits if there are none."""
    found = [recipe(entry) if isinstance(entry, str) and "/" in entry else entry for entry in entries]
    names = sorted({entry.dataset for entry in found if isinstance(entry, Recipe)})
    if len(names) > 1:
        raise ComparisonError(f"The recipes are for several data sets, {', '.join(names)}: name the one to compare them on.")
    return names[0] if names else "digits"


def check_baseline(baseline: str | None, names: Sequence[str]) -> None:
    """Raises `ComparisonError` if the baseline is given, but not among the names."""
    if baseline is not None and baseline not in names:
        raise ComparisonError(f"`baseline` {baseline!r} is not among the rules: use one of {', '.join(names)}.")


SHARED = ("architecture", "batch_size", "validation", "dtype", "loss", "trainable")


def difference_in(field: str, values: Mapping[str, Any]) -> str | None:
    """The sentence that names who differs in a field, or `None` if nobody does.

    **Arguments:**

    - `field`: the field.
    - `values`: its values by the names of the rules.
    """
    entries = list(values.values())
    usual = max(entries, key=entries.count)
    odd = [f"{name} has {value}" for name, value in values.items() if value != usual]
    return f"differ in {field}: most have {usual}, {', '.join(odd)}." if odd else None


def _check_comparable(recipes: Mapping[str, Recipe]) -> None:
    for field in SHARED:
        found = difference_in(field, {name: getattr(entry, field) for name, entry in recipes.items()})
        if found:
            raise ComparisonError(
                f"The recipes {found} Give all of them the same {field}: "
                "they must start from the same weights, see the same minibatches and solve the same task."
            )
