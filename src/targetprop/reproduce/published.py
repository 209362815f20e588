"""Published numbers, as data: each with its table, its cell and the recipe that should give it."""

import dataclasses
import functools
import json
from importlib import resources


@dataclasses.dataclass(frozen=True)
class Published:
    """One cell of a published table: mean and standard deviation over `n` seeds, and the recipe that is to reach it."""

    row: str
    column: str
    mean: float
    sd: float
    n: int
    recipe: str


@dataclasses.dataclass(frozen=True)
class Table:
    """A published table: `metric` is the field of a seed's result that its cells hold."""

    source: str
    name: str
    title: str
    metric: str
    cells: tuple[Published, ...]

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows in the published order."""
        return tuple(dict.fromkeys(cell.row for cell in self.cells))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in the published order."""
        return tuple(dict.fromkeys(cell.column for cell in self.cells))


@functools.cache
def tables(source: str) -> dict[str, Table]:
    """The tables of a source by name."""
    text = resources.files(__name__.rpartition(".")[0]).joinpath(f"{source}.json").read_text()
    return {
        name: Table(source, name, item["title"], item["metric"], tuple(Published(**cell) for cell in item["cells"]))
        for name, item in json.loads(text)["items"].items()
    }
