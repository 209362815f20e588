"""One process for each folder of results."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from ..errors import ConfigError
from .paths import make_folder

LOGGER = logging.getLogger("targetprop")
LOCK = "run.lock"
"""The name of the file in the folder."""


@contextlib.contextmanager
def locked(folder: Path, field: str = "out") -> Iterator[None]:
    """Hold a folder of results, so that no other process writes to it.

    The operating system frees the lock of a process that is killed. The file stays, and means
    nothing.

    **Arguments:**

    - `folder`: the folder. It is made if it does not exist.
    - `field`: the setting that names it.

    **Raises:** `ConfigError` if another process holds it. `UserError` if it cannot be made.
    """
    from filelock import FileLock, Timeout

    make_folder(folder, field)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigError(
            f"Another process is writing the results in {folder}: wait until it ends, or use another `{field}`."
        ) from None
    except (OSError, NotImplementedError) as error:  # a file system without locks
        LOGGER.warning("%s cannot be locked (%s): do not start a second run in it", folder, error)
    try:
        yield
    finally:
        lock.release()
