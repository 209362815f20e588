"""Conversion and checks of the arguments of `train`: seeds, recipes and data."""

from collections.abc import Iterable, Sized
from typing import Any, SupportsIndex

from .._checks import check_is, shown, whole
from .._memory import check_memory
from ..data import Dataset
from ..diagnostics import Probe
from ..errors import ConfigError
from ..rules import Rule
from .callbacks import Callback
from .recipe import Recipe

Seeds = SupportsIndex | Iterable[SupportsIndex]
END = 2**32
SEED_BYTES = 4096
"""What a run of the smallest network takes at least: its parameters and metrics."""


def seed_list(seeds: Seeds) -> list[int]:
    """The seeds as plain integers.

    **Arguments:**

    - `seeds`: a number `n` for the seeds 0 .. n-1, or the seeds themselves.

    **Returns:** the seeds.

    **Raises:** `ConfigError` if a seed is not a whole number of 32 bits.
    """
    count = whole(seeds)
    given = range(min(count, END)) if count is not None else seeds
    if not isinstance(given, Iterable) or isinstance(given, str | bytes):
        raise ConfigError(f"`seeds` is {shown(seeds)}: give the number of seeds, or a list of whole numbers.")
    _check_number_of_seeds(count if count is not None else len(given) if isinstance(given, Sized) else 0)
    found = []
    for seed in given:
        found.append(check_seed(seed))
        if len(found) % 2**16 == 0:  # there may be no end
            _check_number_of_seeds(len(found))
    return found


def check_seed(seed: Any) -> int:
    """A seed as a plain integer.

    **Raises:** `ConfigError` unless it is a whole number of 32 bits.
    """
    found = whole(seed)
    if found is None:
        raise ConfigError(f"`seeds` has {shown(seed)}, which is not a seed: use whole numbers from 0 to {END - 1}.")
    if not 0 <= found < END:
        raise ConfigError(f"{found} is not a seed: use whole numbers from 0 to {END - 1}.")
    return found


def _check_number_of_seeds(count: int) -> None:
    check_memory(count * SEED_BYTES, f"`seeds` is too large: {count} runs")


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


def check_arguments(checkpoint_every: Any, probe: Any, callbacks: Any) -> None:
    """Check how often checkpoints are written, the probe, and the callbacks.

    **Raises:** `ConfigError` for a number out of range, `TypeError` for another kind of object.
    """
    if (whole(checkpoint_every) or 0) < 1:
        raise ConfigError(f"`checkpoint_every` is {shown(checkpoint_every)} epochs: use 1 or more.")
    check_is("probe", probe, (Probe, type(None)), "give tp.Probe()")
    check_is("callbacks", callbacks, (list, tuple), "give a list of callbacks")
    for callback in callbacks:
        check_is("callbacks", callback, Callback, "give a list of callbacks")


def check_data(data: Any) -> None:
    """Raises `TypeError` if `data` is neither a data set nor `None`."""
    if data is not None and not isinstance(data, Dataset):
        hint = f"write tp.load({data!r})" if isinstance(data, str) else "write tp.Dataset.from_arrays(x, y)"
        raise TypeError(f"`data` is a {type(data).__name__}, not a data set: {hint}.")
