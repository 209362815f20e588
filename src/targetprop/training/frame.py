"""Metrics as rows of a table, and as a data frame of pandas."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UserError

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingImports] (optional)

    from .result import SeedResult


def rows(seeds: Sequence["SeedResult"]) -> list[dict[str, Any]]:
    """A row for each seed and epoch.

    A metric with a number for each layer has a column for each, `NAME/1`, `NAME/2`, ..
    Sentences are left out.

    **Arguments:**

    - `seeds`: the results of the seeds.
    """
    return [{"seed": seed.seed, **flat(record), "status": seed.status} for seed in seeds for record in seed.history]


def flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without lists: their entries are `NAME/1`, `NAME/2`, .. Sentences are left out."""
    found = {}
    for name, value in record.items():
        if isinstance(value, list | tuple):
            found |= {f"{name}/{i}": entry for i, entry in enumerate(value, start=1) if name != "warnings"}
        else:
            found[name] = value
    return found


def data_frame(table: Sequence[dict[str, Any]]) -> "DataFrame":
    """Rows as a data frame.

    **Raises:** `UserError` if pandas is not installed.
    """
    try:
        import pandas  # pyright: ignore[reportMissingImports] (optional)
    except ImportError:
        raise UserError("A data frame needs pandas: install it, or `targetprop[pandas]`.") from None
    return pandas.DataFrame.from_records(list(table))
