"""The memory of this machine, and the refusal of what cannot fit into it."""

import os
import sys

from .errors import ConfigError

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def check_memory(needed: float, what: str) -> None:
    """Check that something can fit into the memory, before anything of it is allocated.

    **Arguments:**

    - `needed`: the number of bytes that it takes at least.
    - `what`: what takes them, the subject of the message.

    **Raises:** `ConfigError` if the machine has less memory.
    """
    there = memory()
    if there is not None and needed > there:
        raise ConfigError(f"{what} would take {in_units(needed)} of memory, and there are {in_units(there)}: use less.")


def memory() -> int | None:
    """The bytes of memory of this machine, or of its accelerator if that has more.

    `None` where the system does not say.
    """
    try:
        own = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
    jax = sys.modules.get("jax")  # the data room does without it
    return own if jax is None else max(own, (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit", 0))


def in_units(count: float) -> str:
    """A number of bytes, as 1.5 GiB."""
    power = 0
    while count >= 1024 and power < len(UNITS) - 1:
        count, power = count / 1024, power + 1
    return f"{count:.3g} {UNITS[power]}" if count < 1e4 else f"{count:.1e} {UNITS[power]}"
