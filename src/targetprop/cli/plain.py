"""Plain values on the command line: numbers, texts, paths, tuples of them, and `None`.

Errors say in plain words what does not fit, and numbers are shown with four digits.
"""

import re
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tyro.constructors import PrimitiveConstructorSpec, PrimitiveTypeInfo

from .parsing import registry

_CALLED = {int: "whole number", float: "number", str: "text", Path: "path"}
_LONG_NUMBER = re.compile(r"(?<![\w.])\d+\.\d{4,}(?:e[+-]?\d+)?(?!\w)")


def rounded(text: str) -> str:
    """A text in which numbers have four digits."""
    return _LONG_NUMBER.sub(lambda number: f"{float(number[0]):.4g}", text)


@registry.primitive_rule
def _plain(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    return _spec(info.type)


def _spec(kind: Any) -> PrimitiveConstructorSpec | None:
    """How a plain value is read and shown. `None` for other types."""
    if kind in _CALLED:
        return _one(kind)
    parts = typing.get_args(kind)
    if typing.get_origin(kind) is tuple and parts[1:] == (Ellipsis,) and parts[0] in _CALLED:
        return _several(_one(parts[0]))
    others = [part for part in parts if part is not type(None)]
    inner = _spec(others[0]) if len(others) == 1 < len(parts) else None
    return None if inner is None else _or_none(inner)


def _one(kind: type) -> PrimitiveConstructorSpec:
    def read(args: Sequence[str]) -> Any:
        try:
            return kind(args[0])
        except ValueError:
            raise ValueError(f"{args[0]!r} is not a {_CALLED[kind]}") from None

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.__name__.upper(),
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, kind),
        str_from_instance=lambda value: [rounded(str(value)) if kind is float else str(value)],
    )


def _several(one: PrimitiveConstructorSpec) -> PrimitiveConstructorSpec:
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=f"[{one.metavar} ...]",
        instance_from_str=lambda args: tuple(one.instance_from_str([arg]) for arg in args),
        is_instance=lambda value: isinstance(value, tuple) and all(map(one.is_instance, value)),
        str_from_instance=lambda value: [text for part in value for text in one.str_from_instance(part)],
    )


def _or_none(inner: PrimitiveConstructorSpec) -> PrimitiveConstructorSpec:
    return PrimitiveConstructorSpec(
        nargs=inner.nargs,
        metavar=inner.metavar,
        instance_from_str=lambda args: None if args == ["None"] else inner.instance_from_str(args),
        is_instance=lambda value: value is None or inner.is_instance(value),
        str_from_instance=lambda value: ["None"] if value is None else inner.str_from_instance(value),
    )
