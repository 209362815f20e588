"""What a mirror offers, and how the files of a layout are made from it."""

import abc
import dataclasses
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import final

from .._files import partial_name, whole_file
from .download import download
from .errors import DataError
from .layout import HashedFile

MIRROR_VARIABLE = "TARGETPROP_MIRROR"


class Remote(abc.ABC):
    """The files of a set on a mirror."""

    @abc.abstractmethod
    def fetch(self, root: Path, *, progress: bool) -> Path:
        """Download the set. A file that is there already with the right checksum is kept.

        **Arguments:**

        - `root`: the set gets its own folder below this one.
        - `progress`: whether a bar is shown on standard error.

        **Returns:** the folder of its files.

        **Raises:** `DataError` if the download fails.
        """


@final
@dataclasses.dataclass(frozen=True)
class RemoteFiles(Remote):
    """Files that are stored as they are downloaded.

    **Arguments:**

    - `base`: the address of the folder on the mirror.
    - `name`: the name of the set. The variable TARGETPROP_MIRROR=URL replaces `base` by
      `URL/name`.
    - `folder`: where the files go, relative to the root.
    - `files`: their names and MD5s.
    """

    base: str
    name: str
    folder: str
    files: tuple[HashedFile, ...]

    def fetch(self, root: Path, *, progress: bool) -> Path:
        folder = root / self.folder
        for file in self.files:
            download(_mirror(self.base, self.name), file, folder, progress=progress)
        return folder


@final
@dataclasses.dataclass(frozen=True)
class RemoteArchive(Remote):
    """A tar archive. Only the expected members are extracted: plain files of known size and MD5.

    The archive is removed afterwards.

    **Arguments:**

    - `base`, `name`, `folder`: as in `RemoteFiles`.
    - `archive`: the name and the MD5 of the archive.
    - `members`: the names and MD5s of the members, which the archive holds as `folder/member`.
    - `size`: the size of each member in bytes.
    """

    base: str
    name: str
    folder: str
    archive: HashedFile
    members: tuple[HashedFile, ...]
    size: int

    def fetch(self, root: Path, *, progress: bool) -> Path:
        folder = root / self.folder
        if all(member.is_at(folder / member.name) for member in self.members):
            return folder
        base = _mirror(self.base, self.name)
        archive = download(base, self.archive, root, progress=progress)
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
        with content, whole_file(path) as file:
            shutil.copyfileobj(content, file)
            file.flush()
            if not member.is_at(partial_name(path)):
                raise tarfile.TarError(f"{name} has another MD5 than {member.md5}")


def _mirror(base: str, name: str) -> str:
    replaced = os.environ.get(MIRROR_VARIABLE)
    return f"{replaced.rstrip('/')}/{name}" if replaced else base
