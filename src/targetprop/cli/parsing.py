"""From a command line to a call: the tree of commands as subcommands of tyro.

tyro builds a subcommand when it is chosen. So the help of all verbs loads no verb, and the flags
of a verb may depend on the words before them: `train dtp` has other flags than `train bp`.
"""

import dataclasses
import difflib
import itertools
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Union

import tyro
from tyro import _errors as events
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from .tree import Call, Command, Group, NoOptions, UsageError

PROG = "targetprop"
COMPLETION = "--tyro-print-completion"

registry = ConstructorRegistry()
"""How tyro reads what is no plain value. `fields` adds the settings of the library to it."""


class Subcommand:
    """The type of a subcommand. Each has a class of its own, since tyro tells them apart by it."""

    @staticmethod
    def open() -> StructConstructorSpec:
        """The names or the flags that follow it. Only the chosen subcommand is asked."""
        raise NotImplementedError


class Reader:
    """Reads one command line.

    **Arguments:**

    - `root`: all commands.
    - `args`: the words of the command line, without the name of the program.
    """

    def __init__(self, root: Group, args: Sequence[str]):
        self.args = list(args)
        self.completing = self.args[:1] == [COMPLETION]
        self.nodes: dict[tuple[str, ...], Command | Group] = {}
        self.root = self._type((), lambda: root)

    def read(self, description: str) -> Call:
        """What the command line asks for.

        Prints the help and raises `SystemExit` where it asks for help.

        **Arguments:**

        - `description`: the head of the help.

        **Raises:** `UsageError` where the arguments do not fit. Errors of the settings themselves
        are raised as they are.
        """
        self._check_empty()
        try:
            with registry, events.on_parse_error(self._refuse):
                call: Any = tyro.cli(self.root, args=self.args, prog=PROG, description=description)
        except SystemExit as stop:
            if not stop.code:
                raise
            raise UsageError(f"The arguments do not fit{self._see_help()}") from None
        return call

    def _check_empty(self) -> None:
        """Raises `UsageError` for a flag with an empty value: an empty path would be this folder."""
        for word, following in itertools.pairwise([*self.args, "end"]):
            if word.startswith("--") and (following == "" or (word.endswith("=") and word != "--=")):
                raise UsageError(f"{word.removesuffix('=')} is empty: give a value, or leave out the flag.")

    def _type(self, path: tuple[str, ...], node: Callable[[], Command | Group]) -> type[Subcommand]:
        def load() -> StructConstructorSpec:
            self.nodes[path] = found = node()
            return _flags(found) if isinstance(found, Command) else self._names(path, found)

        return type("Subcommand", (Subcommand,), {"open": staticmethod(load)})

    def _names(self, path: tuple[str, ...], group: Group) -> StructConstructorSpec:
        choices = [self._choice((*path, name), line, group) for name, line in group.names.items()]
        word = self._word_after(path)
        if self.completing:  # there may be hundreds of further names, and their flags would fill megabytes
            bare = dataclasses.replace(group, choose=lambda name: Command(NoOptions(), int))
            choices += [self._choice((*path, name), "", bare) for name in group.more()]
        elif word not in group.names and not word.startswith("-") and word in group.more():
            choices.append(self._choice((*path, word), "", group))
        choices.append(Annotated[None, tyro.conf.Suppress])  # a union has two members or more
        kind: Any = Annotated[Union[tuple(choices)], tyro.conf.arg(name="")]  # noqa: UP007 (as many as there are)
        return StructConstructorSpec(lambda call: call, (StructFieldSpec("call", kind, tyro.MISSING),))

    def _choice(self, path: tuple[str, ...], line: str, group: Group) -> Any:
        name = path[-1]
        kind = self._type(path, lambda: group.choose(name))
        default = name == group.default
        return Annotated[Any, tyro.conf.subcommand(name, constructor=kind, description=line, is_default=default)]

    def _word_after(self, path: tuple[str, ...]) -> str:
        return next(iter(self.args[len(path) :]), "-")

    # What is wrong, in one line

    def _path(self) -> tuple[str, ...]:
        """The words that chose a command or a group."""
        return max((path for path in self.nodes if tuple(self.args[: len(path)]) == path), key=len, default=())

    def _see_help(self) -> str:
        return f" (see {' '.join([PROG, *self._path()])} --help)"

    def _refuse(self, event: events.ParseErrorEvent) -> None:
        match event:
            case events.MissingSubcommand():
                raise self._missing_name()
            case events.UnrecognizedArgs(tokens=tokens):
                raise self._unrecognized(tokens)
            case events.MissingArgs(missing_arguments=missing):
                said = "needs " + " and ".join(_name(one.arg) for one in missing)
            case events.InvalidChoice(argument=argument, value=value, choices=choices):
                said = f"{_name(argument)}: {value!r} is not one of {', '.join(choices)}"
            case events.BadValue(argument=argument):
                said = f"{_name(argument)} needs a value"
            case events.InstantiationFailure(message=message, argument=argument):
                said = message.rstrip(".") if argument is None else f"{_name(argument)}: {message}".rstrip(".")
            case _:
                return
        raise UsageError(said + self._see_help())

    def _missing_name(self) -> UsageError:
        path = self._path()
        group = self.nodes[path]
        assert isinstance(group, Group)
        verb = " ".join([PROG, *path])
        return UsageError(f"{verb} needs a name first, {group.what}: {verb} {next(iter(group.names))} ...")

    def _unrecognized(self, tokens: Sequence[str]) -> UsageError:
        from . import fields

        path = self._path()
        node, word = self.nodes[path], self._word_after(path)
        if isinstance(node, Group):
            if not word.startswith("-"):
                return node.refuse(word)
            if node.default is None:
                return self._missing_name()
            node = self.nodes[*path, node.default]
        given = [token.partition("=")[0] for token in tokens if token.startswith("-")]
        if not given:
            return UsageError(f"unexpected {' '.join(tokens)}{self._see_help()}")
        known = fields.known_flags(node.options) if isinstance(node, Command) else []
        close = [near for flag in given for near in difflib.get_close_matches(flag, known, n=2, cutoff=0.75)]
        meant = f". Perhaps you meant {' or '.join(dict.fromkeys(close))}" if close else ""
        return UsageError(f"there is no {' '.join(given)} here{meant}{self._see_help()}")


def _flags(command: Command) -> StructConstructorSpec:
    from . import fields  # its rules read the settings of the library

    field = fields.options_field(command.options)
    return StructConstructorSpec(lambda options: Call(command, options), (field,))


@registry.struct_rule
def _subcommand(info: StructTypeInfo) -> StructConstructorSpec | None:
    chosen = isinstance(info.type, type) and issubclass(info.type, Subcommand)
    return info.type.open() if chosen else None


def _name(argument: Any) -> str:
    """The flag of an argument, or the word for it if it has none."""
    return argument.lowered.metavar if argument.is_positional() else argument.lowered.name_or_flags[-1]
