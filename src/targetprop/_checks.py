"""Checks of what a caller gives: the fields of an object by their annotations, arguments by class.

They look at types, and at the values of plain numbers. They never wait for a device, and cost
nothing in a compiled program. JAX is not imported here, since the data room does without it.
"""

import dataclasses
import functools
import inspect
import math
import operator
import reprlib
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from .errors import MOST_COUNTED, ConfigError


def check_fields(owner: Any) -> None:
    """Check that each field of a dataclass holds what its annotation says.

    The default of a field is always accepted, and so is a traced array in place of a number that is
    not compiled in.

    **Raises:** `ConfigError` for the first field that does not.
    """
    for field, hint in _annotated(type(owner)):
        value = getattr(owner, field.name)
        fits = _fits(hint, value) and not (field.metadata.get("static") and _is_array(value))
        if value is not field.default and not fits:
            raise ConfigError(f"{type(owner).__name__} needs {_in_words(hint)} as {field.name}, not {shown(value)}.")


def check_given(owner: Any, name: str) -> None:
    """Raises `ConfigError` if a field is an empty tuple."""
    if getattr(owner, name) == ():
        raise ConfigError(f"{type(owner).__name__} has no {name}: give one or more, as a tuple.")


def check_is(name: str, value: Any, kind: type | tuple[type, ...], advice: str = "") -> None:
    """Check the class of an argument.

    **Arguments:**

    - `name`: the name of the argument.
    - `value`: what was given.
    - `kind`: the class that it must have, or several.
    - `advice`: what to give.

    **Raises:** `TypeError` if the value has another class.
    """
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = " or ".join(WORDS.get(one) or _article(one.__name__) for one in kinds)
        raise TypeError(f"`{name}` is {shown(value)}, not {wanted}" + (f": {advice}." if advice else "."))


def check_sizes(name: str, sizes: Any, least: int = 1) -> tuple[int, ...]:
    """The widths or axes that a caller gives, as a tuple of plain numbers.

    **Arguments:**

    - `name`: the name of the argument.
    - `sizes`: what was given.
    - `least`: how many there must be.

    **Raises:** `ConfigError` unless they are whole numbers from 1 to `MOST_COUNTED`.
    """
    if isinstance(sizes, Sequence | np.ndarray) and not isinstance(sizes, str) and len(sizes) >= least:
        found = [whole(size) for size in sizes]
        if all(size is not None and 1 <= size <= MOST_COUNTED for size in found):
            return tuple(size for size in found if size is not None)
    count = f"{least} or more " if least > 1 else ""
    raise ConfigError(f"`{name}` is {shown(sizes)}: give {count}whole numbers from 1 to {MOST_COUNTED}, such as (64, 10).")


def check_number(name: str, value: Any, fits: Callable[[Any], bool] = lambda value: value >= 0) -> None:
    """Check a number that is no field. Traced arrays are accepted.

    **Arguments:**

    - `name`: the name of the argument.
    - `value`: what was given.
    - `fits`: the range. Default: 0 or above.

    **Raises:** `ConfigError` unless it is a finite number in the range.
    """
    if not _is_real(value) or (isinstance(value, int | float | np.number) and not (math.isfinite(value) and fits(value))):
        raise ConfigError(f"`{name}` is {shown(value)}: use a finite number, not a negative one.")
    if isinstance(value, np.ndarray) and not (np.isfinite(value).all() and np.all(fits(value))):
        raise ConfigError(f"`{name}` is {shown(value)}: use finite numbers, none of them negative.")


def check_array(name: str, value: Any, advice: str = "") -> None:
    """Check that an argument is an array of real numbers, traced or not.

    **Raises:** `TypeError` if it is none.
    """
    if not (hasattr(value, "shape") and hasattr(value, "dtype")):
        raise TypeError(f"`{name}` is {shown(value)}, not an array: {advice or 'use jnp.asarray'}.")


def whole(value: Any) -> int | None:
    """A whole number as a plain one, or `None` for anything else, such as 2.0 or `True`."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


@functools.cache
def _annotated(kind: type) -> tuple[tuple[dataclasses.Field, Any], ...]:
    """The fields of a class with their annotations. Empty if these cannot be read."""
    try:
        hints = typing.get_type_hints(kind)
    except (NameError, TypeError, AttributeError):  # a class of a user, with names of a function
        return ()
    return tuple((field, hints[field.name]) for field in dataclasses.fields(kind) if field.init and field.name in hints)


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value may stand in a field with this annotation. An unknown annotation fits."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(one, value) for one in args)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in args)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = [args[0]] * len(value) if args[1:] == (Ellipsis,) else args
        return len(kinds) == len(value) and all(map(_fits, kinds, value))
    if hint is float:
        return _is_real(value)
    if hint is int:
        return whole(value) is not None
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    if callable(origin) and not inspect.isclass(origin):
        return callable(value)
    if inspect.isclass(origin):
        return isinstance(value, origin)
    return not _is_plain_class(hint) or isinstance(value, hint)


def _is_plain_class(hint: Any) -> bool:
    """Whether an annotation is a class whose objects `isinstance` finds: not one of jaxtyping."""
    protocol = getattr(hint, "_is_protocol", False)
    return (
        inspect.isclass(hint) and hint is not Any and not protocol and not hasattr(hint, "dims") and hint is not np.ndarray
    )


def _is_array(value: Any) -> bool:
    """Whether a value is an array of NumPy or JAX. A scalar of NumPy is none."""
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, np.generic)


def _is_real(value: Any) -> bool:
    """Whether a value is a real number, or an array of such, and not `nan`."""
    if isinstance(value, int | float | np.number):
        return not isinstance(value, bool) and not isinstance(value, np.complexfloating) and value == value
    dtype = getattr(value, "dtype", None)
    if dtype is None or not hasattr(value, "shape"):
        return False
    real = getattr(dtype, "kind", "") in ("f", "i", "u") or "float" in str(dtype)  # bfloat16 has a kind of its own
    return real and not (isinstance(value, np.ndarray) and bool(np.isnan(value).any()))


WORDS: dict[Any, str] = {
    float: "a number",
    int: "a whole number",
    str: "a string",
    bool: "True or False",
    type(None): "None",
}


def _in_words(hint: Any) -> str:
    """What an annotation asks for."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint in WORDS:
        return WORDS[hint]
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_in_words(one) for one in args)
    if origin is Literal:
        return " or ".join(map(repr, args))
    if origin is tuple:
        return f"a tuple, each entry {_in_words(args[0])},"
    if origin is not None:
        return "a function" if not inspect.isclass(origin) or "Callable" in str(origin) else _article(origin.__name__)
    return f"an object of the class {getattr(hint, '__name__', hint)}"


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def shown(value: Any) -> str:
    """A value in a message: short, and a class as a class."""
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    if isinstance(value, bool | int | float | str | np.number) or value is None:
        return reprlib.repr(value)
    if isinstance(value, tuple | list):
        return reprlib.repr(value)
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array {value.dtype} {tuple(value.shape)}"
    return _article(type(value).__name__)
