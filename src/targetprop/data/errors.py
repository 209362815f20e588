"""The one error type of the data room."""

from __future__ import annotations

from typing import final

from targetprop.errors import UserError


@final
class DataError(UserError):
    """A data set cannot be loaded. The message names the file, what was expected, and what to do."""
