"""Figs 2 to 4: test accuracy in training, and peak accuracies by data set."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ...experiments.item import EpochOptions, Item, Picture, Report, check_known, plus_minus, report_cell
from ...experiments.store import Store, StoredSeed
from ...experiments.training_part import TrainingPart, published_recipe
from ...figures import (
    DASH_DOTTED,
    DASHED,
    DOTTED,
    SOLID,
    canvas,
    curve,
    grid,
    legend,
    rule_style,
    seeds_note,
    whole_numbers,
)
from ...training.result import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SOURCE = "gait2020"
METHODS = {"bp": "BP", "tp-exact": "TP", "gait": "GAIT"}
DASHES = (SOLID, DASHED, DASH_DOTTED, DOTTED)  # of the places of a panel


@dataclasses.dataclass(frozen=True)
class PanelOptions(EpochOptions):
    """The options of the accuracy figures."""

    selection: ClassVar[tuple[str, ...]] = ("panels", "methods")
    panels: tuple[str, ...] = ()
    """Panels by their letters. Empty means all."""
    methods: tuple[str, ...] = ()
    """Methods by the name of their recipe: bp, tp-exact or gait. Empty means all."""


@dataclasses.dataclass(frozen=True)
class Panel:
    """A panel of a figure.

    - `letter`, `title`: its name.
    - `kinds`: each as (data set, kind, label). The recipes are `DATASET/METHOD` + `kind`.
    - `methods`: the methods that it shows.
    - `bars`: whether it shows peak accuracies instead of curves.
    """

    letter: str
    title: str
    kinds: tuple[tuple[str, str, str], ...]
    methods: tuple[str, ...] = tuple(METHODS)
    bars: bool = False


DATASETS = (("mnist", "MNIST"), ("kmnist", "KMNIST"), ("fashion-mnist", "Fashion-MNIST"))
DEPTHS = tuple(("mnist", "" if n == 4 else f"/depth-{n}", f"{n} hidden") for n in (4, 3, 2, 1))
FIG2 = (
    Panel("a", "by number of hidden layers, MNIST", DEPTHS),
    Panel("b", "four hidden layers", tuple((name, "", label) for name, label in DATASETS), bars=True),
    Panel("c", "linear network, no penalty, MNIST", (("mnist", "/linear", "linear"),)),
)
FIG3 = (
    Panel("a", "784 wide, three hidden layers, MNIST", (("mnist", "/depth-3", "784-784-784"),)),
    Panel("b", "shrinking, MNIST", (("mnist", "/tower", "784-500-200"),)),
    Panel("c", "shrinking", tuple((name, "/tower", label) for name, label in DATASETS), bars=True),
)
FIG4 = (
    Panel("a", "six hidden layers, MNIST", (("mnist", "/depth-6", "6 hidden"),), ("bp", "gait")),
    Panel("b", "eight hidden layers, MNIST", (("mnist", "/depth-8", "8 hidden"),), ("bp", "gait")),
)


@dataclasses.dataclass(frozen=True)
class Line:
    """The runs of one method in one place of a panel."""

    panel: Panel
    method: str
    label: str
    part: TrainingPart

    def accuracies(self, entry: str) -> np.ndarray:
        """`100 - entry` of all finished seeds, shape `(seeds, epochs)`."""
        return np.array([[100 - record[entry] for record in run.history] for run in self._runs()], float)

    def summary(self, entry: str, peak: bool) -> Summary:
        """The peak or the final accuracy over seeds."""
        values = self.accuracies(entry)
        if not values.size:
            return Summary(())
        return Summary(tuple(map(float, values.max(axis=1) if peak else values[:, -1])))

    def _runs(self) -> list[StoredSeed]:
        return list(self.part.found().values())


class AccuracyFigure(Item[PanelOptions]):
    """Test accuracy of BP, TP and GAIT-prop with the published parameters.

    **Raises:** `ConfigError` from `parts` and `report` for a panel or a method that is not in the
    figure.
    """

    def __init__(self, name: str, title: str, panels: Sequence[Panel]):
        self.source, self.name, self.title, self.panels = SOURCE, name, title, tuple(panels)
        self.defaults = PanelOptions()

    def parts(self, options: PanelOptions) -> list[TrainingPart]:
        return list({line.part.name: line.part for line in self._lines(options)}.values())

    def report(self, options: PanelOptions) -> Report:
        lines = self._lines(options)
        cells, rows = [], []
        for line in lines:
            label = METHODS[line.method]
            found = {
                f"{when} {which}": line.summary(f"{which}_error", when == "peak")
                for which in ("test", "train")
                for when in ("peak", "final")
            }
            place = f"{line.panel.letter}: {line.label}"
            cells += [report_cell(f"{label} {place}", column, summary) for column, summary in found.items()]
            seeds = len(found["peak test"].values)
            rows.append((line.panel.letter, label, line.label, *(plus_minus(s, 2) for s in found.values()), str(seeds)))
        titles = (
            "panel",
            "method",
            "network or data",
            "peak test",
            "final test",
            "peak training",
            "final training",
            "seeds",
        )
        epochs = lines[0].part.recipe.schedule.epochs
        text = (
            f"Accuracy in percent after {epochs} epochs (published: 100), mean ± SD over seeds. Training accuracy is the "
            "mean over an epoch's minibatches, each before its step. The paper draws these values and prints none."
        )
        drawn = [line for line in lines if line.accuracies("test_error").size]
        pictures = (Picture(lambda: self._draw(drawn)),) if drawn else ()
        return Report(cells, titles, rows, pictures, text, options.variant)

    def _lines(self, options: PanelOptions) -> list[Line]:
        check_known(self.name, "panel", options.panels, [panel.letter for panel in self.panels])
        check_known(self.name, "method", options.methods, list(METHODS))
        return [
            Line(panel, method, label, _part(f"{SOURCE}/{dataset}/{method}{kind}", method, label, options))
            for panel in self.panels
            if not options.panels or panel.letter in options.panels
            for dataset, kind, label in panel.kinds
            for method in panel.methods
            if not options.methods or method in options.methods
        ]

    def _draw(self, lines: Sequence[Line]) -> "Figure":
        panels = list(dict.fromkeys(line.panel for line in lines))
        figure = canvas(min(11, 4.6 * len(panels) + 1), 5.2)
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for one, panel in zip(axes, panels, strict=True):
            shown = [line for line in lines if line.panel == panel]
            (_bars if panel.bars else _curves)(one, shown)
            one.set_ylabel("peak accuracy (%)" if panel.bars else "test accuracy (%)")
            one.set_title(f"{panel.letter.upper()}: {panel.title}", fontsize=10)
        grid(axes)
        note = seeds_note((len(line.accuracies("test_error")) for line in lines), band="band or bar: ± 1 SD")
        legend(figure, axes, note)
        return figure


def _part(name: str, method: str, label: str, options: PanelOptions) -> TrainingPart:
    found = published_recipe(name, options.epochs)
    return TrainingPart(METHODS[method], f"{found.dataset} {label}", name, found, Store(options.results))


def _curves(axes: "Axes", lines: Sequence[Line]) -> None:
    places = list(dict.fromkeys(line.label for line in lines))
    for line in lines:
        label = METHODS[line.method]
        values = line.accuracies("test_error")
        name = label if len(places) == 1 else f"{label}, {line.label}"
        style = rule_style(line.method)._replace(line=DASHES[places.index(line.label) % len(DASHES)])
        curve(axes, np.arange(1, values.shape[1] + 1), values, style=style, label=name)
    whole_numbers(axes)
    axes.set_xlabel("epoch")


def _bars(axes: "Axes", lines: Sequence[Line]) -> None:
    places = list(dict.fromkeys(line.label for line in lines))
    methods = list(dict.fromkeys(line.method for line in lines))
    for line in lines:
        label, color = METHODS[line.method], rule_style(line.method).color
        x = places.index(line.label) + (methods.index(line.method) - (len(methods) - 1) / 2) * 0.25
        for entry, marker, name in (("test", "o", f"{label}, peak test"), ("train", "_", f"{label}, peak training")):
            found = line.summary(f"{entry}_error", True)
            spread = found.sd if len(found.values) > 1 else 0
            axes.errorbar(x, found.mean, yerr=spread, fmt=marker, color=color, capsize=3, label=name)
    axes.set_xticks(range(len(places)), places)
    axes.set_xlim(-0.5, len(places) - 0.5)
