"""From the fields of the library to the flags of the command line."""

import re

_FIELD = re.compile(r"`([a-z]\w*(?:\.[a-z]\w*)*)`")


def flag(field: str) -> str:
    """The flag of a field: `--batch-size`, or `--optimizer.b1` for `optimizer.b1`."""
    return "--" + field.replace("_", "-")


def with_flags(message: str) -> str:
    """A message of the library in terms of the command line: fields in backticks become flags."""
    return _FIELD.sub(lambda field: flag(field[1]), message)
