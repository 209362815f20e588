"""From the fields of a dataclass to flags: the rules by which tyro reads settings of the library."""

import ast
import dataclasses
import inspect
import itertools
import textwrap
import typing
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import tyro
from tyro.constructors import (
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
from .flags import flag
from .parsing import registry
from .plain import rounded


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
        str_from_instance=lambda value: [rounded(words.write(known, value))],
    )


def options_field(options: Any) -> StructFieldSpec:
    """All flags of a command, as one field without a name of its own. `options` is a dataclass."""
    marks = (tyro.conf.AvoidSubcommands, tyro.conf.PositionalMetavarFromFieldName, _UNNAMED)
    hint: Any = Annotated[type(options), *marks]
    return StructFieldSpec("options", hint, options)


def known_flags(options: Any) -> list[str]:
    """All flags of a command."""
    return [flag(name) for name in _names(_fields(options))]


def _names(fields: Iterable[StructFieldSpec], prefix: str = "") -> Iterator[str]:
    for field in fields:
        own = "" if _UNNAMED in getattr(field.type, "__metadata__", ()) else field.name
        inner = _fields(field.default) if _is_part(field) else ()
        yield from _names(inner, f"{prefix}{own}." if own else prefix) if inner else [prefix + own]


def _is_part(field: StructFieldSpec) -> bool:
    """Whether a field has flags for each of its own fields."""
    kind, *marks = typing.get_args(field.type) if typing.get_origin(field.type) is Annotated else [field.type]
    one_flag = words.words_of(kind) or any(isinstance(mark, PrimitiveConstructorSpec) for mark in marks)
    return dataclasses.is_dataclass(field.default) and not one_flag


@registry.struct_rule
def _settings(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A dataclass of the library: markers in its annotations become those of tyro."""
    default = info.default
    if not (dataclasses.is_dataclass(info.type) and isinstance(default, info.type)):
        return None
    preset = _preset(default)
    if preset is None:
        return StructConstructorSpec(instantiate=info.type, fields=_fields(default))

    def create(**values: Any) -> Rule:
        return set_values(default, {preset.fields[name]: value for name, value in values.items()})

    return StructConstructorSpec(instantiate=create, fields=_fields(default))


def _preset(rule: Any) -> Preset[Any] | None:
    """The preset of a rule that is made of its parts. Its flags are the short hyperparameters."""
    preset = RULES.get(rule.name) if isinstance(rule, Rule) else None
    if not isinstance(preset, Preset):
        return None
    return preset if all(has_value(rule, field) for field in preset.fields.values()) else None


def _fields(default: Any) -> tuple[StructFieldSpec, ...]:
    """The fields of a dataclass, with their values without flags."""
    preset = _preset(default)
    if preset is not None:
        return tuple(
            _field(name, parameter.annotation, get_value(default, preset.fields[name]), preset.descriptions[name])
            for name, parameter in preset.parameters.items()
        )
    hints = typing.get_type_hints(type(default), include_extras=True)
    help_lines = _help_lines(type(default))
    names = [field.name for field in dataclasses.fields(default)]
    return tuple(_field(name, hints[name], getattr(default, name), help_lines.get(name)) for name in names)


_UNNAMED = tyro.conf.arg(name="")


def _field(name: str, hint: Any, default: Any, text: str | None) -> StructFieldSpec:
    """A field with its help: an empty default is not shown, nor is `None` if the text explains it."""
    kind: Any = _in_terms_of_tyro(hint)
    explained = default is None and text is not None and "Default:" in text
    if explained or (isinstance(default, tuple) and not default):
        kind = Annotated[kind, tyro.conf.arg(help_behavior_hint="")]
    return StructFieldSpec(name, kind, default, text)


def _in_terms_of_tyro(hint: Any) -> Any:
    for marker in getattr(hint, "__metadata__", ()):
        if isinstance(marker, Flattened):
            return Annotated[hint.__origin__, _UNNAMED]
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
