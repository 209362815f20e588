"""Errors that the user can correct, and checks of numbers.

A message names a setting by its field, in backticks: `batch_size`, or `optimizer.learning_rate`
for a field of a part. The command line prints an error in one line, without a traceback. There a
field in backticks becomes the flag: `--batch-size`.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

MOST_COUNTED = 2**31 - 1
"""The largest count or width: programs count with 32 bits."""


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

    Numbers are checked, also those in a tuple, or in an array that is not traced.

    **Raises:** `ConfigError` for the first field that fails.
    """
    _check(owner, names, lambda value: (value > 0) & (value < math.inf), "above 0")


def check_not_negative(owner: object, *names: str) -> None:
    """`check_positive`, but 0 is allowed."""
    _check(owner, names, lambda value: (value >= 0) & (value < math.inf), "0 or above")


def check_fraction(owner: object, *names: str) -> None:
    """`check_positive`, but the range is from 0 to 1, without 1."""
    _check(owner, names, lambda value: (value >= 0) & (value < 1), "from 0 to below 1")


def check_range(owner: object, name: str, fits: Callable[[Any], Any], choice: str) -> None:
    """`check_positive` for another range. `choice` describes it."""
    _check(owner, (name,), fits, choice)


def check_count(owner: object, *names: str, least: int = 1) -> None:
    """`check_positive` for whole numbers: from `least`, 0 or 1, to `MOST_COUNTED`."""
    _check(owner, names, lambda value: value >= least, "above 0" if least else "0 or above")
    _check(owner, names, lambda value: value <= MOST_COUNTED, f"of at most {MOST_COUNTED}")


def _check(owner: object, names: tuple[str, ...], fits: Callable[[Any], Any], choice: str) -> None:
    for name in names:
        field = getattr(owner, name)
        for value in field if isinstance(field, tuple) else (field,):
            known = _known(value)
            if known is not None and not np.all(fits(known)):
                shown = f"{value:g}" if isinstance(value, float | np.floating) else f"{value}"
                raise ConfigError(f"{type(owner).__name__} needs {name} {choice}, not {shown}.")


def _known(value: Any) -> Any:
    """A real number, or an array of them. `None` for what is traced, or no number."""
    if isinstance(value, int | float | np.number):
        return value
    if not (hasattr(value, "shape") and hasattr(value, "dtype")):
        return None
    try:
        found = np.asarray(value)
    except TypeError:  # a traced array
        return None
    return found if found.dtype.kind in "biuf" else None
