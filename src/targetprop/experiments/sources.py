"""The registry of papers: each gives published recipes under its name.

A paper is registered by the name of its module, which is imported only when it is asked for.
"""

import abc
import importlib
from typing import NamedTuple

from ..errors import ConfigError
from ..training.recipe import Recipe


class RecipeSource(abc.ABC):
    """The published recipes of one paper.

    A module that is registered holds an object of this type in its attribute `RECIPES`.
    """

    @abc.abstractmethod
    def configurations(self) -> tuple[str, ...]:
        """The names of all configurations that can be run, as `DATASET/METHOD/..`."""

    @abc.abstractmethod
    def build(self, name: str) -> Recipe:
        """The recipe of a configuration.

        **Arguments:**

        - `name`: one of `configurations()`.

        **Returns:** its recipe.

        **Raises:** `ConfigError` for an unknown name.
        """

    def check_name(self, name: str) -> None:
        """Raises `ConfigError` for a name that is not one of `configurations()`."""
        if name not in self.configurations():
            raise ConfigError(f"There is no configuration {name!r} in {type(self).__name__}.")


class _Registration(NamedTuple):
    module: str
    gives_defaults: bool


_REGISTERED: dict[str, _Registration] = {}


def register(name: str, module: str, *, gives_defaults: bool = False) -> None:
    """Make the recipes of a paper known as `NAME/..`.

    **Arguments:**

    - `name`: the short name of the paper.
    - `module`: the full name of a module whose attribute `RECIPES` is a `RecipeSource`.
    - `gives_defaults`: whether the recipe `DATASET/RULE` of the paper is the default of that rule
      on that data set. The other rules then get the network, the batch size and the number of
      epochs that the paper has there for backpropagation.
    """
    _REGISTERED[name] = _Registration(module, gives_defaults)


def source_names() -> tuple[str, ...]:
    """The names of all registered papers."""
    return tuple(_REGISTERED)


def recipe_source(name: str) -> RecipeSource:
    """The recipes of a registered paper. Imports its module."""
    return importlib.import_module(_REGISTERED[name].module).RECIPES


def recipe_names() -> tuple[str, ...]:
    """The names of all published configurations that can be run, as `SOURCE/DATASET/METHOD/..`."""
    return tuple(f"{name}/{one}" for name in source_names() for one in recipe_source(name).configurations())


def published_default(rule: str, dataset: str) -> Recipe | None:
    """The published recipe that is the default of a rule on a data set.

    **Arguments:**

    - `rule`: the name of a rule.
    - `dataset`: the name of a data set.

    **Returns:** the recipe, or `None` where no paper has one.
    """
    configuration = f"{dataset}/{rule}"
    sources = (recipe_source(name) for name, registration in _REGISTERED.items() if registration.gives_defaults)
    return next((found.build(configuration) for found in sources if configuration in found.configurations()), None)
