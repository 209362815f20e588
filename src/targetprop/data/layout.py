"""Where files lie on disc, and under which names and checksums they are known."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, final

import pooch

DATA_VARIABLE = "TARGETPROP_DATA"
CACHE_VARIABLE = "TARGETPROP_CACHE"


def cache() -> Path:
    """The folder that downloads go to: the variable TARGETPROP_CACHE, else the system's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path(pooch.os_cache("targetprop"))


def roots() -> tuple[Path, ...]:
    """The folders in which data sets are looked for, in this order: TARGETPROP_DATA if set, the cache."""
    named = os.environ.get(DATA_VARIABLE)
    return (Path(named).expanduser(), cache()) if named else (cache(),)


@final
class HashedFile(NamedTuple):
    """One form of a file, such as plain or gzipped: its name and the MD5 of its bytes."""

    name: str
    md5: str


@final
class LocatedFile(NamedTuple):
    """A form of a file, and the path where it lies or, if it is missing, where it was looked for."""

    form: HashedFile
    path: Path

    @property
    def present(self) -> bool:
        """Whether the file is there."""
        return self.path.is_file()

    def status(self) -> str:
        """One of "ok", "missing" or "wrong checksum"."""
        if not self.present:
            return "missing"
        return "ok" if pooch.file_hash(str(self.path), alg="md5") == self.form.md5 else "wrong checksum"


@final
@dataclass(frozen=True)
class Layout:
    """One way in which a set lies below a root: a folder, and each file's forms, the preferred first."""

    folder: str
    files: tuple[tuple[HashedFile, ...], ...]

    def find(self, root: Path) -> tuple[LocatedFile, ...]:
        """The first form that exists of each file; for a missing file its preferred form."""
        folder = root / self.folder
        return tuple(self._find(folder, forms) for forms in self.files)

    def _find(self, folder: Path, forms: tuple[HashedFile, ...]) -> LocatedFile:
        present = [LocatedFile(form, folder / form.name) for form in forms if (folder / form.name).is_file()]
        return present[0] if present else LocatedFile(forms[0], folder / forms[0].name)
