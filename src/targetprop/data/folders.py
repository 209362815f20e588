"""The folders that data sets are read from and downloaded to."""

import os
from pathlib import Path

DATA_VARIABLE = "TARGETPROP_DATA"
CACHE_VARIABLE = "TARGETPROP_CACHE"


def cache() -> Path:
    """The folder that downloads go to.

    It is named by the variable TARGETPROP_CACHE. Without it, it is the cache folder of the system.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("targetprop"))


def roots() -> tuple[Path, ...]:
    """The folders in which data sets are searched, in this order: TARGETPROP_DATA if set, the
    cache.
    """
    named = os.environ.get(DATA_VARIABLE)
    return (Path(named).expanduser(), cache()) if named else (cache(),)
