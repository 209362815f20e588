"""Standard output and standard error, which may be closed, full, or unable to show a character."""

import os
import sys


def prepare_output() -> None:
    """Open what is closed. Let a character that cannot be encoded become a question mark."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (open as long as the process)
        elif name == "stdout" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def drop_output() -> None:
    """Send the rest of standard output nowhere, so that Python reports no error at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def shows_unicode() -> bool:
    """Whether standard output can show all characters."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
