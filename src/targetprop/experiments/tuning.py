"""Hyperparameter search: the same budget for every rule, judged by the validation error only."""

import dataclasses
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data import Dataset, load
from ..errors import ConfigError
from ..training.arguments import Seeds, seed_list
from ..training.loggers import ProgressBar
from ..training.paths import check_file, make_folder
from ..training.provenance import describe, describe_data, environment
from ..training.recipe import Recipe
from ..training.result import finite_or_none
from ..training.run import train
from ..training.values import get_value, has_value, set_values

FAILED = math.inf


@dataclasses.dataclass(frozen=True)
class Range:
    """An interval from `low` to `high`, which is searched on a logarithmic scale."""

    low: float
    high: float


SPACE: Mapping[str, Range] = {
    "optimizer.learning_rate": Range(1e-4, 3e-2),
    "stepsize": Range(1e-2, 1.0),
    "rule.learner.noise.sigma": Range(1e-3, 3e-1),
    "rule.learner.regularizer.strength": Range(1e-5, 1.0),
    "rule.solver.damping": Range(1e-3, 10.0),
    "rule.damping": Range(1e-3, 10.0),
    "rule.integrator.tau": Range(1e-2, 1.0),
    "rule.metric.damping": Range(1e-3, 1.0),
    "rule.mu": Range(1e-2, 0.4),
    "feedback_optimizer.learning_rate": Range(1e-4, 3e-2),
}


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search found.

    - `rule`, `dataset`: the names of the rule and of the data set.
    - `trials`, `seeds`, `epochs`: the number of settings, the seeds of each, and their epochs.
    - `space`: the intervals that were searched, by dotted field name.
    - `best`: the best values, by dotted field name.
    - `validation_error`: the mean validation error of the best values over the seeds.
    - `errors`: the validation error of every trial, in order.
    """

    rule: str
    dataset: str
    trials: int
    seeds: tuple[int, ...]
    epochs: int
    space: Mapping[str, Range]
    best: Mapping[str, float]
    validation_error: float
    errors: tuple[float, ...]

    def apply(self, recipe: Recipe) -> Recipe:
        """The recipe with the best values."""
        return set_values(recipe, self.best)

    def save(self, folder: Path) -> Path:
        """Write `RULE.json`, with versions and machine."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.rule}.json"
        path.write_text(json.dumps(finite_or_none(dataclasses.asdict(self) | environment()), indent=1) + "\n")
        return path


def search(
    recipe: Recipe,
    *,
    trials: int = 48,
    together: int = 8,
    seeds: Seeds = (1000, 1001),
    space: Mapping[str, Range] = SPACE,
    data: Dataset | None = None,
    out: Path | str | None = None,
    progress: bool = True,
) -> SearchResult:
    """Tune the numbers of a recipe on the validation error.

    The settings are proposed by the tree-structured Parzen estimator (TPE). Its seed is fixed, so
    the same call proposes the same settings. A setting that diverges for any seed is worse than
    all others.

    **Arguments:**

    - `recipe`: what is trained.
    - `trials`: the number of settings.
    - `together`: how many settings run as one program between two proposals.
    - `seeds`: the seeds over which the best validation error of a setting is averaged.
    - `space`: intervals by dotted field name. Those that the recipe has no field for are ignored.
    - `data`: a data set in memory, used instead of the one that the recipe names.
    - `out`: a folder for the finished trials, or `None`. After an interruption the same call
      continues from there.
    - `progress`: whether a bar is shown on standard error.

    **Returns:** the best values.

    **Raises:** `ConfigError` for a recipe without validation samples, or if every setting
    diverges. `KeyboardInterrupt` if interrupted.

    Source: Bergstra et al. 2011.
    """
    import optuna

    if trials < 1:
        raise ConfigError(f"A search of {trials} trials finds nothing: use 1 or more.")
    if recipe.validation == 0:
        raise ConfigError("A search is judged by validation error: give the recipe validation samples.")
    if out is not None:
        check_file(Path(out) / f"{recipe.rule.name}.json")
    seeds = seed_list(seeds)
    data = data or load(recipe.dataset)
    names = [name for name in space if has_value(recipe, name) and _matters(recipe, name)]
    settings = describe([recipe, trials, together, list(seeds), [[name, space[name]] for name in names]])
    done = _Done(None if out is None else Path(out) / f"{recipe.rule.name}.trials", [settings, describe_data(data)])
    sampler = optuna.samplers.TPESampler(seed=0, constant_liar=True, n_startup_trials=min(16, trials // 2))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=sampler)
    with ProgressBar(f"search {recipe.rule.name} on {data.name}", trials, shown=progress) as bar:
        while len(study.trials) < trials:
            asked = [study.ask() for _ in range(min(together, trials - len(study.trials)))]
            proposals = [
                {name: trial.suggest_float(name, space[name].low, space[name].high, log=True) for name in names}
                for trial in asked
            ]
            errors = done.take() or done.keep(_errors(recipe, proposals, seeds, data))
            for trial, error in zip(asked, errors, strict=True):
                study.tell(trial, error)
            bar.advance(len(asked))
            bar.note(f"best {study.best_value:.2f}")
    done.forget()
    if not math.isfinite(study.best_value):
        raise ConfigError(f"All {trials} settings diverged: search smaller learning rates, or narrower intervals.")
    errors = tuple(float(trial.value) for trial in study.trials if trial.value is not None)
    return SearchResult(
        recipe.rule.name,
        data.name,
        trials,
        tuple(seeds),
        recipe.schedule.epochs,
        {name: space[name] for name in names},
        study.best_params,
        study.best_value,
        errors,
    )


class _Done:
    """The file of the finished groups of trials.

    Its first line holds the settings of the search, each further line the errors of one group. The
    same search proposes the same settings, so the errors are enough to continue. A file of another
    search is replaced.
    """

    def __init__(self, path: Path | None, settings: Any):
        self._path, self._groups = path, []
        if path is None:
            return
        make_folder(path.parent)
        header = json.dumps(settings)
        lines = path.read_text().splitlines() if path.exists() else []
        if lines[:1] == [header]:
            self._groups = [[FAILED if error is None else error for error in json.loads(line)] for line in lines[1:]]
        else:
            path.write_text(header + "\n")

    def take(self) -> list[float] | None:
        """The errors of the next group, or `None` if it was not run."""
        return self._groups.pop(0) if self._groups else None

    def keep(self, errors: list[float]) -> list[float]:
        """Write the errors of a group. Returns them."""
        if self._path is not None:
            with open(self._path, "a") as file:
                file.write(json.dumps(finite_or_none(errors)) + "\n")
        return errors

    def forget(self) -> None:
        """Remove the file at the end of the search."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _matters(recipe: Recipe, name: str) -> bool:
    """Whether a number is worth searching.

    Fixed feedback has no optimizer, and there the step size only rescales the learning rate. A
    number that is 0 by default stays 0.
    """
    learns = recipe.rule.learns_feedback
    return get_value(recipe, name) != 0 and (learns or name not in ("stepsize", "feedback_optimizer.learning_rate"))


def _errors(recipe: Recipe, proposals: list[dict[str, float]], seeds: Sequence[int], data: Dataset) -> list[float]:
    recipes = [set_values(recipe, proposal) for proposal in proposals for _ in seeds]
    found = train(recipes, data, seeds=list(seeds) * len(proposals), progress=False)
    if found.interrupted:
        raise KeyboardInterrupt
    errors = [
        FAILED if result.diverged else min(record["validation_error"] for record in result.history) for result in found.seeds
    ]
    size = len(seeds)
    return [statistics.fmean(errors[i : i + size]) for i in range(0, len(errors), size)]
