"""What a search varies: intervals and choices of the numbers of a recipe."""

import dataclasses
import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from .._checks import check_fields, shown
from ..errors import ConfigError
from ..training.ensemble import check_alike
from ..training.recipe import Recipe
from ..training.state import Hyperparameters
from ..training.values import get_value, has_value, set_values


@dataclasses.dataclass(frozen=True)
class Range:
    """An interval from `low` to `high`.

    With `log`, it is searched on a logarithmic scale. For a field that holds a whole number, whole
    numbers are tried.

    **Raises:** `ConfigError` for an interval that is empty or has no logarithm.
    """

    low: float
    high: float
    log: bool = True

    def __post_init__(self):
        numbers = isinstance(self.low, int | float) and isinstance(self.high, int | float)
        if numbers and not (-math.inf < self.low <= self.high < math.inf):
            raise ConfigError(
                f"From {self.low:g} to {self.high:g} is no interval: give finite numbers, the smaller one first."
            )
        check_fields(self)
        if self.log and self.low <= 0:
            raise ConfigError(
                f"The interval from {self.low:g} to {self.high:g} has no logarithm: begin above 0, "
                "or search it on a linear scale."
            )

    @property
    def extremes(self) -> tuple[float, ...]:
        """Both ends."""
        return self.low, self.high


@dataclasses.dataclass(frozen=True)
class OneOf:
    """One of several numbers.

    **Raises:** `ConfigError` if there are none.
    """

    values: tuple[float, ...]

    def __post_init__(self):
        check_fields(self)
        if not self.values:
            raise ConfigError("`OneOf` needs at least one number in `values`.")

    @property
    def extremes(self) -> tuple[float, ...]:
        """All numbers."""
        return self.values


Space = Mapping[str, Range | OneOf]
"""What is tried for each number, by dotted field name."""

SPACE: Space = {
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


def space_of(recipe: Recipe, space: Space) -> dict[str, Range | OneOf]:
    """The part of a space that is searched for a recipe.

    An entry of `SPACE` is left out if the recipe has no such field, or if it does not matter
    there. Any other entry is the user's own.

    **Raises:** `ConfigError` for an entry of the user that the recipe cannot take.
    """
    if not isinstance(space, Mapping) or not space:
        raise ConfigError(f"`space` is {shown(space)}: give a Range or OneOf by the name of each number.")
    found = {}
    for name, values in space.items():
        if not isinstance(name, str) or not isinstance(values, Range | OneOf):
            raise ConfigError(f"`space` has {shown(values)} for {shown(name)}: give a Range or OneOf by a name.")
        if SPACE.get(name) != values:
            _check(recipe, name, values)
        elif not (has_value(recipe, name) and _matters(recipe, name)):
            continue
        found[name] = _typed(values, get_value(recipe, name))
    if not found:
        raise ConfigError(f"There is nothing to search: {recipe.rule.name} has none of {', '.join(space)}.")
    return found


def _matters(recipe: Recipe, name: str) -> bool:
    """Whether a number is worth searching.

    Fixed feedback has no optimizer, and there the step size only rescales the learning rate. A
    number that is 0 by default stays 0.
    """
    learns = recipe.rule.learns_feedback
    return get_value(recipe, name) != 0 and (learns or name not in ("stepsize", "feedback_optimizer.learning_rate"))


def _check(recipe: Recipe, name: str, values: Range | OneOf) -> None:
    if not (has_value(recipe, name) and _is_number(get_value(recipe, name))):
        known = list(_numbers(recipe))
        near = difflib.get_close_matches(name, known, cutoff=0.5) or known
        raise ConfigError(f"The recipe has no number {name!r} to search. It has {', '.join(near)}.")
    try:
        ends = [set_values(recipe, {name: _like(get_value(recipe, name), value)}) for value in values.extremes]
        check_alike([recipe, *ends], range(len(ends) + 1))
    except ConfigError as error:
        raise ConfigError(f"{name!r} cannot be searched: {error}") from error


def _typed(values: Range | OneOf, present: float) -> Range | OneOf:
    """The same in whole numbers if the field holds one, else in floats."""
    if isinstance(values, OneOf):
        return OneOf(tuple(_like(present, value) for value in values.values))
    return Range(_like(present, values.low), _like(present, values.high), values.log)


def _like(present: float, value: float) -> float:
    return round(value) if isinstance(present, int) else float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(recipe: Recipe) -> Iterator[str]:
    """The dotted names of all numbers that may differ between recipes that are trained together."""
    for field in dataclasses.fields(Hyperparameters):
        yield from _numbers_in(getattr(recipe, field.name), field.name)


def _numbers_in(value: Any, name: str) -> Iterator[str]:
    if _is_number(value):
        yield name
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if hasattr(value, field.name):
                yield from _numbers_in(getattr(value, field.name), f"{name}.{field.name}")
