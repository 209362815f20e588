"""The errors that are the user's to mend. The command line tells them in one line, without a traceback."""


class UserError(Exception):
    """Something that the caller can mend; the message says what to change."""


class ConfigError(UserError, ValueError):
    """Settings that do not fit each other, the data set, or the run that a folder holds."""


def check_positive(owner: object, *names: str) -> None:
    """Raises `ConfigError` for the first of the named fields that is a number and not above 0; arrays are taken on trust."""
    for name in names:
        value = getattr(owner, name)
        if isinstance(value, int | float) and not value > 0:
            raise ConfigError(f"{type(owner).__name__} takes no {name} = {value:g}: choose it above 0.")
