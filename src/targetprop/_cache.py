"""The cache folder of the package."""

import os
from pathlib import Path

from .errors import UserError

CACHE_VARIABLE = "TARGETPROP_CACHE"


def cache() -> Path:
    """The folder for what can be downloaded or computed again.

    It is named by the variable TARGETPROP_CACHE. Without it, it is in the cache folder of the
    system.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        try:
            return Path(named).expanduser()
        except RuntimeError as error:
            raise UserError(f"{CACHE_VARIABLE} is {named} ({error}): name a folder that exists or can be made.") from error
    import pooch

    return Path(pooch.os_cache("targetprop"))
