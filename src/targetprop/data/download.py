"""Download of one file: checksum, progress, and resumption of a half file.

Pooch keeps the folder of finished files and checks them by their MD5; the transfer itself is `_Resume`, a
downloader for Pooch that goes on where an interrupted one stopped.
"""

from __future__ import annotations

import http.client
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, final

import pooch
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from targetprop.data.errors import DataError

_CHUNK = 1 << 16
_SECONDS = 30.0
_LOG = logging.getLogger(__name__)


def download(base: str, file: str, md5: str, folder: Path, *, progress: bool) -> Path:
    """Get `base/file` into `folder`, unless it is there already with this MD5, and give its path.

    What has arrived is kept in `folder/file.part` until the whole is there, its MD5 is right and it takes its
    name in one step. A later call asks the server for the rest only (HTTP Range); a server that knows no
    ranges sends all of it again. If the checksum is wrong, the part is discarded and the file is asked for
    once more from its beginning; a warning is logged. `progress` shows a bar on standard error.

    Raises `DataError` if the server cannot be reached or refuses, if the transfer breaks off, or if the
    checksum is wrong twice.
    """
    store = pooch.create(path=folder, base_url=base.rstrip("/") + "/", registry={file: f"md5:{md5}"})
    # Any: Pooch's own type of a downloader gives the arguments other names than Pooch's call means.
    resume: Any = _Resume(folder / f"{file}.part", md5, progress)
    try:
        with _quiet_pooch():
            return Path(store.fetch(file, downloader=resume))
    except OSError as error:
        raise DataError(f"{folder / file}: cannot be written ({error}); name another folder") from error


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    logger = pooch.get_logger()
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
        self.console = Console(stderr=True, quiet=not progress)

    def __call__(self, url: str, output_file: str, store: Any) -> None:
        for again in ("it is discarded and asked for once more from its beginning", "it is discarded"):
            self._transfer(url)
            found = pooch.file_hash(str(self.part), alg="md5")
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
        start = self.part.stat().st_size if self.part.exists() else 0
        headers = {"User-Agent": "targetprop"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            request = urllib.request.Request(url, headers=headers)
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                # Status 206 is the rest of the file; 200 is all of it, from a server without ranges.
                self._save(answer, start if answer.status == 206 else 0)
        except urllib.error.HTTPError as error:
            # Status 416: there is nothing after the part, so the checksum decides whether it is the file.
            if not (start and error.code == 416):
                raise DataError(
                    f"{url}: the server answers {error.code} {error.reason}, expected the file; "
                    f"set TARGETPROP_MIRROR to another mirror or TARGETPROP_DATA to a folder with the files"
                ) from error
        except urllib.error.URLError as error:
            raise DataError(f"{url}: cannot be reached ({error.reason}); run the same command again once it can") from error
        except (OSError, http.client.HTTPException) as error:
            raise DataError(f"{url}: broke off ({error}); run the same command again to go on from {self.part}") from error
        except ValueError as error:
            raise DataError(f"{url}: {error}; set TARGETPROP_MIRROR to an address such as http://host/folder") from error

    def _save(self, answer: http.client.HTTPResponse, start: int) -> None:
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        with self.part.open("ab" if start else "wb") as file, self._bar() as bar:
            task = bar.add_task(self.part.stem, total=total, completed=start)
            for size in _copy(answer, file):
                bar.advance(task, size)
        arrived = self.part.stat().st_size
        if total is not None and arrived < total:
            raise OSError(f"{arrived} of {total} bytes have arrived")

    def _bar(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        return Progress(*columns, console=self.console)


def _copy(answer: http.client.HTTPResponse, file: IO[bytes]) -> Iterator[int]:
    while chunk := answer.read(_CHUNK):
        file.write(chunk)
        yield len(chunk)
