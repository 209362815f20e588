"""Data sets: find them by name, read them, check them, download them with checksums."""

from .arrays import ArrayOptions
from .dataset import Dataset
from .errors import DataError
from .registry import Record, canonical, describe, fetch, load, names, verify
from .source import Check
from .synthetic import StudentTeacher, StudentTeacherTask, TeacherTask

__all__ = [
    "ArrayOptions",
    "Check",
    "DataError",
    "Dataset",
    "Record",
    "StudentTeacher",
    "StudentTeacherTask",
    "TeacherTask",
    "canonical",
    "describe",
    "fetch",
    "load",
    "names",
    "verify",
]
