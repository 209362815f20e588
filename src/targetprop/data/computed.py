"""Data sets that are computed when they are loaded."""

import dataclasses
from pathlib import Path
from typing import Any, final

from .dataset import Dataset
from .errors import DataError
from .source import Card, Check, DataSource, check_options
from .synthetic import StudentTeacherTask, TeacherTask


@final
@dataclasses.dataclass(frozen=True)
class Computed(DataSource):
    """A set that is computed.

    **Arguments:**

    - `card`: what is known of the set.
    - `task`: what computes it.
    - `options`: the fields of `task` that an option of the same name may change.
    """

    card: Card
    task: TeacherTask | StudentTeacherTask
    options: tuple[str, ...]

    def load(self, **options: Any) -> Dataset:
        check_options(self.card.name, options, self.options)
        return dataclasses.replace(dataclasses.replace(self.task, **options).dataset(), name=self.card.name)

    def where(self) -> str:
        return "computed"

    def verify(self) -> list[Check]:
        return []

    def fetch(self, folder: Path, *, progress: bool) -> Path:
        raise DataError(f"{self.card.name} is computed: there is nothing to fetch")


def _computed(name: str, task: TeacherTask | StudentTeacherTask, options: tuple[str, ...]) -> Computed:
    license, validation = "none needed: computed here", task.train // 10
    return Computed(Card(name, task.train, task.test, task.sizes[:1], None, license, validation), task, options)


COMPUTED = (
    _computed("teacher", TeacherTask(), ("sizes", "train", "test", "seed")),
    _computed("student-teacher", StudentTeacherTask(), ("seed",)),
    _computed("student-teacher-contracting", StudentTeacherTask((6, 6, 4)), ("seed",)),
    _computed("student-teacher-deep", StudentTeacherTask((6,) * 6, 3840), ("seed",)),
)
