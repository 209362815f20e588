"""Compiled programs are kept between runs of the command line, in JAX's compilation cache.

A second run of the same settings compiles nothing. The numbers are the same, since it runs the
same programs.
"""

import os
import sys
import time
from pathlib import Path

from .._cache import cache
from ..errors import UserError
from ..training.paths import check_folder

VARIABLE = "TARGETPROP_COMPILE_CACHE"
LIMIT = 256 << 20
"""Bytes. JAX removes the programs that were not used for longest. It looks at all of them at every
write, so a larger cache would be slow."""
SHORTEST = 0.1
"""Seconds of compilation. The many shorter programs cost about as much to read as to compile."""


def use_compile_cache() -> None:
    """Let JAX keep compiled programs. It must not be imported yet, else nothing is changed.

    The variable TARGETPROP_COMPILE_CACHE names the folder, or is `off`. The default is in the
    cache folder of the package. JAX's own variables for its cache are left as they are. A folder
    that cannot be written to is reported on standard error, and no cache is used.
    """
    named = os.environ.get(VARIABLE, "")
    if named == "off" or "JAX_COMPILATION_CACHE_DIR" in os.environ or "jax" in sys.modules:
        return
    folder = Path(named).expanduser() if named else cache() / "compiled"
    try:
        check_folder(folder)
    except UserError:
        sys.stderr.write(f"targetprop: no compiled programs are kept, since {folder} is not writable ({VARIABLE}).\n")
        return
    _mend(folder)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(LIMIT))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", str(SHORTEST))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _mend(folder: Path) -> None:
    """Remove programs that were being written when their process was killed.

    JAX writes a file for the time of the last use after each program. Without it JAX could neither
    read a program that is cut off nor write another.
    """
    for program in folder.glob("*-cache"):
        used = program.with_name(program.name.removesuffix("-cache") + "-atime")
        if not used.exists() and time.time() - program.stat().st_mtime > 60:
            program.unlink(missing_ok=True)
