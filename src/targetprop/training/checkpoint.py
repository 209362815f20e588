"""Checkpoints: the arrays of a run and a header of plain data, in one safetensors file.

A file is written completely or not at all, and the one before it is kept. It has a checksum of
all that it holds, so a damaged one is recognized. Nothing is pickled.
"""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import UserError
from .tensors import read_tensors, write_tensors

LOGGER = logging.getLogger("targetprop")
CHECKPOINT, OLDER = "checkpoint.safetensors", "checkpoint.npz"
"""The name of the file in the folder of a run, and the one that older versions gave it."""
KIND, FORMAT = "targetprop-checkpoint", "2"
AGAIN = "Begin the run again with `overwrite`, or use another `out`."


class CheckpointError(UserError):
    """A checkpoint cannot be used. The message says what to do instead."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    **Arguments:**

    - `path`: the file.
    - `header`: plain data.
    - `arrays`: the arrays, in the order in which they were written.
    """

    path: Path
    header: dict[str, Any]
    arrays: Sequence[np.ndarray]

    def tree(self, like: Any) -> Any:
        """All arrays in the structure of `like`.

        **Arguments:**

        - `like`: a pytree with an array, or its shape and type, in place of each array.

        **Raises:** `CheckpointError` if the arrays do not have the number, shapes and types of
        `like`.
        """
        return self._structured(like, self.arrays)

    def part(self, like: Any, start: int) -> Any:
        """Some arrays in the structure of `like`, from number `start` on.

        A negative number counts from the end. Otherwise as `tree`.
        """
        first = start if start >= 0 else len(self.arrays) + start
        count = len(jax.tree.leaves(eqx.filter(like, _has_shape)))
        return self._structured(like, self.arrays[first : first + count])

    def _structured(self, like: Any, stored: Sequence[np.ndarray]) -> Any:
        dynamic, static = eqx.partition(like, _has_shape)
        leaves, structure = jax.tree.flatten(dynamic)
        expected, found = ([(leaf.shape, str(leaf.dtype)) for leaf in side] for side in (leaves, stored))
        if expected != found:
            raise CheckpointError(
                f"{self.path} was written by another network, rule or optimizer: it does not fit this run. "
                "Use the settings of that run, or another folder as `out`."
            )
        return eqx.combine(jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in stored]), static)


def _has_shape(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


def save_checkpoint(path: Path, tree: Any, header: Mapping[str, Any]) -> None:
    """Write the arrays of `tree` and a `header` of plain data. The file before is kept.

    **Raises:** `OSError` if the file cannot be written. The one before is still there.
    """
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]
    text = json.dumps(header)
    metadata = {"kind": KIND, "format": FORMAT, "header": text, "sha256": _checksum(text, leaves)}
    write_tensors(path, {f"leaf{i}": leaf for i, leaf in enumerate(leaves)}, metadata, previous(path))


def previous(path: Path) -> Path:
    """Where the checkpoint before that at `path` is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def checkpoint_files(folder: Path) -> list[Path]:
    """The checkpoints in the folder of a run, the last one first, one of an older version too."""
    path = folder / CHECKPOINT
    return [file for file in (path, previous(path), folder / OLDER) if file.exists()]


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint at `path`, or the one before it if that is damaged. The log says so.

    **Raises:** `CheckpointError` if there is none, or none that can be used.
    """
    damage: CheckpointError | None = None
    for file in (path, previous(path)):
        try:
            found = _read(file)
        except FileNotFoundError:
            continue
        except CheckpointError as error:
            damage = damage or error
            continue
        if damage is not None:
            LOGGER.warning("%s The one before it is used, %s", damage, file)
        return found
    if damage is not None:
        raise CheckpointError(f"{damage} {AGAIN}")
    if path.with_name(OLDER).exists():
        raise CheckpointError(
            f"{path.with_name(OLDER)} is of an older version of targetprop, which this one does not read: go on with that "
            f"version. {AGAIN}"
        )
    raise CheckpointError(f"There is no checkpoint at {path}: correct the path, or train the run again.")


def _read(path: Path) -> Checkpoint:
    try:
        arrays, metadata = read_tensors(path)
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged ({error}).") from error
    if metadata.get("kind") != KIND:
        raise CheckpointError(f"{path} is not a checkpoint of targetprop.")
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} is of another version of targetprop, which this one does not read.")
    try:
        leaves = [arrays[f"leaf{i}"] for i in range(len(arrays))]
        if _checksum(metadata["header"], leaves) != metadata["sha256"]:
            raise CheckpointError(f"{path} is damaged (its checksum is wrong).")
        return Checkpoint(path, dict(json.loads(metadata["header"])), leaves)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged ({error!r}).") from error


def _checksum(text: str, leaves: Sequence[np.ndarray]) -> str:
    found = hashlib.sha256(text.encode())
    for leaf in leaves:
        found.update(f"{leaf.dtype}{leaf.shape}".encode())
        found.update(np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()
