"""Published tables with our numbers beside them."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..figures import BLACK, GRAY, canvas, dataset_name, legend
from ..training.result import Summary
from .item import Item, Picture, Report, TrainingOptions, check_known, report_cell
from .published import Published, Table
from .sources import recipe_names
from .store import Store, StoredSeed
from .training_part import TrainingPart, published_recipe
from .verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = ("method", "data set", "published", "ours", "seeds", "difference", "95 % interval", "verdict")


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of a table and our runs of it.

    - `published`: the published number.
    - `verdict`: the comparison with our runs.
    - `would_stop`: how many of our seeds the early stop of the published runs would have dropped.
    - `diverged`: how many seeds diverged. They count for nothing else.
    """

    published: Published
    verdict: Verdict
    would_stop: int
    diverged: int

    def to_json(self) -> dict:
        """The cell as plain data."""
        theirs, ours = self.published, self.verdict.ours
        return report_cell(theirs.row, theirs.column, ours) | {
            "published": {"mean": theirs.mean, "sd": theirs.sd},
            "difference": self.verdict.difference if ours.values else None,
            "interval": list(self.verdict.interval) if ours.values else None,
            "would_stop_early": self.would_stop,
            "diverged": self.diverged,
            "verdict": self._words,
        }

    @property
    def _words(self) -> str:
        if not self.diverged:
            return str(self.verdict)
        found = f"{self.verdict}, " if self.verdict.ours.values else ""
        return f"{found}{self.diverged} diverged"

    def to_row(self) -> tuple[str, ...]:
        """The cell as a line of the table."""
        theirs, verdict = self.published, self.verdict
        ours = verdict.ours
        published = number(theirs.mean) if theirs.sd is None else f"{number(theirs.mean)} ± {number(theirs.sd)}"
        if not ours.values:
            return theirs.row, theirs.column, published, "-", "0", "-", "-", self._words
        many = len(ours.values) > 1
        found = f"{number(ours.mean)} ± {number(ours.sd)}" if many else number(ours.mean)
        low, high = verdict.interval
        difference = f"{verdict.difference:+.2f}" if abs(theirs.mean) >= 0.05 else f"{verdict.difference:+.1e}"
        interval = f"{number(low)} .. {number(high)}" if many else "-"
        return theirs.row, theirs.column, published, found, str(len(ours.values)), difference, interval, self._words


def number(value: float) -> str:
    """A metric with two decimals, or in scientific notation if it is below 0.05."""
    return f"{value:.2f}" if abs(value) >= 0.05 else f"{value:.2e}"


class TableItem(Item[TrainingOptions]):
    """A table whose cells are training runs.

    **Raises:** `ConfigError` from `parts` and `report` for a data set or a method that is not in
    the table.
    """

    def __init__(self, table: Table):
        self.table = table
        self.source, self.name, self.title = table.source, table.name, table.title
        self.defaults = TrainingOptions()

    def parts(self, options: TrainingOptions) -> list[TrainingPart]:
        known = recipe_names()
        return [self._part(cell, options) for cell in self._selected(options) if cell.recipe in known]

    def compared(self, options: TrainingOptions) -> list[Cell]:
        """All selected cells with our runs of them."""
        return [self._compare(cell, options) for cell in self._selected(options)]

    def report(self, options: TrainingOptions) -> Report:
        cells = self.compared(options)
        text = self.table.note
        if self.table.stopped_early:
            counted = sum(len(cell.verdict.ours.values) for cell in cells)
            stopped = sum(cell.would_stop for cell in cells)
            text = (
                f"Of our {counted} runs the published early stop (training accuracy below 40 %, on CIFAR-10 25 %, from the "
                f"sixth epoch on) would have dropped {stopped}."
            )
        return Report(
            [cell.to_json() for cell in cells],
            TITLES,
            [cell.to_row() for cell in cells],
            (Picture(lambda: _draw(self.table, cells)),) if cells else (),
            text,
            options.variant,
        )

    def _selected(self, options: TrainingOptions) -> list[Published]:
        methods = tuple(dict.fromkeys(method(cell) for cell in self.table.cells))
        for kind, asked, known in (
            ("dataset", options.dataset, self.table.columns),
            ("method", options.methods, methods),
        ):
            check_known(self.name, kind, asked, known)
        return [
            cell
            for cell in self.table.cells
            if (not options.dataset or cell.column in options.dataset)
            and (not options.methods or method(cell) in options.methods)
        ]

    def _part(self, cell: Published, options: TrainingOptions) -> TrainingPart:
        recipe = published_recipe(cell.recipe, options.epochs)
        return TrainingPart(cell.row, cell.column, cell.recipe, recipe, Store(options.results))

    def _compare(self, cell: Published, options: TrainingOptions) -> Cell:
        stored: list[StoredSeed] = []
        if cell.recipe in recipe_names():
            stored = list(self._part(cell, options).stored().values())
        found = [seed for seed in stored if seed.finished]
        values = tuple(seed.result[self.table.metric] for seed in found)
        limit = 75.0 if cell.column.startswith("cifar10") else 60.0
        would_stop = sum(any(r["train_error"] > limit for r in seed.history if r["epoch"] > 5) for seed in found)
        return Cell(cell, Verdict(Summary(values), cell), would_stop, sum(seed.diverged for seed in stored))


def method(cell: Published) -> str:
    """The method of a cell, from the name of its recipe, `SOURCE/DATASET/METHOD`."""
    return cell.recipe.split("/")[2]


def _draw(table: Table, cells: Sequence[Cell]) -> "Figure":
    """Our runs and the published numbers, a panel for each data set, a line for each method."""
    columns = [column for column in table.columns if any(cell.published.column == column for cell in cells)]
    rows = [row for row in table.rows if any(cell.published.row == row for cell in cells)]
    figure = canvas(min(11, 2.2 * len(columns) + 4), 0.42 * len(rows) + 2.2)
    figure.suptitle(table.title)
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, column in zip(panels, columns, strict=True):
        for cell in cells:
            if cell.published.column == column:
                _draw_cell(axes, rows.index(cell.published.row), cell)
        axes.set(title=dataset_name(column), xlabel="test error (%)" if table.metric == "test_error" else "training loss")
        if table.metric == "train_loss":
            _log_losses(axes)
        else:
            axes.locator_params(axis="x", nbins=4)
        for border in range(1, len(rows)):
            axes.axhline(border - 0.5, color=GRAY, linewidth=0.4, alpha=0.5)
        axes.grid(alpha=0.3, axis="x", linewidth=0.5)
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(rows)), rows)
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    legend(figure, panels, _note(cells))
    return figure


def _note(cells: Sequence[Cell]) -> str:
    """How many seeds the points of a picture have."""
    runs = sorted({cell.published.n for cell in cells})
    theirs = "one run" if runs == [1] else f"mean ± SD of {' or '.join(map(str, runs))} seeds"
    counts = sorted({len(cell.verdict.ours.values) for cell in cells} - {0, 1})
    ours = f"mean of {' or '.join(map(str, counts))} seeds, each seed a tick" if counts else "one seed"
    return f"published: {theirs}; ours: {ours}"


def _draw_cell(axes: "Axes", row: int, cell: Cell) -> None:
    """The published number above, ours below. A single seed is no mean, and looks like none."""
    theirs, ours = cell.published, cell.verdict.ours
    axes.errorbar(theirs.mean, row - 0.14, xerr=theirs.sd or 0, fmt="o", color=GRAY, label="published", capsize=3)
    if len(ours.values) == 1:
        axes.plot(ours.values, [row + 0.16], "D", color=BLACK, fillstyle="none", label="ours, one seed", markersize=5)
    elif ours.values:
        axes.plot(ours.values, [row + 0.16] * len(ours.values), "|", color=BLACK, markersize=9)
        axes.plot(ours.mean, row + 0.16, "D", color=BLACK, label="ours, mean", markersize=5)


def _log_losses(axes: "Axes") -> None:
    """A logarithmic axis. Where it has fewer than two decades, the ticks are plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    if high < 100 * low:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
