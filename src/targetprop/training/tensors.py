"""Named arrays and text in one file of the safetensors format. Nothing is pickled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._files import whole_file


def write_tensors(path: Path, arrays: Mapping[str, Any], metadata: dict[str, str], previous: Path | None = None) -> None:
    """Write a file completely or not at all.

    **Arguments:**

    - `path`, `previous`: as for `whole_file`.
    - `arrays`: the arrays by name.
    - `metadata`: text by name.

    **Raises:** `OSError` if it cannot be written.
    """
    from safetensors.numpy import save

    content = save({name: np.asarray(array, order="C") for name, array in arrays.items()}, metadata)
    with whole_file(path, previous) as file:
        file.write(content)


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the text of a file.

    **Raises:** `FileNotFoundError` if it does not exist. `ValueError` if it is damaged or cannot
    be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError) as error:
        raise ValueError(str(error)) from error
