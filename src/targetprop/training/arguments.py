"""Conversion and checks of the arguments of `train`: seeds, recipes and data."""

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
    """The seeds as plain integers.

    **Arguments:**

    - `seeds`: a number `n` for the seeds 0 .. n-1, or the seeds themselves.

    **Returns:** the seeds.

    **Raises:** `ConfigError` if a seed is not a whole number of 32 bits.
    """
    try:
        found = [operator.index(seed) for seed in (seeds if isinstance(seeds, Iterable) else range(operator.index(seeds)))]
    except TypeError:
        raise ConfigError(f"`seeds` is {seeds!r}: give the number of seeds, or a list of whole numbers.") from None
    for seed in found:
        if not 0 <= seed < END:
            raise ConfigError(f"{seed} is not a seed: use whole numbers from 0 to {END - 1}.")
    return found


def recipe_list(recipe: Any, members: int) -> list[Recipe]:
    """One recipe for each member.

    **Arguments:**

    - `recipe`: one recipe for all members, or a sequence with one recipe for each.
    - `members`: the number of members.

    **Returns:** the recipes.

    **Raises:** `TypeError` for anything else.
    """
    if isinstance(recipe, str | Rule):
        what = repr(recipe) if isinstance(recipe, str) else "rule"
        raise TypeError(f"A {type(recipe).__name__} is not a recipe: write tp.recipe({what}).")
    recipes = [recipe] * members if isinstance(recipe, Recipe) or not isinstance(recipe, Iterable) else list(recipe)
    for each in recipes:
        if not isinstance(each, Recipe):
            raise TypeError(f"{each!r} is not a recipe: give a Recipe, or one for each seed.")
    return recipes


def check_data(data: Any) -> None:
    """Raises `TypeError` if `data` is neither a data set nor `None`."""
    if data is not None and not isinstance(data, Dataset):
        hint = f"write tp.load({data!r})" if isinstance(data, str) else "write tp.Dataset.from_arrays(x, y)"
        raise TypeError(f"`data` is a {type(data).__name__}, not a data set: {hint}.")
