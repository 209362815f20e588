"""Processes that work on one study: which of them are still there."""

import contextlib
import os
import platform
import threading
import time
import uuid
import zlib
from pathlib import Path
from types import TracebackType

import optuna
from optuna.study import Study

BEAT_SECONDS = 30.0
"""How often a process says in the storage that it is there."""
BEATS = "beats of "
GRACE_SECONDS = 150.0
"""A process of another machine that has said nothing for so long is gone."""


def machine() -> str:
    """A name within which process numbers are unique: of this machine since its last start, or of
    this container.
    """
    parts = []
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8"))
        parts.append(os.readlink("/proc/self/ns/pid"))
    return f"{platform.node()}-{zlib.crc32(''.join(parts).encode()):08x}"


class Worker:
    """This process among those that work on a study.

    As a context, it says at once in the storage that it is there, and again regularly.

    **Arguments:**

    - `study`: the study.
    """

    def __init__(self, study: Study):
        self.name = f"{machine()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._study, self._stop = study, threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._heard: dict[str, tuple[int | None, float]] = {}

    def __enter__(self) -> "Worker":
        self._study.set_user_attr(_beats(self.name), 0)
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        count = 0
        while not self._stop.wait(BEAT_SECONDS):
            count += 1
            with contextlib.suppress(optuna.exceptions.StorageInternalError):  # the next beat may arrive
                self._study.set_user_attr(_beats(self.name), count)

    def is_alone(self) -> bool:
        """Whether all other processes that ever worked on the study are gone."""
        others = {key.removeprefix(BEATS) for key in self._study.user_attrs if key.startswith(BEATS)} - {self.name}
        return all(self.is_gone(name) for name in others)

    def is_gone(self, name: str) -> bool:
        """Whether another process is gone.

        A process of this machine is asked for by its number. Of other machines, a process is gone
        if nothing has been heard of it for a while, by the clock of this machine.
        """
        place, number, _ = name.rsplit(":", 2)
        if place == machine() and not _exists(int(number)):
            return True
        beat, now = self._study.user_attrs.get(_beats(name)), time.monotonic()
        heard, since = self._heard.setdefault(name, (beat, now))
        if heard != beat:
            self._heard[name] = (beat, now)
            return False
        return now - since > GRACE_SECONDS


def _beats(name: str) -> str:
    """The attribute of the study that counts the beats of a process."""
    return f"{BEATS}{name}"


def _exists(number: int) -> bool:
    """Whether a process with this number exists. Where this cannot be asked, it may."""
    if os.name != "posix":
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
