"""Damaged result files. They are named and left out, and never lost.

A report leaves out what it cannot read. Each file is named in the log once, and in the report.
"""

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

from ..errors import UserError

LOGGER = logging.getLogger("targetprop")
T = TypeVar("T")


class DamagedFileError(UserError):
    """A file of a result cannot be read.

    **Arguments:**

    - `path`: the file.
    - `reason`: why it cannot be read.
    """

    def __init__(self, path: Path, reason: str):
        super().__init__(f"{path} cannot be read ({reason}).")
        self.path, self.reason = path, reason


def read_file(path: Path, parse: Callable[[str], T]) -> T:
    """What `parse` makes of the text of a file.

    **Arguments:**

    - `path`: the file.
    - `parse`: may raise an `OSError`, a `ValueError`, or what comes of an entry that is not there
      or has the wrong type.

    **Raises:** `DamagedFileError` if it cannot be read.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DamagedFileError(path, error.strerror or str(error)) from error
    except KeyError as error:
        raise DamagedFileError(path, f"there is no {error}") from error
    except (AttributeError, IndexError, RecursionError, TypeError, ValueError) as error:
        raise DamagedFileError(path, str(error)) from error


_named: set[tuple[Path, str, int]] = set()
_noted: ContextVar[dict[Path, str] | None] = ContextVar("noted", default=None)


def leave_out(error: DamagedFileError) -> None:
    """Name a damaged file in the log, once for each of its states, and in the report."""
    noted = _noted.get()
    if noted is not None:
        noted[error.path] = error.reason
    state = (error.path.absolute(), error.reason, error.path.stat().st_mtime_ns if error.path.exists() else 0)
    if state not in _named:
        _named.add(state)
        LOGGER.warning("%s cannot be read (%s): what it holds is left out", error.path, error.reason)


@contextlib.contextmanager
def damage_noted() -> Iterator[dict[Path, str]]:
    """A context that collects what is left out in it: the reason for each file."""
    noted: dict[Path, str] = {}
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


def set_aside(damaged: Sequence[Path], others: Sequence[Path] = ()) -> list[Path]:
    """Keep files that are about to be written anew, as `NAME.old`, `NAME.old2`, ..

    **Arguments:**

    - `damaged`: these are moved.
    - `others`: these are copied.

    **Returns:** where they are now.
    """
    kept = []
    for path in (*damaged, *others):
        numbers = ("", *range(2, 1000))
        place = next(old for old in (path.with_name(f"{path.name}.old{n}") for n in numbers) if not os.path.lexists(old))
        if path in damaged:
            os.replace(path, place)
        else:
            shutil.copy2(path, place)
        kept.append(place)
    return kept
