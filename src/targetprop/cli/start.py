"""Where `targetprop train` starts from if no name is given: the settings of a run, or a search."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..experiments.found import found_recipe
from ..training.loading import read_config
from ..training.recipe import Recipe
from .output import flag_value
from .tree import UsageError


class StartingPoint(NamedTuple):
    """A recipe and seeds, on which the flags act."""

    recipe: Recipe
    seeds: tuple[int, ...]


def starting_point(args: Sequence[str]) -> StartingPoint | None:
    """The recipe and the seeds that `--config` or `--from` names, or `None` without these flags.

    **Arguments:**

    - `args`: the words after the verb.
    """
    config, search, dataset = (flag_value(args, flag) for flag in ("--config", "--from", "--dataset"))
    given = [flag for flag, value in (("--config", config), ("--from", search)) if value is not None]
    if not given:
        return None
    if len(given) == 2:
        raise UsageError("--config and --from both name a recipe: give one of them.")
    if not args[0].startswith("-"):
        raise UsageError(f"{given[0]} names the recipe: leave out {args[0]}.")
    if search is not None:
        return StartingPoint(found_recipe(Path(search), dataset), (0,))
    found = read_config(Path(str(config)))
    if dataset is None:
        found.check_named()
    return StartingPoint(found.recipe, found.seeds)


def chosen_seeds(args: Sequence[str], start: StartingPoint) -> tuple[int, ...] | None:
    """The seeds to start again, which need not follow each other. `None` if flags give the seeds."""
    flags = (flag_value(args, flag) for flag in ("--seeds", "--first-seed"))
    return None if any(value is not None for value in flags) else start.seeds
