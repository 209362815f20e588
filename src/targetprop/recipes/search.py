"""Hyperparameter search: the same budget for every rule, judged by validation error alone."""

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import optuna

from ..data import Dataset, load
from ..provenance import environment
from ..rules import Rule
from ..train.loggers import ProgressBar
from ..train.result import FINISHED
from ..train.run import train
from ._base import Recipe
from .values import get_value, has_value, set_values

FAILED = 100.0


@dataclasses.dataclass(frozen=True)
class Range:
    """An interval, searched on a logarithmic scale."""

    low: float
    high: float


SPACE: Mapping[str, Range] = {
    "optimizer.learning_rate": Range(1e-4, 3e-2),
    "stepsize": Range(1e-2, 1.0),
    "rule.sigma": Range(1e-3, 3e-1),
    "rule.regulariser.strength": Range(1e-5, 1.0),
    "rule.solver.damping": Range(1e-3, 10.0),
    "rule.damping": Range(1e-3, 10.0),
    "rule.integrator.tau": Range(1e-2, 1.0),
    "rule.curvature_damping": Range(1e-3, 1.0),
    "rule.mu": Range(1e-2, 0.4),
    "feedback_optimizer.learning_rate": Range(1e-4, 3e-2),
}


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """The best values found, their mean validation error over the seeds, and the error of every trial in order."""

    rule: str
    dataset: str
    trials: int
    seeds: tuple[int, ...]
    epochs: int
    space: Mapping[str, Range]
    best: Mapping[str, float]
    validation_error: float
    errors: tuple[float, ...]

    def save(self, folder: Path) -> Path:
        """Write `RULE.json`, with versions and machine."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.rule}.json"
        path.write_text(json.dumps(dataclasses.asdict(self) | environment(), indent=1) + "\n")
        return path


def search(
    recipe: Recipe,
    *,
    trials: int = 48,
    together: int = 8,
    seeds: Sequence[int] = (1000, 1001),
    space: Mapping[str, Range] = SPACE,
    data: Dataset | None = None,
    progress: bool = True,
) -> SearchResult:
    """Search the numbers of `recipe` with the tree of Parzen estimators (Bergstra et al. 2011) on validation error.

    **Arguments:** `trials`, how many settings; `together`, how many run as one program between two proposals; `seeds`, over
    which a setting's best validation error is averaged; `space`, the intervals, of which those count that the recipe has
    a field for. A setting that diverges on any seed gets an error of 100. Fixed sampler seed: the same call proposes the
    same settings.
    """
    data = data or load(recipe.dataset)
    names = [name for name in space if has_value(recipe, name) and _matters(recipe, name)]
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
            for trial, error in zip(asked, _errors(recipe, proposals, seeds, data), strict=True):
                study.tell(trial, error)
            bar.advance(len(asked))
            bar.note(f"best {study.best_value:.2f}")
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


def _matters(recipe: Recipe, name: str) -> bool:
    """Fixed feedback has no optimiser, and the step of a rule without feedback only rescales its learning rate. A rule whose
    weight decay is off by default is searched without it."""
    learns = type(recipe.rule).feedback_gradients is not Rule.feedback_gradients
    return get_value(recipe, name) != 0 and (learns or name not in ("stepsize", "feedback_optimizer.learning_rate"))


def _errors(recipe: Recipe, proposals: list[dict[str, float]], seeds: Sequence[int], data: Dataset) -> list[float]:
    recipes = [set_values(recipe, proposal) for proposal in proposals for _ in seeds]
    results = train(recipes, data, seeds=list(seeds) * len(proposals), progress=False).seeds
    errors = [
        min(record["validation_error"] for record in result.history) if result.status == FINISHED else FAILED
        for result in results
    ]
    size = len(seeds)
    return [statistics.fmean(errors[i : i + size]) for i in range(0, len(errors), size)]
