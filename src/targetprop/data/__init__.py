"""Data sets: find them by name, read them, check them, download them with checksums."""

from .dataset import Dataset
from .errors import DataError
from .registry import Record, describe, fetch, load, names, verify
from .source import Check
from .synthetic import StudentTeacher, StudentTeacherTask, TeacherTask

__all__ = [
    "Check",
    "DataError",
    "Dataset",
    "Record",
    "StudentTeacher",
    "StudentTeacherTask",
    "TeacherTask",
    "describe",
    "fetch",
    "load",
    "names",
    "verify",
]
