"""Data sets: look up by name, read strictly, download with checksums."""

from targetprop.data.dataset import Dataset
from targetprop.data.errors import DataError
from targetprop.data.registry import Record, describe, fetch, load, names, verify
from targetprop.data.source import Check

__all__ = [
    "Check",
    "DataError",
    "Dataset",
    "Record",
    "describe",
    "fetch",
    "load",
    "names",
    "verify",
]
