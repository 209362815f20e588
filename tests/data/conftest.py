"""What the tests of the data room share: an environment of their own, made-up files, a small
mirror.
"""

import contextlib
import os
import re
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

VARIABLES = ("TARGETPROP_DATA", "TARGETPROP_CACHE", "TARGETPROP_MIRROR")
REAL = os.environ.get("TARGETPROP_DATA")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> Path:
    """No test sees the folders of whoever runs it."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    cache = tmp_path / "cache"
    monkeypatch.setenv("TARGETPROP_CACHE", str(cache))
    return cache


@pytest.fixture
def real_data(monkeypatch) -> Path:
    """The folder of the real data sets; skips the test without one."""
    if REAL is None:
        pytest.skip("TARGETPROP_DATA is not set")
    monkeypatch.setenv("TARGETPROP_DATA", REAL)
    return Path(REAL)


@pytest.fixture(scope="session")
def idx_bytes() -> Callable[[np.ndarray], bytes]:
    """An IDX file of unsigned bytes."""

    def write(array: np.ndarray) -> bytes:
        header = bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">I", n) for n in array.shape)
        return header + array.astype(np.uint8).tobytes()

    return write


@dataclass
class Mirror:
    """A server on this machine.

    `break_after` ends the next answer after that many bytes. An `endless` one sends zeros until
    nobody reads them any more, and does not say how many.
    """

    endless: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    break_after: int | None = None
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    shelf = Mirror()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            shelf.requests.append((self.path, asked))
            if shelf.endless:
                self._send_forever()
                return
            content = shelf.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = 0
            if asked and shelf.ranges:
                start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end, shelf.break_after = shelf.break_after, None
            self.wfile.write(content[start:] if end is None else content[start:][:end])

        def _send_forever(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                while True:
                    self.wfile.write(bytes(1 << 16))

        def log_message(self, *args) -> None:
            """The log of requests is enough."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        shelf.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield shelf
        server.shutdown()
        thread.join()
