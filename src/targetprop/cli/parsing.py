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

from ..training.annotations import Flattened, NoneAs
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
    """A dataclass whose fields have markers of the library.

    The markers are translated into those of tyro. A default must be given."""
    if not (dataclasses.is_dataclass(info.type) and isinstance(info.default, info.type)):
        return None
    hints = typing.get_type_hints(info.type, include_extras=True)
    if not any(isinstance(marker, Flattened | NoneAs) for hint in hints.values() for marker in _markers(hint)):
        return None
    help_lines = _help_lines(info.type)
    fields = (
        StructFieldSpec(
            name=field.name,
            type=_in_terms_of_tyro(hints[field.name]),
            default=getattr(info.default, field.name),
            helptext=help_lines.get(field.name),
        )
        for field in dataclasses.fields(info.type)
    )
    return StructConstructorSpec(instantiate=info.type, fields=tuple(fields))


def _markers(hint: Any) -> tuple[Any, ...]:
    return getattr(hint, "__metadata__", ())


def _in_terms_of_tyro(hint: Any) -> Any:
    for marker in _markers(hint):
        if isinstance(marker, Flattened):
            return Annotated[hint.__origin__, tyro.conf.arg(name="")]
        if isinstance(marker, NoneAs):
            return Annotated[hint.__origin__, _one_of(words.words_of(hint.__origin__, marker.word))]
    return hint


def _help_lines(kind: type) -> dict[str, str]:
    """The strings below the fields of a class."""
    source = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    (body,) = (node.body for node in source.body if isinstance(node, ast.ClassDef))
    found = {}
    for field, below in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            found[field.target.id] = " ".join(ast.literal_eval(below.value).split())
    return found


def parse(kind: type, *, default: Any = None, args: list[str], verb: str, description: str) -> Any:
    """Read a dataclass from the arguments of a verb. Raises `UsageError` where they do not fit."""
    options = {} if default is None else {"default": default}
    message = io.StringIO()
    try:
        with registry, contextlib.redirect_stderr(message):
            return tyro.cli(
                kind,
                args=args,
                prog=f"targetprop {verb}",
                description=description,
                config=(tyro.conf.AvoidSubcommands,),
                **options,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(f"{_plain(message.getvalue())} (see targetprop {verb} --help)") from None


def _plain(boxed: str) -> str:
    """The first paragraph of a framed message, and the flags that the user may have meant."""
    lines = [line.strip(" │") for line in boxed.splitlines() if not line.startswith(("╭", "╰"))]
    said = " ".join(itertools.takewhile(lambda line: not line.startswith("──"), lines)).strip()
    meant = [line.split()[0] for line in lines if line.startswith("--")]
    return f"{said}. Perhaps you meant {' or '.join(meant)}" if meant else said
