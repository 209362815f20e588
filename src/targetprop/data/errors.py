"""The error of the data room."""

from typing import final

from ..errors import UserError


@final
class DataError(UserError):
    """A data set is not there, is damaged, or does not fit.

    The message names the file or the array, what was expected, and what to do about it. Options
    with invalid values raise `ConfigError` instead.
    """
