"""Readers of the batch files of CIFAR-10: the binary layout and the pickled one.

Both give the same arrays. An image is 1,024 red, 1,024 green, then 1,024 blue bytes, each plane
row by row. So a flattened image has the order (channel, row, column).

Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009, and its data
page.
"""

from pathlib import Path

import numpy as np

from .errors import DataError
from .unpickle import read_pickle

SHAPE = (3, 32, 32)
CLASSES = 10
_PIXELS = 3072


def read_binary_batch(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Read a .bin file, in which each record is one byte for the label and the bytes of the image.

    **Arguments:**

    - `path`: the file.
    - `count`: the expected number of images.

    **Returns:** the images, uint8, shape `(count, 3072)`, and the labels, int32, shape `(count,)`.

    **Raises:** `DataError` if the length is wrong or a label is not a class.
    """
    size = count * (1 + _PIXELS)
    try:
        with path.open("rb") as file:
            content = file.read(size + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}), expected a CIFAR-10 batch") from error
    if len(content) != size:
        found = "more than that" if len(content) > size else f"truncated after {len(content)}"
        raise DataError(f"{path}: expected {size} bytes ({count} records of {1 + _PIXELS}), found {found}")
    records = np.frombuffer(content, np.uint8).reshape(count, 1 + _PIXELS)
    return records[:, 1:], _checked_labels(path, records[:, 0])


def read_pickled_batch(path: Path, count: int, md5: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Read a pickle of the Python layout, with the arguments and results of `read_binary_batch`.

    `md5` is that of the published file. A file with another one is checked more closely.

    **Raises:** `DataError` if the arrays or labels are wrong, or if the pickle holds anything else
    than byte arrays and plain containers.
    """
    batch = read_pickle(path, md5)
    images, labels = batch.get(b"data"), batch.get(b"labels")
    if not isinstance(images, np.ndarray) or images.shape != (count, _PIXELS):
        found = f"an array {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise DataError(f"{path}: its 'data' is {found}, expected a byte array {(count, _PIXELS)}")
    if not isinstance(labels, list) or len(labels) != count or any(type(label) is not int for label in labels):
        raise DataError(f"{path}: expected 'labels' to be a list of {count} whole numbers")
    return images, _checked_labels(path, np.array(labels))


def _checked_labels(path: Path, labels: np.ndarray) -> np.ndarray:
    wrong = np.flatnonzero((labels < 0) | (labels >= CLASSES))
    if wrong.size:
        raise DataError(f"{path}: label {labels[wrong[0]]} at index {wrong[0]}, expected labels 0 to {CLASSES - 1}")
    return labels.astype(np.int32)
