"""Files that are written completely or not at all. A planted symbolic link is not followed."""

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

    **Raises:** `OSError` if it cannot be written. The old file is still there, as after any other
    exception.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_name(path)
    try:
        with open_partial(partial) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except Exception:
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


def partial_name(path: Path) -> Path:
    """Where a file is while it is not yet complete: `NAME.part`."""
    return path.with_name(f"{path.name}.part")


def open_partial(partial: Path, append: bool = False) -> BinaryIO:
    """Open a file that is not yet complete.

    **Arguments:**

    - `partial`: the file.
    - `append`: whether what is in it stays. Otherwise what a killed process left is removed, and
      so is a link, but not what it points to.

    **Raises:** `OSError` if it cannot be opened, or is a link to append to.
    """
    if append:
        return open(partial, "ab", opener=_without_links)
    partial.unlink(missing_ok=True)
    return open(partial, "xb")  # fails if there is something again, a link too


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
