"""Interruption of a run by a signal."""

import signal
import threading


class Interruption:
    """A context in which the first SIGINT or SIGTERM only sets `asked`.

    A second signal acts as usual. It works in the main thread only.
    """

    def __init__(self):
        self.asked = False
        self._previous = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _ask(self, number, frame) -> None:
        self.asked = True
        signal.signal(number, self._previous[number])
