"""What a mirror offers, and how it becomes the files of a layout."""

from __future__ import annotations

import os
import shutil
import tarfile
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import final

import pooch

from targetprop.data.download import download
from targetprop.data.errors import DataError
from targetprop.data.layout import HashedFile

MIRROR_VARIABLE = "TARGETPROP_MIRROR"


class Remote(ABC):
    """The files of a set on a mirror."""

    @abstractmethod
    def fetch(self, root: Path, *, progress: bool) -> Path:
        """Put the set below `root` and give the folder of its files; nothing is downloaded that is there
        already with the right checksum. Raises `DataError`."""


@final
@dataclass(frozen=True)
class RemoteFiles(Remote):
    """Files that are kept as they come.

    - `base`: the address that a file's name is appended to.
    - `name`: the set's name; the variable TARGETPROP_MIRROR=URL replaces `base` by `URL/name`.
    - `folder`: where they go, below the root.
    - `files`: names and MD5s.
    """

    base: str
    name: str
    folder: str
    files: tuple[HashedFile, ...]

    def fetch(self, root: Path, *, progress: bool) -> Path:
        folder = root / self.folder
        for file in self.files:
            download(_mirror(self.base, self.name), file.name, file.md5, folder, progress=progress)
        return folder


@final
@dataclass(frozen=True)
class RemoteArchive(Remote):
    """A tar archive, of which only the expected members are taken: plain files of known size and MD5.

    `base`, `name` and `folder` as in `RemoteFiles`; `archive` and its MD5; `members` with their MD5s, each of
    `size` bytes, found in the archive as `folder/member`. The archive is removed once they are there.
    """

    base: str
    name: str
    folder: str
    archive: HashedFile
    members: tuple[HashedFile, ...]
    size: int

    def fetch(self, root: Path, *, progress: bool) -> Path:
        folder = root / self.folder
        if all(_has(folder / member.name, member.md5) for member in self.members):
            return folder
        base = _mirror(self.base, self.name)
        archive = download(base, self.archive.name, self.archive.md5, root, progress=progress)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(archive) as tar:
                for member in self.members:
                    self._extract(tar, member, folder / member.name)
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise DataError(f"{archive}: cannot be unpacked ({error}); remove it and fetch again") from error
        archive.unlink()
        return folder

    def _extract(self, tar: tarfile.TarFile, member: HashedFile, path: Path) -> None:
        name = f"{self.folder}/{member.name}"
        entry = next((item for item in tar.getmembers() if item.name == name), None)
        if entry is None or not entry.isreg() or entry.size != self.size:
            raise tarfile.TarError(f"expected {name}, a plain file of {self.size} bytes")
        content = tar.extractfile(entry)
        if content is None:
            raise tarfile.TarError(f"{name} has no content")
        part = path.with_name(f"{path.name}.part")
        with content, part.open("wb") as file:
            shutil.copyfileobj(content, file)
        if not _has(part, member.md5):
            part.unlink()
            raise tarfile.TarError(f"{name} has another MD5 than {member.md5}")
        os.replace(part, path)


def _mirror(base: str, name: str) -> str:
    replaced = os.environ.get(MIRROR_VARIABLE)
    return f"{replaced.rstrip('/')}/{name}" if replaced else base


def _has(path: Path, md5: str) -> bool:
    return path.is_file() and pooch.file_hash(str(path), alg="md5") == md5
