"""Reading the flags of a verb into a dataclass, with tyro."""

import ast
import contextlib
import dataclasses
import inspect
import io
import itertools
import textwrap
import typing
from typing import Annotated, Any

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from ..rules import RULES, Preset, Rule
from ..training.annotations import Flattened, NoneAs
from ..training.values import get_value, has_value, set_values
from . import words
from .output import UsageError

registry = ConstructorRegistry()


@registry.primitive_rule
def _object(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """A field whose class has words."""
    known = words.words_of(info.type)
    return _one_of(known) if known else None


def _one_of(known: words.Words) -> PrimitiveConstructorSpec:
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=words.usage(known),
        instance_from_str=lambda args: words.read(known, args[0]),
        is_instance=lambda value: type(value) in known.values(),
        str_from_instance=lambda value: [words.write(known, value)],
    )


@registry.struct_rule
def _annotated(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A dataclass of the library: markers in its annotations become those of tyro.

    An empty default is not printed, nor is `None` if the help line says "Default: ..."."""
    if not (dataclasses.is_dataclass(info.type) and isinstance(info.default, info.type)):
        return None
    preset = RULES.get(info.default.name) if isinstance(info.default, Rule) else None
    if isinstance(preset, Preset) and all(has_value(info.default, field) for field in preset.fields.values()):
        return _short(preset, info.default)
    hints = typing.get_type_hints(info.type, include_extras=True)
    help_lines = _help_lines(info.type)
    names = [field.name for field in dataclasses.fields(info.type)]
    fields = (_field(name, hints[name], getattr(info.default, name), help_lines.get(name)) for name in names)
    return StructConstructorSpec(instantiate=info.type, fields=tuple(fields))


def _short(preset: Preset[Any], default: Rule) -> StructConstructorSpec:
    """A rule made of the parts of its preset: its flags are the short hyperparameters."""
    fields = tuple(
        _field(name, parameter.annotation, get_value(default, preset.fields[name]), preset.descriptions[name])
        for name, parameter in preset.parameters.items()
    )

    def create(**values: Any) -> Rule:
        return set_values(default, {preset.fields[name]: value for name, value in values.items()})

    return StructConstructorSpec(instantiate=create, fields=fields)


def _field(name: str, hint: Any, default: Any, text: str | None) -> StructFieldSpec:
    kind: Any = _in_terms_of_tyro(hint)
    explained = default is None and text is not None and "Default:" in text
    if explained or (isinstance(default, tuple) and not default):
        kind = Annotated[kind, tyro.conf.arg(help_behavior_hint="")]
    return StructFieldSpec(name, kind, default, text)


def _in_terms_of_tyro(hint: Any) -> Any:
    for marker in getattr(hint, "__metadata__", ()):
        if isinstance(marker, Flattened):
            return Annotated[hint.__origin__, tyro.conf.arg(name="")]
        if isinstance(marker, NoneAs):
            return Annotated[hint.__origin__, _one_of(words.words_of(hint.__origin__, marker.word))]
    return hint


def _help_lines(kind: type) -> dict[str, str]:
    """The strings below the fields of a dataclass and of those that it inherits from."""
    found = {}
    for one in (one for one in reversed(kind.__mro__) if dataclasses.is_dataclass(one)):
        try:
            source = ast.parse(textwrap.dedent(inspect.getsource(one)))
        except OSError:  # a class without a file, typed into an interpreter
            continue
        (body,) = (node.body for node in source.body if isinstance(node, ast.ClassDef))
        for field, below in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                found[ast.unparse(field.target)] = " ".join(ast.literal_eval(below.value).split())
    return found


def parse(kind: type, *, default: Any = None, args: list[str], verb: str, description: str) -> Any:
    """Read a dataclass from the arguments of a verb. `default` has the values without flags.

    Raises `UsageError` where the arguments do not fit."""
    message = io.StringIO()
    try:
        with registry, contextlib.redirect_stderr(message):
            return tyro.cli(
                kind,
                args=args,
                prog=f"targetprop {verb}",
                description=description,
                config=(tyro.conf.AvoidSubcommands,),
                default=kind() if default is None else default,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(f"{_plain(message.getvalue()).rstrip('.')} (see targetprop {verb} --help)") from None


def _plain(boxed: str) -> str:
    """The first paragraph of a framed message, and the flags that the user may have meant."""
    lines = [line.strip(" │") for line in boxed.splitlines() if not line.startswith(("╭", "╰"))]
    said = " ".join(itertools.takewhile(lambda line: not line.startswith("──"), lines)).strip()
    meant = [line.split()[0] for line in lines if line.startswith("--")]
    return f"{said}. Perhaps you meant {' or '.join(meant)}" if meant else said
