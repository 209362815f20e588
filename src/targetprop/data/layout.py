"""Where files lie on disc, and under which names and checksums they are known."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, final

DATA_VARIABLE = "TARGETPROP_DATA"
CACHE_VARIABLE = "TARGETPROP_CACHE"


def cache() -> Path:
    """The folder that downloads go to: the variable TARGETPROP_CACHE, else the system's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("targetprop"))


def md5(path: Path) -> str:
    """The MD5 of a file."""
    import pooch

    return pooch.file_hash(str(path), alg="md5")


def roots() -> tuple[Path, ...]:
    """The folders in which data sets are looked for, in this order: TARGETPROP_DATA if set, the cache."""
    named = os.environ.get(DATA_VARIABLE)
    return (Path(named).expanduser(), cache()) if named else (cache(),)


@final
class Form(NamedTuple):
    """One form of a file, such as plain or gzipped: its name and the MD5 of its bytes."""

    name: str
    md5: str


@final
class Found(NamedTuple):
    """A form of a file, and the path where it lies or, if it is missing, where it was looked for."""

    form: Form
    path: Path

    @property
    def present(self) -> bool:
        """Whether the file is there."""
        return self.path.is_file()

    def status(self) -> str:
        """One of "ok", "missing" or "wrong checksum"."""
        if not self.present:
            return "missing"
        return "ok" if md5(self.path) == self.form.md5 else "wrong checksum"


@final
@dataclass(frozen=True)
class Layout:
    """One way in which a set lies below a root: a folder, and each file's forms, the preferred first."""

    folder: str
    files: tuple[tuple[Form, ...], ...]

    def find(self, root: Path) -> tuple[Found, ...]:
        """The first form that exists of each file; for a missing file its preferred form."""
        folder = root / self.folder
        return tuple(self._find(folder, forms) for forms in self.files)

    def _find(self, folder: Path, forms: tuple[Form, ...]) -> Found:
        present = [Found(form, folder / form.name) for form in forms if (folder / form.name).is_file()]
        return present[0] if present else Found(forms[0], folder / forms[0].name)
