"""Checkpoints: one `.npz` file with plain arrays and a JSON header.

A file is written completely or not at all. Nothing is pickled.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import UserError
from .files import whole_file

CHECKPOINT = "checkpoint.npz"
"""The name of the file in the folder of a run."""


class CheckpointError(UserError):
    """A checkpoint cannot be used. The message says what to do instead."""


def save_checkpoint(path: Path, tree: Any, header: dict) -> None:
    """Write the arrays of `tree` and a `header` of plain data, completely or not at all."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]
    arrays: dict[str, Any] = {f"leaf{i}": leaf for i, leaf in enumerate(leaves)}
    with whole_file(path) as file:
        np.savez(file, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)


def load_header(path: Path) -> dict:
    """The header of a checkpoint. Raises `CheckpointError` if the file is missing or damaged."""
    return _read(path, lambda file: json.loads(file["header"].tobytes()))


def load_checkpoint(path: Path, like: Any) -> Any:
    """The arrays of a checkpoint in the structure of `like`.

    **Raises:** `CheckpointError` if the file is missing or damaged, or if its arrays do not have
    the number, shapes and types of `like`.
    """
    return _in_structure(path, like, _read(path, lambda file: [file[f"leaf{i}"] for i in range(len(file.files) - 1)]))


def load_part(path: Path, like: Any, start: int) -> Any:
    """Some arrays of a checkpoint in the structure of `like`.

    **Arguments:**

    - `path`: the file.
    - `like`: a pytree with an array, or its shape and type, in place of each array.
    - `start`: the number of the first array. A negative number counts from the end.

    **Raises:** `CheckpointError` as `load_checkpoint` does.
    """
    count = len(jax.tree.leaves(eqx.filter(like, _has_shape)))

    def read(file):
        first = start if start >= 0 else len(file.files) - 1 + start
        return [file[f"leaf{i}"] for i in range(first, first + count)]

    return _in_structure(path, like, _read(path, read))


def _has_shape(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


def _in_structure(path: Path, like: Any, stored: list[np.ndarray]) -> Any:
    dynamic, static = eqx.partition(like, _has_shape)
    leaves, structure = jax.tree.flatten(dynamic)
    expected, found = ([(leaf.shape, str(leaf.dtype)) for leaf in side] for side in (leaves, stored))
    if expected != found:
        raise CheckpointError(
            f"{path} was written by another network, rule or optimizer: it does not fit this run. "
            "Use the settings in its config.json, or another folder as `out`."
        )
    return eqx.combine(jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in stored]), static)


def _read(path: Path, read):
    try:
        with np.load(path, allow_pickle=False) as file:
            return read(file)
    except FileNotFoundError:
        raise CheckpointError(
            f"There is no checkpoint at {path}: leave out `resume` to begin a run there "
            "(`overwrite` replaces one), or correct the path."
        ) from None
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is damaged ({error}): delete it and start again without `resume`.") from error
