"""How the files of a data set lie in a folder, and how they are recognized."""

import dataclasses
import hashlib
from pathlib import Path
from typing import NamedTuple, final


def md5_of(path: Path) -> str:
    """The MD5 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@final
class HashedFile(NamedTuple):
    """A file that is known by its name and by the MD5 of its bytes."""

    name: str
    md5: str

    def is_at(self, path: Path) -> bool:
        """Whether there is a file at `path`, and its bytes have this MD5."""
        return path.is_file() and md5_of(path) == self.md5


@final
class LocatedFile(NamedTuple):
    """A known file, and the path where it lies or, if it is missing, where it was searched."""

    known: HashedFile
    path: Path

    @property
    def present(self) -> bool:
        """Whether the file is there."""
        return self.path.is_file()

    def status(self) -> str:
        """One of "ok", "missing" or "wrong checksum"."""
        if not self.present:
            return "missing"
        return "ok" if self.known.is_at(self.path) else "wrong checksum"


@final
@dataclasses.dataclass(frozen=True)
class Layout:
    """One way in which a set lies below a root.

    **Arguments:**

    - `folder`: the folder of the set, relative to the root.
    - `files`: for each file its variants, for example plain and gzipped, the preferred one first.
    """

    folder: str
    files: tuple[tuple[HashedFile, ...], ...]

    def find(self, root: Path) -> tuple[LocatedFile, ...]:
        """The first variant of each file that exists below `root`.

        A missing file is given by its preferred variant.
        """
        folder = root / self.folder
        return tuple(self._find(folder, variants) for variants in self.files)

    def _find(self, folder: Path, variants: tuple[HashedFile, ...]) -> LocatedFile:
        present = [LocatedFile(one, folder / one.name) for one in variants if (folder / one.name).is_file()]
        return present[0] if present else LocatedFile(variants[0], folder / variants[0].name)
