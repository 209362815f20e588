"""Published numbers, as data: each with its table, its cell and the recipe that should give it."""

import dataclasses
import functools
from importlib.resources.abc import Traversable

from .._packaged import read_json


@dataclasses.dataclass(frozen=True)
class Published:
    """One cell of a published table: mean and standard deviation over `n` seeds (no deviation for a single run), and the
    recipe that is to reach it."""

    row: str
    column: str
    mean: float
    sd: float | None
    n: int
    recipe: str


@dataclasses.dataclass(frozen=True)
class Table:
    """A published table: `metric` is the field of a seed's result that its cells hold, `note` what is to be said below
    them, and `stopped_early` whether the published runs stopped where training accuracy stayed low."""

    source: str
    name: str
    title: str
    metric: str
    cells: tuple[Published, ...]
    note: str = ""
    stopped_early: bool = False

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows in the published order."""
        return tuple(dict.fromkeys(cell.row for cell in self.cells))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in the published order."""
        return tuple(dict.fromkeys(cell.column for cell in self.cells))


@functools.cache
def read_tables(source: str, file: Traversable) -> dict[str, Table]:
    """The tables of a source by name, from its file of published numbers."""
    document = read_json(file)
    common = {"note": document.get("note", ""), "stopped_early": document.get("stopped_early", False)}
    return {
        name: Table(
            source, name, item["title"], item["metric"], tuple(Published(**cell) for cell in item["cells"]), **common
        )
        for name, item in document["items"].items()
    }
