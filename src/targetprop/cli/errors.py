"""The errors that are the user's to mend, told in one line instead of a traceback."""

from ..data import DataError
from ..provenance import ConfigError
from ..recipes import UnknownRecipeError
from ..train.checkpoint import CheckpointError
from .output import UsageError

USER_ERRORS = (DataError, ConfigError, UnknownRecipeError, CheckpointError, UsageError)
