"""Reader of IDX files, the format of MNIST and similar sets, plain or gzipped.

An IDX file is a big-endian header and the values in row-major order. The header consists of two
zero bytes, a type code, the number of dimensions, and each dimension as a 32-bit number.

The reader knows in advance which shape it must find. So it recognizes a wrong file by its header,
and a damaged header never makes it allocate memory.

Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits".
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from .errors import DataError

_UNSIGNED_BYTE = 0x08
_KINDS = {1: "labels", 3: "images"}


def read_images(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Read images.

    **Arguments:**

    - `path`: the file.
    - `shape`: the expected shape `(count, rows, columns)`.

    **Returns:** the images, uint8.

    **Raises:** `DataError` if the file holds anything else.
    """
    return _read(path, shape)


def read_labels(path: Path, count: int, classes: int) -> np.ndarray:
    """Read labels.

    **Arguments:**

    - `path`: the file.
    - `count`: the expected number of labels.
    - `classes`: all labels must be below this number.

    **Returns:** the labels, int32, shape `(count,)`.

    **Raises:** `DataError` if the file holds anything else.
    """
    labels = _read(path, (count,))
    wrong = np.flatnonzero(labels >= classes)
    if wrong.size:
        raise DataError(f"{path}: label {labels[wrong[0]]} at index {wrong[0]}, expected labels 0 to {classes - 1}")
    return labels.astype(np.int32)


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    expected = struct.pack(f">BBBB{len(shape)}I", 0, 0, _UNSIGNED_BYTE, len(shape), *shape)
    size = len(expected) + math.prod(shape)
    content = _content(path, size + 1)
    if content[: len(expected)] != expected:
        raise DataError(f"{path}: {_describe(content)}, expected {_name(shape)}")
    if len(content) < size:
        raise DataError(f"{path}: truncated after {len(content)} bytes, expected {size} for {_name(shape)}")
    if len(content) > size:
        raise DataError(f"{path}: more bytes follow, expected {size} for {_name(shape)}")
    return np.frombuffer(content, np.uint8, offset=len(expected)).reshape(shape)


def _content(path: Path, limit: int) -> bytes:
    """The first `limit` bytes, unzipped if the name ends in .gz."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(limit)
    except EOFError as error:
        raise DataError(f"{path}: truncated, expected a whole gzip file") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged ({error}), expected a gzip file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}), expected an IDX file") from error


def _name(shape: tuple[int, ...]) -> str:
    kind = _KINDS.get(len(shape), "values")
    return f"IDX {kind} of {' x '.join(str(n) for n in shape)} bytes"


def _describe(content: bytes) -> str:
    """What the header says instead of what was expected."""
    if len(content) < 4 or content[:2] != b"\0\0":
        return f"not an IDX file (begins with {content[:4].hex(' ') or 'nothing'})"
    kind, dimensions = content[2], content[3]
    if kind != _UNSIGNED_BYTE:
        return f"IDX values of type 0x{kind:02x}"
    if len(content) < 4 + 4 * dimensions:
        return f"an IDX header cut short after {len(content)} bytes"
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    return f"holds {_name(shape)}"
