"""What a command line is made of: commands, and groups of them by name. It imports nothing heavy."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import UserError


class UsageError(UserError):
    """The arguments of the command are wrong. The message says what to write instead."""


@dataclasses.dataclass(frozen=True)
class Command:
    """The end of a command line: its flags, and what runs with them.

    **Arguments:**

    - `options`: a dataclass whose fields are the flags, with their values without flags. A field
      that must be given has the value `tyro.MISSING`.
    - `run`: takes the options that were read, and returns the exit status.
    """

    options: Any
    run: Callable[[Any], int]


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """A command without flags."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Commands by name: the next word of the command line chooses one.

    **Arguments:**

    - `what`: what a name stands for, as in "a rule".
    - `names`: the names, each with a line about it for the help.
    - `choose`: the command or group that a name stands for. It is asked for the chosen one alone.
    - `more`: further names, which the help does not list.
    - `default`: the name that is meant if there is none.
    - `unknown`: raises the error for a name that is not known. Default: the error lists all names.
    """

    what: str
    names: Mapping[str, str]
    choose: "Callable[[str], Command | Group]"
    more: Callable[[], Sequence[str]] = tuple
    default: str | None = None
    unknown: Callable[[str], Any] | None = None

    def refuse(self, name: str) -> UsageError:
        """The error for a name that is not known."""
        if self.unknown is not None:
            self.unknown(name)
        *_, noun = self.what.split(maxsplit=1)
        return UsageError(f"no {noun} is called {name!r}; the {noun}s are {', '.join(self.names)}.")


@dataclasses.dataclass(frozen=True)
class Call:
    """A command with the options that were read."""

    command: Command
    options: Any

    def __call__(self) -> int:
        return self.command.run(self.options)
