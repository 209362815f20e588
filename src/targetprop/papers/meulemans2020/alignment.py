"""Fig. 4 and Fig. S3 to S5: angles of updates to those of backpropagation and Gauss-Newton
targets.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...diagnostics import DAMPINGS, AngleToBackprop, DampingSearch, Probe
from ...experiments.item import Item, Picture, Report, TrainingOptions, check_known, plus_minus, report_cell
from ...experiments.store import Store, StoredSeed
from ...experiments.training_part import TrainingPart, published_recipe
from ...figures import (
    DASH_DOTTED,
    DASHED,
    DOTTED,
    GRAY,
    Style,
    canvas,
    dataset_name,
    grid,
    legend,
    rule_style,
    seeds_note,
    smooth_curve,
    whole_numbers,
)
from ...training.result import Summary
from .recipes import RECIPES, TASKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS: dict[str, tuple[str, Style]] = {
    "bp": ("BP", rule_style("bp")),
    "ddtp-linear": ("DDTP-linear", rule_style("ddtp-linear")),
    "ddtp-rhl": ("DDTP-RHL", rule_style("ddtp-rhl")),
    "ddtp-rhl-extra": ("DDTP-RHL (extra FB)", rule_style("ddtp-rhl")._replace(line=DASH_DOTTED)),
    "ddtp-rhl-rec-extra": ("DDTP-RHL (rec. and extra FB)", rule_style("ddtp-rhl-rec")._replace(line=DOTTED)),
    "dtpdrl": ("DTPDRL", rule_style("dtpdrl")),
    "ddtp-control": ("DDTP-control", rule_style("ddtp-control")),
    "dtp": ("DTP", rule_style("dtp")),
    "dtp-pretrained": ("DTP (pre-trained)", rule_style("dtp")._replace(line=DASHED)),
    "dfa": ("DFA", rule_style("dfa")),
}
WINDOW = 9  # epochs of the moving average in the figures
MAIN = ("bp", "ddtp-linear", "ddtp-rhl", "dtpdrl", "ddtp-control", "dtp", "dtp-pretrained", "dfa")  # those of the main text


def methods(place: str, damped: bool) -> tuple[str, ...]:
    """The methods for which the paper has settings for the angles.

    **Arguments:**

    - `place`: the data set.
    - `damped`: whether only methods with published dampings are meant.
    """
    known = [method for method in METHODS if f"{place}/{method}/alignment" in RECIPES.published()]
    return tuple(m for m in known if not damped or RECIPES.angles(f"{place}/{m}/alignment").dampings)


def alignment_part(place: str, method: str, options: TrainingOptions, epochs: int | None) -> TrainingPart:
    """The training runs of a method in which the angles are measured.

    The angles are those to backpropagation, and to Gauss-Newton targets of every damping of Table
    S7 and of the published ones. The figures and, for the same number of epochs, the table read
    the same runs.

    **Arguments:**

    - `place`: the data set.
    - `method`: the method, one of `METHODS`.
    - `options`: the options of the item.
    - `epochs`: a number of epochs that replaces the published one, or `None`.
    """
    name = f"{place}/{method}/alignment"
    published = RECIPES.angles(name)
    dampings = tuple(sorted({*DAMPINGS, *(published.dampings or ())}))
    return TrainingPart(
        METHODS[method][0],
        place,
        f"meulemans2020/{name}",
        published_recipe(f"meulemans2020/{name}", epochs),
        Store(options.results),
        Probe(published.every, (AngleToBackprop(), DampingSearch(dampings))),
        ("diagnostics/angle_bp", *(f"diagnostics/angle_gnt/{damping:g}" for damping in dampings)),
    )


def angles_to_targets(run: StoredSeed, dampings: Sequence[float]) -> np.ndarray:
    """The angles of a run to damped Gauss-Newton targets.

    **Arguments:**

    - `run`: the run.
    - `dampings`: the damping for each hidden layer.

    **Returns:** degrees, shape `(epochs, hidden)`.
    """
    return np.array(
        [[record[f"diagnostics/angle_gnt/{d:g}"][i] for i, d in enumerate(dampings)] for record in run.history], float
    )


def angles_to_backprop(run: StoredSeed) -> np.ndarray:
    """The angle of each hidden layer to backpropagation, degrees, shape `(epochs, hidden)`."""
    return np.array([record["diagnostics/angle_bp"] for record in run.history], float)


class AlignmentFigure(Item[TrainingOptions]):
    """The angles of the methods on a data set over training.

    They are the angles to backpropagation and to Gauss-Newton targets.

    **Arguments:**

    - `name`, `title`: those of the item.
    - `place`: the data set.
    - `shown`: the methods.
    - `layers`: the hidden layers. Empty means all.
    - `damped`: whether the Gauss-Newton targets have the published damping of each method and
      layer, or none.

    **Raises:** `ConfigError` from `parts` and `report` for another data set or an unknown method.
    """

    def __init__(
        self,
        name: str,
        place: str,
        title: str,
        shown: Sequence[str] = tuple(METHODS),
        layers: Sequence[int] = (),
        damped: bool = True,
    ):
        self.source, self.name, self.place, self.damped = "meulemans2020", name, place, damped
        targets, where = "damped GNT" if damped else "GNT", dataset_name(place)
        self.title = f"{title}: angles of the updates to those of BP and of {targets} on {where}"
        self.shown = tuple(method for method in methods(place, damped) if method in shown)
        self.layers = tuple(layers) or tuple(range(1, len(TASKS[place].sizes) + 1))
        self.defaults = TrainingOptions()

    def parts(self, options: TrainingOptions) -> list[TrainingPart]:
        return [alignment_part(self.place, method, options, options.epochs) for method in self._selected(options)]

    def report(self, options: TrainingOptions) -> Report:
        curves = {m: self._curves(p, m) for m, p in zip(self._selected(options), self.parts(options), strict=True)}
        references = {"bp": "BP", "gnt": "damped GNT" if self.damped else "GNT"}
        cells, rows = [], []
        for method, found in curves.items():
            for key, reference in references.items():
                means = found[key].mean(axis=1) if found[key].size else np.empty((0, len(self.layers)))  # seeds, layers
                summaries = [Summary(tuple(map(float, column))) for column in means.T]
                label = METHODS[method][0]
                cells += [
                    report_cell(label, f"layer {i} to {reference}", s) for i, s in zip(self.layers, summaries, strict=True)
                ]
                rows.append((label, reference, *(plus_minus(s, 1) for s in summaries), str(len(means))))
        titles = ("method", "angle to", *(f"layer {i}" for i in self.layers), "seeds")
        text = (
            "Degrees, averaged over training; mean ± SD over seeds. A random direction is at 90 degrees. The paper draws "
            "the angles and gives no numbers."
        )
        drawn = {method: found for method, found in curves.items() if found["bp"].size}
        pictures = (Picture(lambda: self._draw(drawn, references)),) if drawn else ()
        return Report(cells, titles, rows, pictures, text, options.variant)

    def _selected(self, options: TrainingOptions) -> tuple[str, ...]:
        check_known(self.name, "dataset", options.dataset, (self.place,))
        check_known(self.name, "method", options.methods, self.shown)
        return tuple(method for method in self.shown if not options.methods or method in options.methods)

    def _curves(self, part: TrainingPart, method: str) -> dict[str, np.ndarray]:
        """The angles of the layers, for all finished seeds, shape `(seeds, epochs, layers)`."""
        runs, columns = list(part.found().values()), [i - 1 for i in self.layers]
        published = RECIPES.angles(f"{self.place}/{method}/alignment").dampings or ()
        dampings = published if self.damped else (0.0,) * len(TASKS[self.place].sizes)
        to_targets = [angles_to_targets(run, dampings)[:, columns] for run in runs]
        return {"bp": np.array([angles_to_backprop(run)[:, columns] for run in runs]), "gnt": np.array(to_targets)}

    def _draw(self, curves: dict[str, dict[str, np.ndarray]], references: dict[str, str]) -> "Figure":
        if len(self.layers) == 1:
            figure = canvas(10, 4.9)
            panels = figure.subplots(1, 2, sharey=True, squeeze=False).T
        else:
            figure = canvas(min(11, 2.2 * len(self.layers) + 1), 6.6)
            panels = figure.subplots(2, len(self.layers), sharex=True, sharey=True)
        for line, (key, reference) in zip(panels, references.items(), strict=True):
            for k, axes in enumerate(line):
                for method, found in curves.items():
                    label, style = METHODS[method]
                    epochs = np.arange(1, found[key].shape[1] + 1)
                    smooth_curve(axes, epochs, found[key][:, :, k], style=style, label=label, window=WINDOW)
                axes.axhline(90, color=GRAY, linestyle=":", label="random direction")
                if key == "bp" or len(self.layers) == 1:
                    axes.set_title(f"layer {self.layers[k]}")
            line[0].set_ylabel(f"angle to {reference} (degrees)")
        for axes in panels[-1] if len(self.layers) > 1 else panels[:, 0]:
            axes.set_xlabel("epoch")
            whole_numbers(axes)
        grid(panels.flat)
        panels[0, 0].set_ylim(0, None)
        figure.suptitle(self.title)
        seeds = seeds_note((len(found["bp"]) for found in curves.values()), band="")
        smoothing = f"thin: every epoch, thick: moving average over {WINDOW} epochs, fewer at the ends"
        legend(figure, panels.flat, f"{seeds}; {smoothing}")
        return figure
