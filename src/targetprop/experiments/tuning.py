"""Hyperparameter search: the same budget for every rule, judged by the validation error only."""

import dataclasses
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._checks import check_is, shown, whole
from .._files import write_whole
from ..data import Dataset, load
from ..errors import ConfigError
from ..training.arguments import Seeds, check_data, seed_list
from ..training.bars import ProgressBar
from ..training.callbacks import Callback
from ..training.paths import as_path, check_file, make_folder
from ..training.provenance import describe, describe_data, environment, first_difference
from ..training.recipe import Recipe
from ..training.result import SeedResult, finite_or_none
from ..training.run import train
from ..training.values import set_values
from .space import SPACE, Space, space_of

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, Trial

    from .study import SharedStudy

FAILED = math.inf


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search found.

    - `rule`, `dataset`: the names of the rule and of the data set.
    - `trials`, `seeds`, `epochs`: the number of settings, the seeds of each, and their epochs.
    - `space`: the intervals and choices that were searched, by dotted field name.
    - `best`: the best values, by dotted field name.
    - `validation_error`: the mean validation error of the best values over the seeds.
    - `errors`: the validation error of every trial, in order. Of a trial that was pruned, it is
      the best one until then.
    """

    rule: str
    dataset: str
    trials: int
    seeds: tuple[int, ...]
    epochs: int
    space: Space
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
        write_whole(path, json.dumps(finite_or_none(dataclasses.asdict(self) | environment()), indent=1) + "\n")
        return path


def search(
    recipe: Recipe,
    *,
    trials: int = 48,
    together: int = 8,
    seeds: Seeds = (1000, 1001),
    space: Space = SPACE,
    prune: bool = False,
    data: Dataset | None = None,
    out: Path | str | None = None,
    storage: "str | BaseStorage | None" = None,
    name: str | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> SearchResult:
    """Tune the numbers of a recipe on the validation error.

    The settings are proposed by the tree-structured Parzen estimator (TPE). Its seed is fixed, so
    the same call proposes the same settings. A setting that diverges for any seed is worse than
    all others.

    All trials are kept in the storage. The same call continues an interrupted search there, and
    returns at once if the search is done. It may run in several processes at the same time: they
    share the trials and end together. A process that is killed loses the trials that it was
    running, `together` at most. The others run them again.

    **Arguments:**

    - `recipe`: what is trained.
    - `trials`: the number of settings.
    - `together`: how many settings run as one program between two proposals.
    - `seeds`: the seeds over which the best validation error of a setting is averaged.
    - `space`: a `Range` or `OneOf` by dotted field name. Entries of `SPACE` that the recipe has
      no field for are ignored.
    - `prune`: whether a setting is given up when its best validation error is above the median of
      the others at the same epoch. This begins after 5 trials, and a quarter of the epochs.
    - `data`: a data set in memory, used instead of the one that the recipe names.
    - `out`: a folder. Without `storage`, the trials are kept in its file `RULE.journal`.
    - `storage`: the URL of a database that keeps the trials, or a storage of Optuna.
    - `name`: the name of the study in the storage. `None`: "RULE on DATASET".
    - `overwrite`: whether a search of other settings is replaced, with its trials and its file.
    - `progress`: whether a bar is shown on standard error.

    **Returns:** the best values.

    **Raises:** `ConfigError` for a recipe without validation samples, for a space that does not
    fit it, if the storage or the folder has a search of other settings with this name, or if every
    setting diverges. `KeyboardInterrupt` if interrupted.

    Source: Bergstra et al. 2011.
    """
    check_is("recipe", recipe, Recipe, "write tp.recipe(name)")
    for field, number in (("trials", trials), ("together", together)):
        if (whole(number) or 0) < 1:
            raise ConfigError(f"`{field}` is {shown(number)}: use 1 or more.")
    check_is("prune", prune, bool)
    check_is("name", name, (str, type(None)))
    check_data(data)
    out = None if out is None else as_path(out)
    if recipe.validation == 0:
        raise ConfigError("A search is judged by validation error: give the recipe validation samples.")
    if out is not None:
        check_file(out / f"{recipe.rule.name}.json")
    seeds = seed_list(seeds)
    if not seeds:
        raise ConfigError("`seeds` is empty: give one at least.")
    space = space_of(recipe, space)
    data = data or load(recipe.dataset)
    title = f"{recipe.rule.name} on {data.name}"
    settings = {
        "space": {field: dataclasses.asdict(values) for field, values in space.items()},
        "recipe": describe(set_values(recipe, {field: values.extremes[0] for field, values in space.items()})),
        "data": describe_data(data),
        "seeds": seeds,
        "prune": prune,
    }

    journal = None
    if out is not None and storage is None:
        make_folder(out)
        journal = out / f"{recipe.rule.name}.journal"

    from .study import SharedStudy, open_storage, open_study  # Optuna takes a second to import

    settings = json.loads(json.dumps(settings))  # as it is read from the storage
    if out is not None and not overwrite:
        _check_same(Path(out) / f"{recipe.rule.name}.json", data.name, recipe.schedule.epochs, settings)
    startup = min(16, trials // 2)
    study = open_study(open_storage(storage, journal), name or title, settings, startup, overwrite)
    shared = SharedStudy(study, space, trials, together)
    objective = _Objective(recipe, seeds, data, prune)
    with ProgressBar(f"search {title}", trials, shown=progress) as bar:
        done = shared.work(lambda group: objective.run(shared, group), bar)
    best = min([trial for trial in done if trial.state.name == "COMPLETE"] or done, key=_value)
    if not math.isfinite(_value(best)):
        raise ConfigError(f"All {trials} settings diverged: search smaller learning rates, or narrower intervals.")
    return SearchResult(
        recipe.rule.name,
        data.name,
        trials,
        tuple(seeds),
        recipe.schedule.epochs,
        space,
        best.params,
        _value(best),
        tuple(map(_value, done)),
    )


def _check_same(path: Path, dataset: str, epochs: int, settings: Mapping[str, Any]) -> None:
    """Check that a file at `path` is of the same search.

    **Raises:** `ConfigError` if it is of another one, or of something else.
    """
    if not path.exists():
        return
    now = {"dataset": dataset, "epochs": epochs, "seeds": settings["seeds"], "space": settings["space"]}
    try:
        document = dict(json.loads(path.read_text(encoding="utf-8")))
        difference = first_difference({name: document[name] for name in now}, now, "")
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} is not the file of a search ({error!r}): move it away, or use another `out`.") from error
    if difference:
        raise ConfigError(
            f"{path} is of another search: {difference.lstrip('.')}. Use another `out`, or replace it with `overwrite`."
        )


def _value(trial: "FrozenTrial") -> float:
    """The validation error of a finished trial."""
    return FAILED if trial.value is None else trial.value


@dataclasses.dataclass(frozen=True)
class _Objective:
    """What is minimized: the validation error of a recipe, averaged over some seeds.

    **Arguments:**

    - `recipe`, `seeds`, `data`: what is trained.
    - `prune`: whether trials are given up early.
    """

    recipe: Recipe
    seeds: Sequence[int]
    data: Dataset
    prune: bool

    def run(self, shared: "SharedStudy", group: "Sequence[Trial]") -> None:
        """Train the settings of some trials as one program, and keep the results."""
        watch = shared.pruning(group, self.recipe.schedule.epochs) if self.prune else None
        began = time.perf_counter()
        found = self.errors([trial.params for trial in group], watch)
        seconds = (time.perf_counter() - began) / len(group)
        for trial, errors in zip(group, found, strict=True):
            shared.tell(trial, errors, seconds, pruned=watch is not None and trial.number in watch.pruned)

    def errors(self, proposals: Sequence[Mapping[str, float]], watch: Callback | None) -> list[list[float]]:
        """The best validation error of each seed, for each of some settings."""
        recipes = [set_values(self.recipe, proposal) for proposal in proposals for _ in self.seeds]
        seeds = list(self.seeds) * len(proposals)
        found = train(recipes, self.data, seeds=seeds, callbacks=[] if watch is None else [watch], progress=False)
        if found.interrupted:
            raise KeyboardInterrupt
        errors = [best_error(result) for result in found.seeds]
        size = len(self.seeds)
        return [errors[i : i + size] for i in range(0, len(errors), size)]


def best_error(result: SeedResult) -> float:
    """The best validation error of a seed. Infinite if it diverged."""
    return FAILED if result.diverged else min(record["validation_error"] for record in result.history)
