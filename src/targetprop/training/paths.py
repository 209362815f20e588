"""Where results may be written: asked before the work, so that none is lost."""

import os
from pathlib import Path

from ..errors import UserError


def check_folder(folder: Path) -> None:
    """Raises `UserError` where `folder` is none and cannot be made, or nothing can be written in it. Nothing is made."""
    there = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    if not there.is_dir():
        raise UserError(f"Nothing can be written to {folder}: {there} is no folder. Name another one with --out.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"Nothing can be written to {folder}: {there} is protected. Name another folder with --out.")


def make_folder(folder: Path) -> None:
    """Make `folder` where it is not there. Raises `UserError` where that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}): name another folder with --out.") from error


def check_file(file: Path) -> None:
    """Raises `UserError` where `file` cannot be written."""
    if file.is_dir():
        raise UserError(f"{file} is a folder: name a file in it with --out.")
    if not file.exists():
        check_folder(file.parent)
    elif not os.access(file, os.W_OK):
        raise UserError(f"{file} is protected: name another file with --out.")
