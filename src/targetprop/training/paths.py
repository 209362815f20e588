"""Checks of where results are written. They come before the work, so that no work is lost."""

import os
from pathlib import Path

from ..errors import UserError


def check_folder(folder: Path) -> None:
    """Check that `folder` exists or can be made, and that it can be written to. Nothing is made.

    Raises `UserError` if that is not so."""
    there = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    if not there.is_dir():
        raise UserError(f"Nothing can be written to {folder}: {there} is not a folder. Choose another `out`.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"Nothing can be written to {folder}: {there} is protected. Choose another `out`.")


def make_folder(folder: Path) -> None:
    """Make `folder` if it does not exist. Raises `UserError` if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}): choose another `out`.") from error


def check_file(file: Path) -> None:
    """Check that `file` can be written. Raises `UserError` if not."""
    if file.is_dir():
        raise UserError(f"{file} is a folder: choose a file in it as `out`.")
    if not file.exists():
        check_folder(file.parent)
    elif not os.access(file, os.W_OK):
        raise UserError(f"{file} is protected: choose another file as `out`.")
