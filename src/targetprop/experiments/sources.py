"""The sources of published recipes: each registers itself under a name, and is loaded when it is asked for."""

import importlib
from collections.abc import Iterator
from typing import Protocol, cast

from ..training.recipe import Recipe


class Source(Protocol):
    """A module with published configurations."""

    def names(self) -> tuple[str, ...]:
        """The configurations that can be run, as `DATASET/METHOD/..`."""
        ...

    def recipe(self, name: str) -> Recipe:
        """The recipe of one of them."""
        ...


_MODULES: dict[str, str] = {}
_DEFAULTS: list[str] = []


def register(name: str, module: str, *, gives_defaults: bool = False) -> None:
    """Make the configurations of `module` known as `NAME/..`.

    With `gives_defaults`, its recipe `DATASET/RULE` is the default of that rule on that data set, and its network,
    batch size and number of epochs are those of the other rules there.
    """
    _MODULES[name] = module
    if gives_defaults:
        _DEFAULTS.append(name)


def sources() -> tuple[str, ...]:
    """The names of all sources."""
    return tuple(_MODULES)


def source(name: str) -> Source:
    """A source by name."""
    return cast(Source, importlib.import_module(_MODULES[name]))


def recipe_names() -> tuple[str, ...]:
    """The names of all published configurations that can be run."""
    return tuple(f"{name}/{configuration}" for name in sources() for configuration in source(name).names())


def published_default(rule: str, dataset: str) -> Recipe | None:
    """The published recipe that is the default of a rule on a data set, if there is one."""
    configuration = f"{dataset}/{rule}"
    return next((found.recipe(configuration) for found in _default_sources() if configuration in found.names()), None)


def _default_sources() -> Iterator[Source]:
    return (source(name) for name in _DEFAULTS)
