"""Published numbers as data: each with its table, its cell, and the recipe that should reproduce
it.
"""

import dataclasses
import functools
from importlib.resources.abc import Traversable

from .._packaged import read_json


@dataclasses.dataclass(frozen=True)
class Published:
    """One cell of a published table.

    - `row`, `column`: its place in the table.
    - `mean`, `sd`: mean and standard deviation over `n` seeds. `sd` is `None` for a single run.
    - `recipe`: the name of the recipe that should reproduce it.
    """

    row: str
    column: str
    mean: float
    sd: float | None
    n: int
    recipe: str


@dataclasses.dataclass(frozen=True)
class Table:
    """A published table.

    - `source`, `name`, `title`: the paper, the name of the item, and its title.
    - `metric`: the field of the result of a seed that the cells show.
    - `cells`: the published numbers.
    - `note`: the text below the table.
    - `stopped_early`: whether the published runs stopped when training accuracy stayed low.
    """

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
    """The tables of a paper by name.

    **Arguments:**

    - `source`: the short name of the paper.
    - `file`: its JSON file of published numbers.
    """
    document = read_json(file)
    common = {"note": document.get("note", ""), "stopped_early": document.get("stopped_early", False)}
    return {
        name: Table(
            source, name, item["title"], item["metric"], tuple(Published(**cell) for cell in item["cells"]), **common
        )
        for name, item in document["items"].items()
    }
