"""Download of one file, with checksum, progress, and resumption of a partial file.

Pooch keeps the folder of finished files and checks them by their MD5. The transfer itself is
`_Resume`, a downloader for Pooch that continues where an interrupted one stopped.
"""

import http.client
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, final

from .._files import open_partial, partial_name
from .errors import DataError
from .layout import HashedFile, md5_of

if TYPE_CHECKING:
    from rich.progress import Progress

_CHUNK = 1 << 16
_SECONDS = 30.0
LIMIT = 512 * 2**20
"""The number of bytes after which a download is given up. The largest file has a third of it."""

_LOG = logging.getLogger(__name__)


def download(base: str, file: HashedFile, folder: Path, *, progress: bool) -> Path:
    """Download a file, unless it is there already with the right MD5.

    What has arrived is kept in a file `NAME.part`. Once it is complete and its MD5 is right, it
    gets its name in one step. A later call asks the server for the rest only (HTTP Range). A
    server that does not support this sends all of it again. If the checksum is wrong, the part is
    discarded, a warning is logged, and the file is downloaded once more from the beginning. A
    file of more than 512 MiB is given up, and its part is discarded.

    **Arguments:**

    - `base`: the address of the folder that the file is in.
    - `file`: its name and its MD5.
    - `folder`: where to put it.
    - `progress`: whether a bar is shown on standard error.

    **Returns:** the path of the file.

    **Raises:** `DataError` if the server does not answer or refuses, if the transfer breaks off or
    does not end, or if the checksum is wrong twice.
    """
    import pooch

    store = pooch.create(path=folder, base_url=base.rstrip("/") + "/", registry={file.name: f"md5:{file.md5}"})
    # Any: in the type that Pooch declares for a downloader, the arguments have other names.
    resume: Any = _Resume(partial_name(folder / file.name), file.md5, progress)
    try:
        with _quiet(pooch.get_logger()):
            return Path(store.fetch(file.name, downloader=resume))
    except OSError as error:
        raise DataError(f"{folder / file.name}: cannot be written ({error}); choose another folder") from error


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@final
class _Resume:
    """Called by Pooch with an address and the file to fill."""

    def __init__(self, part: Path, md5: str, progress: bool) -> None:
        self.part = part
        self.md5 = md5
        self.progress = progress

    def __call__(self, url: str, output_file: str, store: Any) -> None:
        for again in ("it is discarded and downloaded once more from the beginning", "it is discarded"):
            self._transfer(url)
            found = md5_of(self.part)
            if found == self.md5:
                os.replace(self.part, output_file)
                return
            self.part.unlink()
            _LOG.warning("%s: MD5 %s, expected %s: %s", self.part, found, self.md5, again)
        raise DataError(
            f"{url}: MD5 {found}, expected {self.md5}: the server holds another file; "
            f"set TARGETPROP_MIRROR to a folder that has the right one"
        )

    def _transfer(self, url: str) -> None:
        """Fill the part from where it ends to the end of the file."""
        start = self.part.stat().st_size if self.part.is_file() and not self.part.is_symlink() else 0
        headers = {"User-Agent": "targetprop"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            request = urllib.request.Request(url, headers=headers)
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                # Status 206: the rest of the file. 200: all of it, the server has no ranges.
                self._save(answer, start if answer.status == 206 else 0)
        except urllib.error.HTTPError as error:
            # Status 416: nothing follows the part, so the checksum decides.
            if not (start and error.code == 416):
                raise DataError(
                    f"{url}: the server answers {error.code} {error.reason}, expected the file; "
                    f"set TARGETPROP_MIRROR to another mirror or TARGETPROP_DATA to a folder with the files"
                ) from error
        except urllib.error.URLError as error:
            raise DataError(f"{url}: cannot be reached ({error.reason}); try the same command again later") from error
        except (OSError, http.client.HTTPException) as error:
            raise DataError(f"{url}: broke off ({error}); the same command continues from {self.part}") from error
        except ValueError as error:
            raise DataError(f"{url}: {error}; set TARGETPROP_MIRROR to an address such as http://host/folder") from error

    def _save(self, answer: http.client.HTTPResponse, start: int) -> None:
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        self._check_size(total or start)
        with open_partial(self.part, append=bool(start)) as file, self._bar() as bar:
            task = bar.add_task(self.part.stem, total=total, completed=start)
            for size in _copy(answer, file):
                bar.advance(task, size)
                self._check_size(file.tell())
        arrived = self.part.stat().st_size
        if total is not None and arrived < total:
            raise OSError(f"{arrived} of {total} bytes have arrived")

    def _check_size(self, size: int) -> None:
        if size > LIMIT:
            self.part.unlink(missing_ok=True)
            raise DataError(
                f"{self.part.stem}: more than {LIMIT} bytes, so it cannot be the file; "
                "set TARGETPROP_MIRROR to another mirror or TARGETPROP_DATA to a folder with the files"
            )

    def _bar(self) -> "Progress":
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        return Progress(*columns, console=Console(stderr=True, quiet=not self.progress))


def _copy(answer: http.client.HTTPResponse, file: IO[bytes]) -> Iterator[int]:
    while chunk := answer.read(_CHUNK):
        file.write(chunk)
        yield len(chunk)
