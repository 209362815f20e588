"""Words that stand for objects on the command line: `leaky-relu:0.1`, `trained:sigmoid`.

- A class declares its word: `word: ClassVar[str] = "tanh"`.
- A field has the words of all subclasses of its annotated class. Those that a user defines count.
"""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from ..training.building import family

Words = Mapping[str, type]
"""The class that each word stands for; `type(None)` for the word of `None`."""


def words_of(kind: Any, none: str | None = None) -> Words:
    """The words of a field that is annotated as `kind`, in the order of definition of the classes.

    Empty if there are none. With `none`, the annotation is a class or `None`, and `none` is the
    word of `None`.
    """
    if none is not None:
        (kind,) = (part for part in typing.get_args(kind) if part is not type(None))
        return {none: type(None), **words_of(kind)}
    return {one.word: one for one in family(kind) if "word" in vars(one)}


def usage(words: Words) -> str:
    """How the words are written: `{NAME[:FIELD[:FIELD]],..}`."""
    return "{" + ",".join(_usage(word, kind) for word, kind in words.items()) + "}"


def _usage(word: str, kind: type) -> str:
    fields = [name for name, inner, default in _fields(kind) if inner or _is_number(default)]
    return word + "".join(f"[:{name}" for name in fields) + "]" * len(fields)


def read(words: Words, text: str) -> Any:
    """The object that `text` stands for.

    Its parts are separated by colons. After the word come, in order, the fields that are numbers
    and the fields that have words. The last numbers can be left out, and any field with words.
    Raises `ValueError` if the text does not fit.
    """
    parts = text.split(":")
    value = _read(words, parts)
    if parts:
        raise ValueError(f"{parts[0]!r} in {text!r} is one field too many, or a name that does not belong there")
    return value


def _read(words: Words, parts: list[str]) -> Any:
    """The object that `parts` begin with. Its parts are removed."""
    name = parts.pop(0)
    if name not in words:
        raise ValueError(f"{name!r} is not one of {', '.join(words)}")
    kind = words[name]
    if kind is type(None):
        return None
    values = {}
    for field, inner, default in _fields(kind):
        if not inner and parts and _is_number(default):
            values[field] = type(default)(parts.pop(0))
        elif inner and parts and parts[0] in inner:
            values[field] = _read(inner, parts)
    return kind(**values)


def write(words: Words, value: Any) -> str:
    """The text that `read` makes `value` from."""
    parts = [word for word, kind in words.items() if kind is type(value)]
    for name, inner, _ in _fields(type(value)):
        part = getattr(value, name)
        if inner:
            parts.append(write(inner, part))
        elif _is_number(part):
            parts.append(str(part))
    return ":".join(parts)


def _fields(kind: type) -> list[tuple[str, Words, Any]]:
    """Name, words and default of each field of a class."""
    if not dataclasses.is_dataclass(kind):
        return []
    hints = typing.get_type_hints(kind)
    return [(field.name, words_of(hints[field.name]), field.default) for field in dataclasses.fields(kind)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
