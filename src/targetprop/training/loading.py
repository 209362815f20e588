"""Runs from their folders: settings, histories, and networks."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import equinox as eqx
import jax

from ..data import Dataset, load
from ..errors import ConfigError
from .arguments import recipe_list
from .checkpoint import CHECKPOINT, Checkpoint, CheckpointError, read_checkpoint
from .ensemble import structure
from .kept import BestAndLast, Weights
from .paths import as_path
from .precision import precision
from .recipe import Recipe
from .result import Result, Trained, results_of


@final
@dataclass(frozen=True)
class Config:
    """What `config.json` says of a run.

    **Arguments:**

    - `recipes`: the recipe of each seed.
    - `seeds`: the seeds.
    - `data`: the name of the data set.
    """

    recipes: tuple[Recipe, ...]
    seeds: tuple[int, ...]
    data: str

    @property
    def recipe(self) -> Recipe:
        """The recipe of all seeds. Raises `ConfigError` if each seed has its own."""
        if any(recipe != self.recipes[0] for recipe in self.recipes):
            raise ConfigError(
                "Each seed of this run has its own recipe: take them from `tp.load_run(folder).config.recipes`, "
                "and train with tp.train(recipes, seeds=..)."
            )
        return self.recipes[0]

    def check_named(self) -> None:
        """Raises `ConfigError` if the data set was given in memory, so that no name leads to it."""
        if self.data != self.recipes[0].dataset:
            raise ConfigError(f"The run was trained on data in memory, called {self.data}: give a `dataset`.")

    def load_data(self) -> Dataset:
        """The data set of the run. Raises `ConfigError` if it was given in memory."""
        self.check_named()
        return load(self.data)


def read_config(path: Path | str, recipe: Recipe | Sequence[Recipe] | None = None) -> Config:
    """What a `config.json` says.

    **Arguments:**

    - `path`: the file.
    - `recipe`: the recipe, or one for each seed, if the file cannot describe it. Default: that in
      the file.

    **Raises:** `ConfigError` if it is missing or damaged, or if a class in it is not known.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        described, seeds = document["recipe"], document["seeds"]
        data = document["data"]["name"] if "data" in document else described["dataset"]  # as older versions wrote it
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}: give the config.json of a run.") from None
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is damaged, or is no config.json of a run ({error!r}).") from error
    return _config(described, seeds, data, recipe)


def _config(described: Any, seeds: Sequence[int], data: str, recipe: Recipe | Sequence[Recipe] | None) -> Config:
    if recipe is not None:
        recipes = tuple(recipe_list(recipe, len(seeds)))
    elif isinstance(described, list):
        recipes = tuple(Recipe.from_json(entry) for entry in described)
    else:
        recipes = (Recipe.from_json(described),) * len(seeds)
    return Config(recipes, tuple(seeds), data)


@final
@dataclass(frozen=True)
class Run:
    """A run from its folder.

    **Arguments:**

    - `config`: recipes, seeds and data set.
    - `result`: what `tp.train` returned, or would have returned at the last checkpoint.
    """

    config: Config
    result: Result

    @property
    def recipe(self) -> Recipe:
        """The recipe of all seeds. Raises `ConfigError` if each seed has its own."""
        return self.config.recipe

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds."""
        return self.config.seeds

    @property
    def history(self) -> list[list[dict]]:
        """For each seed, the metrics of every epoch."""
        return [seed.history for seed in self.result.seeds]

    @property
    def best(self) -> Sequence[Trained | None]:
        """For each seed, the network of its best epoch, whose error is the reported one."""
        return self.result.best

    @property
    def last(self) -> Sequence[Trained]:
        """For each seed, the network of its last epoch."""
        return self.result.last


def load_run(folder: Path | str, recipe: Recipe | Sequence[Recipe] | None = None) -> Run:
    """A run from its folder: recipe, seeds, metrics, and networks with their feedback.

    All of it is as it was at the last checkpoint, so a run that was interrupted can be loaded too.
    The data set is not needed. Layers, architectures and rules of your own must be defined before.

    **Arguments:**

    - `folder`: the `out` of the run.
    - `recipe`: the recipe of the run, or one for each seed. It is needed only if a part of it
      cannot be read from a file: a transformation of Optax, or a function as loss.

    **Returns:** the run. A network is `None` in `best` if its seed finished no epoch.

    **Raises:** `CheckpointError` if there is no checkpoint, or if an older version wrote it.
    `ConfigError` if a class is not known.
    """
    checkpoint = read_checkpoint(as_path(folder, "folder") / CHECKPOINT)
    header = checkpoint.header
    try:
        identity, statuses = header["identity"], header["statuses"]
        config = _config(identity["recipe"], identity["seeds"], identity["data"]["name"], recipe)
        results = results_of(dict(zip(config.seeds, statuses, strict=True)), header["records"])
        first, timed = config.recipes[0], header["epochs_timed"] * len(results)
        seconds = header["seconds"] / timed if timed else math.nan
        result = Result(first.rule.name, config.data, header["unit"], results, seconds)
        with precision(first.dtype):
            result.best, result.last = _kept(checkpoint, first, len(results)).trained(config.recipes, results)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise CheckpointError(f"{checkpoint.path} is damaged ({error!r}): train the run again.") from error
    return Run(config, result)


def _kept(checkpoint: Checkpoint, recipe: Recipe, members: int) -> BestAndLast:
    """The weights in a checkpoint: those of the members, which come first, or those at its end."""
    header = checkpoint.header
    like = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((members, *leaf.shape), leaf.dtype) if _is_shape(leaf) else leaf,
        Weights.of(structure(recipe, tuple(header["shape"]), header["outputs"])),
    )
    size = len(jax.tree.leaves(eqx.filter(like, _is_shape)))
    last = checkpoint.part(like, -size if header["last"] else 0)
    best = checkpoint.part(like, -size * (1 + header["last"]) if header["best"] else 0)
    return BestAndLast(best, last, header["best_epochs"])


def _is_shape(leaf: object) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)
