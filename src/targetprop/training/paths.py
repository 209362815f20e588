"""Checks of output folders. They run before the work, so that no work is lost."""

import os
from pathlib import Path
from typing import Any

from ..errors import ConfigError, UserError


def as_path(value: Any, field: str = "out") -> Path:
    """A path that a caller gives.

    **Arguments:**

    - `value`: a string or a path.
    - `field`: the setting that names it.

    **Raises:** `TypeError` if it is neither. `ConfigError` if it is empty, or no path at all.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"`{field}` is {value!r}, a {type(value).__name__}: give a path.")
    text = os.fspath(value)
    if not isinstance(text, str) or not text or "\0" in text:
        raise ConfigError(f"`{field}` is {text!r}: give a path.")
    return Path(value)


def check_folder(folder: Path, field: str = "out") -> None:
    """Check that `folder` exists or can be made, and that it is writable. Nothing is made.

    **Arguments:**

    - `folder`: the folder.
    - `field`: the setting that names it.

    **Raises:** `UserError` if a check fails.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise UserError(f"Nothing can be written to {folder}: {existing} is not a folder. Use another `{field}`.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"Nothing can be written to {folder}: {existing} is protected. Use another `{field}`.")
    try:
        os.stat(folder)
    except (FileNotFoundError, NotADirectoryError):
        pass  # it can be made
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}): use another `{field}`.") from error


def make_folder(folder: Path, field: str = "out") -> None:
    """Make `folder`, which the setting `field` names, if it does not exist.

    **Raises:** `UserError` if this fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}): use another `{field}`.") from error


def check_file(file: Path) -> None:
    """Check that `file` can be written. Raises `UserError` if not."""
    if file.is_dir():
        raise UserError(f"{file} is a folder: use a file in it as `out`.")
    if not file.exists():
        check_folder(file.parent)
    elif not os.access(file, os.W_OK):
        raise UserError(f"{file} is protected: use another file as `out`.")
