"""A named rule: a function that returns its parts, with a name, an equation and a source."""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, ParamSpec

from .target_propagation import ABOUT, About, TargetPropagation

Parameters = ParamSpec("Parameters")


class Preset(Generic[Parameters]):
    """A named rule: a function that returns its parts, with a name, an equation and a source.

    The parameters of the function are the short hyperparameters of the rule. Each of them becomes
    one field of the parts.
    """

    def __init__(self, build: Callable[Parameters, TargetPropagation], name: str):
        self._build, self.name = build, name
        functools.update_wrapper(self, build)

    def __call__(self, *args: Parameters.args, **values: Parameters.kwargs) -> TargetPropagation:
        return dataclasses.replace(self._build(*args, **values), name=self.name)

    @property
    def equation(self) -> str:
        """The formula of the target updates."""
        return ABOUT[self.name].equation

    @property
    def source(self) -> str:
        """The papers, with the number of the equation."""
        return ABOUT[self.name].source

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The short hyperparameters by name."""
        return inspect.signature(self._build, eval_str=True).parameters

    @property
    def descriptions(self) -> dict[str, str]:
        """The description of each short hyperparameter in the docstring."""
        found = re.findall(r"^- `(\w+)`: (.*?)(?=\n- |\n\n|\Z)", inspect.getdoc(self) or "", re.MULTILINE | re.DOTALL)
        return {name: " ".join(text.split()) for name, text in found}

    @functools.cached_property
    def fields(self) -> dict[str, str]:
        """The dotted name of the field that each short hyperparameter becomes.

        Example: `sigma` becomes `learner.noise.sigma`.
        """
        marks = {name: _fresh(parameter.default, i) for i, (name, parameter) in enumerate(self.parameters.items())}
        build: Callable[..., TargetPropagation] = self._build
        values = dict(_fields(build(**marks)))
        return {name: next(path for path, value in values.items() if value is mark) for name, mark in marks.items()}


def preset(
    name: str, *, equation: str, source: str
) -> Callable[[Callable[Parameters, TargetPropagation]], Preset[Parameters]]:
    """Turn a function that returns the parts of a rule into a named rule."""
    ABOUT[name] = About(equation, source)
    return lambda build: Preset(build, name)


def _fresh(default: Any, number: int) -> Any:
    """A value of the type of `default` that differs from all others."""
    if isinstance(default, int):
        return 1_000_000 + number
    return float(1 + number) if isinstance(default, float) else dataclasses.replace(default)


def _fields(part: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(part) if dataclasses.is_dataclass(part) else ():
        value = getattr(part, field.name)
        yield prefix + field.name, value
        yield from _fields(value, f"{prefix}{field.name}.")
