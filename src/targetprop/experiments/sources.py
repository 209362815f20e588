"""The registry of papers: each gives published recipes under its name.

A paper is registered by the name of its module, which is imported only when it is asked for.
"""

import abc
import importlib

from .._sources import REGISTERED
from .._sources import register as register
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


def source_names() -> tuple[str, ...]:
    """The names of all registered papers."""
    return tuple(REGISTERED)


def recipe_source(name: str) -> RecipeSource:
    """The recipes of a registered paper. Imports its module."""
    return importlib.import_module(REGISTERED[name].module).RECIPES


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
    sources = (recipe_source(name) for name, registration in REGISTERED.items() if registration.gives_defaults)
    return next((found.build(configuration) for found in sources if configuration in found.configurations()), None)
