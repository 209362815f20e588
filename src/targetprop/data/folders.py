"""The folders that data sets are read from and downloaded to."""

import os
from pathlib import Path

from .._cache import cache

DATA_VARIABLE = "TARGETPROP_DATA"


def roots() -> tuple[Path, ...]:
    """The folders in which data sets are searched, in this order: TARGETPROP_DATA if set, the
    cache.
    """
    named = os.environ.get(DATA_VARIABLE)
    return (Path(named).expanduser(), cache()) if named else (cache(),)
