"""What the annotation of a recipe's field says to whoever asks a user for its value: the command line does so.

The markers stand in `Annotated[type, marker]` and import nothing.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Flattened:
    """The fields of this part are asked for without the name of the part: `sigma`, not `rule.sigma`."""


@dataclasses.dataclass(frozen=True)
class NoneAs:
    """`None` is written as `word`."""

    word: str
