"""Figures of training runs: learning curves, and what a probe sampled."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError
from .canvas import canvas, legend
from .lines import MEAN_BAND, MEAN_BAR, MOST_BANDS, SPREAD, Curve, curves, layer_colors, seeds_note
from .names import dataset_name
from .panels import grid, log_scale, plain_numbers, whole_numbers
from .runs import DEGREES, ERROR, KINDS, QUANTITIES, Quantity, RuleCurves, kinds, quantities
from .styles import DASHED, GRAY, Style, styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Looks = dict[str, tuple[str, Style]]


def training_figure(runs: Sequence[RuleCurves], dataset: str, kind: str | None = None) -> "Figure":
    """Draw metrics over the epochs, a panel for each.

    A single run shows every layer. Several runs are compared by the mean over their layers.

    **Arguments:**

    - `runs`: the runs.
    - `dataset`: the name of the data set, for the title.
    - `kind`: one of `KINDS`. `None` draws all.

    **Returns:** the figure.

    **Raises:** `ConfigError` if there is nothing of this kind to draw.
    """
    shown = [one for one in quantities(runs) if kind in (None, one.kind)]
    if kind is None and len(runs) > 1:  # feedback losses of several rules cannot be compared
        shown = [one for one in shown if one.kind != "feedback"]
    if not shown and kind not in (None, KINDS[0]):
        known = ", ".join(kinds(runs)) or "nothing, since no epoch has finished"
        raise ConfigError(f"There is no picture {kind!r} of these runs; there is {known}.")
    shown = shown or [one for one in QUANTITIES if one.kind == KINDS[0]]
    looks = styles([run.rule for run in runs])
    columns = 2 if len(shown) in (2, 4) else min(3, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = canvas({1: 5.5, 2: 10, 3: 11}[columns], (3.6 if columns < 3 else 3.0) * rows + 1.0)
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    sizes = []
    for axes, quantity in zip(panels, shown, strict=False):
        lines = _layers(quantity, runs[0], looks) if len(runs) == 1 else _compared(quantity, runs, looks)
        curves(axes, lines)
        sizes.append(len(lines))
        axes.set_title(_title(quantity, runs), fontsize=12 if columns < 3 else 11)
        _finish(axes, quantity, runs[0].unit)
    alone = f"{looks[runs[0].rule][0]} on " if len(runs) == 1 else ""
    figure.suptitle(f"{alone}{dataset_name(dataset)}")
    legend(figure, panels, _note(runs, shown, sizes))
    return figure


def _title(quantity: Quantity, runs: Sequence[RuleCurves]) -> str:
    """The title of a panel. Several runs are compared by the first metric alone."""
    return quantity.title if len(runs) == 1 else f"{quantity.metrics[0][1]} {quantity.title}".strip()


def _note(runs: Sequence[RuleCurves], shown: Sequence[Quantity], sizes: Sequence[int]) -> str:
    """The number of seeds, what bands and bars are, and what several runs show of their layers.

    `sizes` are the numbers of lines in the panels.
    """
    spreads = {MEAN_BAND if size <= MOST_BANDS else MEAN_BAR for size in sizes}
    spread = f"band or bar: {SPREAD}" if len(spreads) > 1 else next(iter(spreads))
    found = [run.values(quantity.metrics[0][0]) for run in runs for quantity in shown]
    means = len(runs) > 1 and any(values is not None and values.ndim == 3 for values in found)
    return seeds_note((run.seeds for run in runs), band=spread) + "; means over layers" * means


def _layers(quantity: Quantity, run: RuleCurves, looks: Looks) -> list[Curve]:
    """The lines of one run: its metrics, of each layer if they have one number for each."""
    found, style = [], looks[run.rule][1]
    for (metric, called), dashes in zip(quantity.metrics, (style.line, DASHED), strict=False):
        values = run.values(metric)
        if values is None:
            continue
        x = np.arange(1, values.shape[1] + 1)
        if values.ndim == 2:
            found.append(Curve(x, values, style._replace(line=dashes), called))
            continue
        for i, color in enumerate(layer_colors(values.shape[2])):
            name = ", ".join(filter(None, (f"layer {i + 1}", called)))
            found.append(Curve(x, values[:, :, i], Style(color, dashes), name))
    return found


def _compared(quantity: Quantity, runs: Sequence[RuleCurves], looks: Looks) -> list[Curve]:
    """A line for each run: its first metric, of layers their mean."""
    found = []
    for run in runs:
        values = run.values(quantity.metrics[0][0])
        if values is not None:
            mean = values.mean(axis=2) if values.ndim == 3 else values
            label, style = looks[run.rule]
            found.append(Curve(np.arange(1, mean.shape[1] + 1), mean, style, label))
    return found


def _finish(axes: "Axes", quantity: Quantity, unit: str) -> None:
    axes.set(xlabel="epoch", ylabel=quantity.label.format(unit=unit))
    if quantity.label == DEGREES:
        axes.axhline(90, color=GRAY, linestyle=":", linewidth=1, label="right angle")
        axes.set_ylim(bottom=0)
    if quantity.top is not None:
        axes.set_ylim(0, quantity.top)
    if quantity.log:
        log_scale(axes, (1, 1.5, 2, 3, 5, 7) if quantity.label == ERROR else (1,))
    if quantity.label == ERROR:
        plain_numbers(axes)
    whole_numbers(axes)
    grid([axes], "both")
