"""One process for each folder of a run."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from ..errors import ConfigError

LOGGER = logging.getLogger("targetprop")
LOCK = "run.lock"
"""The name of the file in the folder of a run."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder of a run, so that no other process writes to it.

    The operating system frees the lock of a process that is killed. The file stays, and means
    nothing.

    **Arguments:**

    - `folder`: the folder. It exists.

    **Raises:** `ConfigError` if another process holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigError(
            f"Another process is writing the run in {folder}: wait until it ends, or use another `out`."
        ) from None
    except (OSError, NotImplementedError) as error:  # a file system without locks
        LOGGER.warning("%s cannot be locked (%s): do not start a second run in it", folder, error)
    try:
        yield
    finally:
        lock.release()
