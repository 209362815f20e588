"""An unpickler for the one kind of pickle that CIFAR-10 is published in.

A pickle is a program, and an ordinary unpickler runs whatever the file names. This one makes plain
containers (dict, list, tuple, bytes, text, numbers) and arrays of unsigned bytes. Every other name
is an error. Even the constructors of NumPy are not called with what the file says. Small recorders
stand in for them, and the array is made here, after its shape and length have been compared.

A published file is known by its MD5. Any other file is looked at before it runs. It may only have
the instructions that such a file needs, few containers, and no container twice. So neither deep
nesting nor a small file of huge content reaches the unpickler.
"""

import hashlib
import io
import math
import pickle
import pickletools
import reprlib
from pathlib import Path
from typing import Any, cast, final

import numpy as np

from .errors import DataError

_LIMIT = 64 * 2**20
_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")

CONTAINERS = 64
"""How many containers and arrays a file may have. A published one has 12."""
INSTRUCTIONS = 200_000
"""How many instructions a file may have. A published one has 40,000."""
_DIGITS = 20  # of a whole number
_DIMENSIONS = 8
_NUMBERS = ("INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "BINFLOAT", "FLOAT")
_TEXTS = (
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINBYTES", "SHORT_BINBYTES", "GLOBAL", "STACK_GLOBAL"),
)
_MADE = (
    *("EMPTY_DICT", "DICT", "EMPTY_LIST", "LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("REDUCE", "BUILD"),
)
_PUT = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_GET = ("GET", "BINGET", "LONG_BINGET")
_OTHERS = (
    *("PROTO", "FRAME", "MARK", "STOP", "NONE", "NEWTRUE", "NEWFALSE"),
    *("APPEND", "APPENDS", "SETITEM", "SETITEMS"),
)
_ALLOWED = frozenset((*_NUMBERS, *_TEXTS, *_MADE, *_PUT, *_GET, *_OTHERS))


def read_pickle(path: Path, md5: str | None = None) -> dict[Any, Any]:
    """Read the dictionary in a pickle. Text of Python 2 is read as bytes.

    **Arguments:**

    - `path`: the file.
    - `md5`: the MD5 of the published file.

    **Returns:** the dictionary, with NumPy arrays of uint8.

    **Raises:** `DataError` if the pickle holds anything else than plain containers and arrays of
    unsigned bytes, if it is damaged, or if it is larger than 64 MiB.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LIMIT + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}), expected a CIFAR-10 batch") from error
    if len(content) > _LIMIT:
        raise DataError(f"{path}: more than {_LIMIT} bytes, expected a CIFAR-10 batch")
    try:
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
            _check(content)
        value = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:
        # Damaged bytes can make an unpickler raise nearly any exception.
        raise DataError(
            f"{path}: refused ({type(error).__name__}: {_short(error)}), expected plain values and byte arrays"
        ) from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: holds a {type(value).__name__}, expected a dictionary")
    return {key: item.value if isinstance(item, _Array) else item for key, item in value.items()}


def _check(content: bytes) -> None:
    """Look at the instructions of a pickle. Nothing is run.

    What was stored may be taken again only if it is text, so a container is in one place. Then the
    size of all values is at most that of the file, and their depth the number of containers.

    **Raises:** `UnpicklingError` for an instruction or a number that a CIFAR-10 batch does not
    have. `ValueError` for text or bytes that are longer than the rest of the file.
    """
    stored: set[int] = set()
    texts: set[int] = set()  # the places of text
    made, before = 0, ""
    for number, (operation, found, _) in enumerate(pickletools.genops(content)):
        name, argument = operation.name, cast(Any, found)
        if number >= INSTRUCTIONS:
            raise pickle.UnpicklingError(f"it has more than {INSTRUCTIONS} instructions")
        if name not in _ALLOWED:
            raise pickle.UnpicklingError(f"it has the instruction {name}")
        if name in _NUMBERS and len(repr(argument)) > _DIGITS + 1 and not isinstance(argument, float):
            raise pickle.UnpicklingError(f"it has a number of more than {_DIGITS} digits")
        if name == "FRAME" and argument > len(content):
            raise pickle.UnpicklingError("it has a frame that is longer than the file")
        made += name in _MADE
        if made > CONTAINERS:
            raise pickle.UnpicklingError(f"it has more than {CONTAINERS} containers")
        if name in _PUT:
            place = cast(int, len(stored) if name == "MEMOIZE" else argument)
            if place > len(stored) + 1:  # published files count from 1, those of Python 3 from 0
                raise pickle.UnpicklingError(f"it stores a value at {place}, and has {len(stored)} before")
            stored.add(place)
            (texts.add if before in _TEXTS else texts.discard)(place)
        elif name in _GET and argument not in texts:
            raise pickle.UnpicklingError("it has a container in two places")
        before = name


def _short(value: object) -> str:
    """What an error says of a value or of another error, in at most 200 characters."""
    text = str(value) if isinstance(value, Exception) else reprlib.repr(value)
    return text if len(text) <= 200 else f"{text[:200]} .."


@final
class _Type:
    """Stands in for a NumPy dtype; only unsigned bytes are accepted."""

    __slots__ = ()

    def __init__(self, code: object, *args: object) -> None:
        if code not in ("u1", b"u1", "|u1", b"|u1"):
            raise pickle.UnpicklingError(f"an array of type {_short(code)}")

    def __setstate__(self, state: object) -> None:
        """Byte order and similar settings do not matter for single bytes."""


@final
class _Array:
    """Stands in for a NumPy array until its state is known."""

    __slots__ = ("value",)

    def __init__(self, *args: object) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, column_major, content = state
        if not isinstance(kind, _Type):
            raise pickle.UnpicklingError("an array of something else than unsigned bytes")
        whole = type(shape) is tuple and len(shape) <= _DIMENSIONS and all(type(n) is int and n >= 0 for n in shape)
        if not whole or not isinstance(content, bytes) or math.prod(shape) != len(content):
            raise pickle.UnpicklingError(f"an array whose content does not fill its shape {_short(shape)}")
        self.value = np.frombuffer(content, np.uint8).reshape(shape, order="F" if column_major else "C")


@final
class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if module_name in _MODULES:
            if global_name == "_reconstruct":
                return _Array
            if global_name == "dtype":
                return _Type
            if global_name == "ndarray":
                return "ndarray"
        raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")
