"""The errors that are the user's to mend. The command line tells them in one line, without a traceback."""


class UserError(Exception):
    """Something that the caller can mend; the message says what to change."""


class ConfigError(UserError, ValueError):
    """Settings that do not fit each other, the data set, or the run that a folder holds."""
