"""The errors that are the user's to mend, and the checks of numbers. The command line tells an error in one line, without a
traceback."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np


class UserError(Exception):
    """Something that the caller can mend; the message says what to change."""


class ConfigError(UserError, ValueError):
    """Settings that do not fit each other, the data set, or the run that a folder holds."""


def check_positive(owner: object, *names: str) -> None:
    """Raises `ConfigError` for the first of the named fields that is a number, or a tuple with one, and not finite and above
    0; arrays are taken on trust."""
    _check(owner, names, lambda value: 0 < value < math.inf, "above 0")


def check_not_negative(owner: object, *names: str) -> None:
    """`check_positive`, but 0 will do."""
    _check(owner, names, lambda value: 0 <= value < math.inf, "0 or above")


def check_fraction(owner: object, *names: str) -> None:
    """`check_positive`, but for numbers from 0 on and below 1."""
    _check(owner, names, lambda value: 0 <= value < 1, "0 or above, and below 1")


def _check(owner: object, names: tuple[str, ...], fits: Callable[[Any], bool], choice: str) -> None:
    for name in names:
        field = getattr(owner, name)
        for value in field if isinstance(field, tuple) else (field,):
            if isinstance(value, int | float | np.number) and not fits(value):
                raise ConfigError(f"{type(owner).__name__} takes no {name} = {value:g}: choose it {choice}.")
