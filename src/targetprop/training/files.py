"""Files that are written completely or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def whole_file(path: Path, previous: Path | None = None) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` at the end.

    After a crash at any moment, the file at `path` is either the old one or the new one.

    **Arguments:**

    - `path`: the file. Its folder is made if it does not exist.
    - `previous`: where the old file is kept. After a crash between the two moves, it is there, and
      nothing is at `path`. Default: the old file is not kept.

    **Raises:** `OSError` if it cannot be written. The old file is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    try:
        with open(partial, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)  # on a full disk it would take the room of the next attempt
        raise
    if previous is not None and path.exists():
        os.replace(path, previous)
    os.replace(partial, path)


def write_whole(path: Path, text: str) -> None:
    """Write a text file completely or not at all."""
    with whole_file(path) as file:
        file.write(text.encode())
