"""Markers in the annotations of fields: how a field is written on the command line.

They are used as `Annotated[type, marker]`, and import nothing.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Flattened:
    """The fields of this part are named without the part: `sigma`, not `rule.sigma`."""


@dataclasses.dataclass(frozen=True)
class NoneAs:
    """`None` is written as `word`."""

    word: str
