"""Table S7: the damping of the Gauss-Newton targets that are closest to the updates of each
method.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from ...diagnostics import DAMPINGS, best_dampings
from ...experiments.item import Item, Picture, Report, TrainingOptions, check_known, report_cell
from ...experiments.store import StoredSeed
from ...experiments.training_part import TrainingPart
from ...experiments.verdict import NOT_REPRODUCED, REPRODUCED
from ...figures import canvas, dataset_name, grid, layer_colors, legend, seeds_note
from ...training.result import Summary
from .alignment import METHODS, alignment_part, angles_to_targets, methods
from .recipes import RECIPES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EPOCHS = 3  # two of training, and the one that the angles are averaged over
PLACES = ("fashion-mnist", "mnist", "cifar10", "cifar10-cnn")


@dataclasses.dataclass(frozen=True)
class Choice:
    """The dampings of a method on a data set.

    - `method`, `place`: the method and the data set.
    - `published`: the published dampings.
    - `angles`: the angle in degrees, averaged over seeds, shape `(dampings, hidden)`. `None` if
      nothing was run.
    - `n`: the number of seeds.
    """

    method: str
    place: str
    published: tuple[float, ...]
    angles: np.ndarray | None
    n: int

    @property
    def best(self) -> tuple[float, ...] | None:
        """The damping with the smallest angle for each hidden layer."""
        return None if self.angles is None else best_dampings(jnp.asarray(self.angles))

    def to_json(self) -> list[dict[str, Any]]:
        """A cell for each hidden layer."""
        return [self._cell(i, theirs) for i, theirs in enumerate(self.published)]

    def _cell(self, i: int, theirs: float) -> dict[str, Any]:
        found = report_cell(METHODS[self.method][0], f"{self.place}, layer {i + 1}", Summary(()), theirs)
        if self.best is not None and self.angles is not None:
            angle = {"angle": float(self.angles[:, i].min())}
            if theirs in DAMPINGS:
                angle |= {"angle_at_published": float(self.angles[DAMPINGS.index(theirs), i])}
            found["ours"] = {"mean": self.best[i], "sd": None, "n": self.n, **angle}
            found["verdict"] = REPRODUCED if self.best[i] == theirs else NOT_REPRODUCED
        return found

    def to_rows(self) -> list[tuple[str, ...]]:
        """The method's two lines of the table."""
        label = METHODS[self.method][0]
        ours = ["-"] * len(self.published) if self.best is None else [f"{damping:g}" for damping in self.best]
        return [
            (label, self.place, "published", *(f"{damping:g}" for damping in self.published), ""),
            ("", "", "ours", *ours, str(self.n)),
        ]


class DampingTable(Item[TrainingOptions]):
    """The best damping for each method and hidden layer, from the angles in the third epoch.

    The paper has the numbers for Fashion-MNIST. Those for the other data sets are the dampings of
    its other figures.

    **Raises:** `ConfigError` from `parts` and `report` for an unknown data set or method.
    """

    source, name = "meulemans2020", "table-s7"
    title = "Table S7: damping of the GNT updates that each method's updates are closest to"
    defaults = TrainingOptions(dataset=("fashion-mnist",))

    def parts(self, options: TrainingOptions) -> list[TrainingPart]:
        return [alignment_part(place, method, options, options.epochs or EPOCHS) for place, method in _selected(options)]

    def choices(self, options: TrainingOptions) -> list[Choice]:
        """What was found for the selected methods and data sets."""
        found = []
        for (place, method), part in zip(_selected(options), self.parts(options), strict=True):
            published = RECIPES.angles(f"{place}/{method}/alignment").dampings or ()
            runs = [_last_epoch(run, len(published)) for run in part.found().values()]
            found.append(Choice(method, place, published, np.mean(runs, axis=0) if runs else None, len(runs)))
        return found

    def report(self, options: TrainingOptions) -> Report:
        choices = self.choices(options)
        layers = max(len(choice.published) for choice in choices)
        rows = [row for choice in choices for row in choice.to_rows()]
        rows = [(*row[:-1], *[""] * (layers + 4 - len(row)), row[-1]) for row in rows]
        cells = [cell for choice in choices for cell in choice.to_json()]
        run = [cell for cell in cells if cell["ours"]]
        same = sum(cell["verdict"] == REPRODUCED for cell in run)
        text = (
            f"Of {len(run)} layers, {same} are closest to the published damping. The angles are averaged over epoch "
            f"{options.epochs or EPOCHS}, the choice is among {', '.join(f'{damping:g}' for damping in DAMPINGS)}."
        )
        found = [cell["ours"] for cell in run if "angle_at_published" in cell["ours"]]
        excess = [ours["angle_at_published"] - ours["angle"] for ours in found]
        if excess:
            text += f" At the published damping the angle is at most {max(excess):.1f} degrees larger than at ours."
        titles = ("method", "data set", "", *(f"layer {i}" for i in range(1, layers + 1)), "seeds")
        drawn = [choice for choice in choices if choice.angles is not None]
        pictures = (Picture(lambda: _draw(drawn)),) if drawn else ()
        return Report(cells, titles, rows, pictures, text, options.variant)


def _last_epoch(run: StoredSeed, layers: int) -> np.ndarray:
    """The angles of a run's last epoch, shape `(dampings, hidden)`."""
    return np.array([angles_to_targets(run, [damping] * layers)[-1] for damping in DAMPINGS])


def _selected(options: TrainingOptions) -> list[tuple[str, str]]:
    """Data sets and methods; BP has no damping."""
    known = tuple(name for name in METHODS if name != "bp")
    check_known(DampingTable.name, "dataset", options.dataset, PLACES)
    check_known(DampingTable.name, "method", options.methods, known)
    return [
        (place, method)
        for place in options.dataset or PLACES
        for method in methods(place, damped=True)
        if method in (options.methods or known)
    ]


def _draw(choices: Sequence[Choice]) -> "Figure":
    """A panel for each method: the angle against the damping, a line for each layer."""
    columns = math.ceil(math.sqrt(len(choices)))
    lines = -(-len(choices) // columns)
    figure = canvas(3.4 * columns + 0.6, 2.6 * lines + 1.4)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(choices) :]:
        axes.set_visible(False)
    for axes, choice in zip(panels.flat, choices, strict=False):
        if choice.angles is not None:
            _draw_choice(axes, choice, choice.angles)
    for axes in panels[:, 0]:
        axes.set_ylabel("angle (degrees)")
    for axes in panels.flat[len(choices) - columns : len(choices)]:
        axes.set_xlabel("damping")
        axes.tick_params(labelbottom=True)
    panels[0, 0].set_ylim(0, None)
    grid(panels.flat)
    places = list(dict.fromkeys(choice.place for choice in choices))
    figure.suptitle(f"Angle of the updates to those of damped GNT on {', '.join(map(dataset_name, places))}")
    if len(places) == 1:
        for axes, choice in zip(panels.flat, choices, strict=False):
            axes.set_title(METHODS[choice.method][0], fontsize=10)
    seeds = seeds_note((choice.n for choice in choices), band="")
    legend(figure, panels.flat, f"{seeds}; dot: the smallest angle, circle: the published damping")
    return figure


def _draw_choice(axes: "Axes", choice: Choice, angles: np.ndarray) -> None:
    places, colors = range(len(DAMPINGS)), layer_colors(len(choice.published))
    for i, (theirs, color) in enumerate(zip(choice.published, colors, strict=True)):
        line = angles[:, i]
        axes.plot(places, line, color=color, label=f"layer {i + 1}", linewidth=1.3)
        axes.plot(np.argmin(line), line.min(), "o", color=color, markersize=4.5)
        if theirs in DAMPINGS:
            at = DAMPINGS.index(theirs)
            axes.plot(at, line[at], "o", color=color, markersize=9, fillstyle="none")
    axes.set_xticks(places, [f"{damping:g}" for damping in DAMPINGS], fontsize=8)
    axes.set_title(f"{METHODS[choice.method][0]}, {dataset_name(choice.place)}", fontsize=10)
