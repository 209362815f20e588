"""An unpickler for the one kind of pickle that CIFAR-10 is published in.

A pickle is a program, and an ordinary unpickler runs whatever the file names. This one makes plain
containers (dict, list, tuple, bytes, text, numbers) and arrays of unsigned bytes. Every other name
is an error. Even the constructors of NumPy are not called with what the file says. Small recorders
stand in for them, and the array is made here, after its shape and length have been compared.
"""

import io
import math
import pickle
from pathlib import Path
from typing import Any, final

import numpy as np

from .errors import DataError

_LIMIT = 64 * 2**20
_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")


def read_pickle(path: Path) -> dict[Any, Any]:
    """Read the dictionary in a pickle. Text of Python 2 is read as bytes.

    **Arguments:**

    - `path`: the file.

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
        value = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:
        # Damaged bytes can make an unpickler raise nearly any exception.
        raise DataError(
            f"{path}: refused ({type(error).__name__}: {error}), expected plain values and byte arrays"
        ) from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: holds a {type(value).__name__}, expected a dictionary")
    return {key: item.value if isinstance(item, _Array) else item for key, item in value.items()}


@final
class _Type:
    """Stands in for a NumPy dtype; only unsigned bytes are accepted."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Byte order and similar settings do not matter for single bytes."""


@final
class _Array:
    """Stands in for a NumPy array until its state is known."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, column_major, content = state
        if not isinstance(kind, _Type):
            raise pickle.UnpicklingError("an array of something else than unsigned bytes")
        if not isinstance(content, bytes) or math.prod(shape) != len(content):
            raise pickle.UnpicklingError(f"an array whose content does not fill its shape {shape}")
        self.value = np.frombuffer(content, np.uint8).reshape(shape, order="F" if column_major else "C")


@final
class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if module_name in _MODULES:
            if global_name == "_reconstruct":
                return self._array
            if global_name == "dtype":
                return self._type
            if global_name == "ndarray":
                return "ndarray"
        raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")

    def _array(self, *args: object) -> _Array:
        return _Array()

    def _type(self, code: object, *args: object) -> _Type:
        if code not in ("u1", b"u1", "|u1", b"|u1"):
            raise pickle.UnpicklingError(f"an array of type {code!r}")
        return _Type()
