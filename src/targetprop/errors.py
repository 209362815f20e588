"""Errors that the user can correct, and checks of numbers.

A message names a setting by its field, in backticks: `batch_size`, or `optimizer.learning_rate`
for a field of a part. The command line prints an error in one line, without a traceback. There a
field in backticks becomes the flag: `--batch-size`.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np


class UserError(Exception):
    """An error that the caller can correct. The message says what to change.

    - `status`: the exit status of the command line.
    """

    status = 2


class ConfigError(UserError, ValueError):
    """Settings that do not fit each other, the data set, or the run in a folder."""


class UnknownRecipeError(ConfigError):
    """No recipe or rule has that name. The message lists similar names."""


def check_positive(owner: object, *names: str) -> None:
    """Check that the named fields are finite and above 0.

    Numbers are checked, and numbers in a tuple. Arrays are not.

    **Raises:** `ConfigError` for the first field that fails.
    """
    _check(owner, names, lambda value: 0 < value < math.inf, "above 0")


def check_not_negative(owner: object, *names: str) -> None:
    """`check_positive`, but 0 is allowed."""
    _check(owner, names, lambda value: 0 <= value < math.inf, "0 or above")


def check_fraction(owner: object, *names: str) -> None:
    """`check_positive`, but the range is from 0 to 1, without 1."""
    _check(owner, names, lambda value: 0 <= value < 1, "from 0 to below 1")


def _check(owner: object, names: tuple[str, ...], fits: Callable[[Any], bool], choice: str) -> None:
    for name in names:
        field = getattr(owner, name)
        for value in field if isinstance(field, tuple) else (field,):
            if isinstance(value, int | float | np.number) and not fits(value):
                raise ConfigError(f"{type(owner).__name__} needs {name} {choice}, not {value:g}.")
