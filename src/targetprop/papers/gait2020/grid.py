"""Tables 1 to 3 of appendix B: training accuracy on MNIST by learning rate and penalty."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..._packaged import beside, read_json
from ...experiments.item import EpochOptions, Item, Picture, Report, plus_minus, report_cell
from ...experiments.store import Store
from ...experiments.training_part import TrainingPart, with_epochs
from ...figures import canvas, note, seeds_note
from ...training.result import Summary
from .recipes import RECIPES, published_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SOURCE = "gait2020"


class GridTable(Item[EpochOptions]):
    """Peak and final training accuracy of a method, by learning rate and by strength of the
    penalty.
    """

    def __init__(self, name: str, method: str, title: str):
        self.source, self.name, self.method, self.title = SOURCE, name, method, title
        self.defaults = EpochOptions()

    def parts(self, options: EpochOptions) -> list[TrainingPart]:
        parts = []
        for name in RECIPES.grid(self.method):
            rate, strength = name.split("/")[-2:]
            found = with_epochs(RECIPES.build(name), options.epochs)
            parts.append(TrainingPart(rate, strength, f"{SOURCE}/{name}", found, Store(options.results)))
        return parts

    def report(self, options: EpochOptions) -> Report:
        cells, rows, ours, seeds = [], [], {}, []
        for part in self.parts(options):
            histories = [[100 - record["train_error"] for record in run.history] for run in part.found().values()]
            reached = {
                "peak": Summary(tuple(max(history) for history in histories)),
                "final": Summary(tuple(history[-1] for history in histories)),
            }
            published = _published()[self.name][f"{part.row}/{part.column}"]
            for (when, found), theirs in zip(reached.items(), published, strict=True):
                row, column = f"learning rate {part.row}", f"lambda {part.column}, {when}"
                cells.append(report_cell(row, column, found, theirs))
            mine = " / ".join(plus_minus(found, 2) for found in reached.values())
            rows.append((part.row, part.column, " / ".join(f"{v:.2f}" for v in published), mine, str(len(histories))))
            seeds.append(len(histories))
            ours[part.row, part.column] = reached["final"].mean if histories else np.nan
        text = (
            "Training accuracy in percent, peak / final. Ours is the mean over an epoch's minibatches, each before its "
            "step; the published one was measured every ten minibatches on the whole training set. One published run each."
        )
        titles = ("learning rate", "lambda", "published", "ours", "seeds")
        done = any(np.isfinite(value) for value in ours.values())
        pictures = (Picture(lambda: self._draw(ours, seeds)),) if done else ()
        return Report(cells, titles, rows, pictures, text, options.variant)

    def _draw(self, ours: dict[tuple[str, str], float], seeds: Sequence[int]) -> "Figure":
        grid = published_values()["grid"]
        theirs = {key: _published()[self.name]["/".join(key)][1] for key in ours}
        figure = canvas(9, 3.6)
        panels = figure.subplots(1, 2)
        for axes, values, title in zip(panels, (theirs, ours), ("published", "ours"), strict=True):
            _matrix(axes, values, grid["lr"], grid["strength"])
            axes.set(title=f"final training accuracy, {title}", xlabel="lambda", ylabel="learning rate")
        figure.suptitle(self.title)
        note(figure, f"published: one run; ours: {seeds_note(seeds, band='')}")
        return figure


def _matrix(axes: "Axes", values: dict[tuple[str, str], float], rows: Sequence[str], columns: Sequence[str]) -> None:
    matrix = np.array([[values[row, column] for column in columns] for row in rows])
    axes.imshow(matrix, vmin=0, vmax=100, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    for i, row in enumerate(matrix):
        for j, value in enumerate(row):
            shown = "-" if np.isnan(value) else f"{value:.2f}"
            axes.text(j, i, shown, ha="center", va="center", color="white" if not value > 60 else "black", fontsize=8)


def _published() -> dict[str, dict[str, list[float]]]:
    """Peak and final accuracy of each cell `LEARNING RATE/LAMBDA` of each table."""
    return read_json(beside(__name__, "published.json"))
