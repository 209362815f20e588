"""The cache folder of the package."""

import os
from pathlib import Path

CACHE_VARIABLE = "TARGETPROP_CACHE"


def cache() -> Path:
    """The folder for what can be downloaded or computed again.

    It is named by the variable TARGETPROP_CACHE. Without it, it is in the cache folder of the
    system.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("targetprop"))
