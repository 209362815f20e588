"""The seeds, recipes and data of a run, in any form in which they may be given."""

import operator
from collections.abc import Iterable
from typing import Any, SupportsIndex

from ..data import Dataset
from ..errors import ConfigError
from ..rules import Rule
from .recipe import Recipe

Seeds = SupportsIndex | Iterable[SupportsIndex]
END = 2**32


def seed_list(seeds: Seeds) -> list[int]:
    """A number `n`, for the seeds 0 .. n-1, or the seeds themselves, as plain integers. Raises `ConfigError` for seeds that
    are not whole numbers of 32 bits."""
    try:
        found = [operator.index(seed) for seed in (seeds if isinstance(seeds, Iterable) else range(operator.index(seeds)))]
    except TypeError:
        raise ConfigError(f"The seeds {seeds!r} are no whole numbers: give their number, or a list of them.") from None
    for seed in found:
        if not 0 <= seed < END:
            raise ConfigError(f"There is no seed {seed}: choose seeds from 0 to {END - 1}.")
    return found


def recipe_list(recipe: Any, members: int) -> list[Recipe]:
    """One recipe for each member: a recipe for all of them, or theirs. Raises `TypeError` for anything else."""
    if isinstance(recipe, str | Rule):
        what = repr(recipe) if isinstance(recipe, str) else "rule"
        raise TypeError(f"A {type(recipe).__name__} is no recipe: write tp.recipe({what}).")
    recipes = [recipe] * members if isinstance(recipe, Recipe) or not isinstance(recipe, Iterable) else list(recipe)
    for each in recipes:
        if not isinstance(each, Recipe):
            raise TypeError(f"{each!r} is no recipe: give a Recipe, or one for each seed.")
    return recipes


def check_data(data: Any) -> None:
    """Raises `TypeError` for what is neither a data set nor `None`."""
    if data is not None and not isinstance(data, Dataset):
        hint = f"write tp.load({data!r})" if isinstance(data, str) else "make a tp.Dataset of it"
        raise TypeError(f"The data are a {type(data).__name__}, no data set: {hint}.")
