"""Figures, drawn without a display."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ..train.result import Result

# Okabe and Ito's colours, told apart by all kinds of colour vision, the faint yellow left for last
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#888888", "#F0E442")


def canvas(width: float, height: float) -> Figure:
    """An empty figure of a size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def legend(figure: Figure, panels: Iterable[Axes]) -> None:
    """One legend below all panels, each label once."""
    labelled = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            labelled.setdefault(label, handle)
    columns = min(5, max(1, int(figure.get_figwidth() // 1.9)))
    figure.legend(labelled.values(), labelled.keys(), loc="outside lower center", ncols=columns)


def curve(axes: Axes, x: np.ndarray, values: np.ndarray, *, colour: str, label: str, style: str = "-") -> None:
    """The mean over seeds, `values` having shape `(seeds, points)`, with a band of one standard deviation, which ends where
    there are no values below."""
    mean, sd = values.mean(axis=0), values.std(axis=0, ddof=len(values) > 1)
    axes.plot(x, mean, style, color=colour, label=label, linewidth=1.5, marker="." if len(x) == 1 else "")
    axes.fill_between(x, np.maximum(mean - sd, values.min(axis=0)), mean + sd, color=colour, alpha=0.15, linewidth=0)


def learning_curves(results: Sequence[Result], dataset: str, path: Path) -> None:
    """Test error and training loss against the epoch: a line for the mean over seeds, a band of one standard deviation."""
    figure = canvas(10, 4)
    left, right = figure.subplots(1, 2)
    left.set(xlabel="epoch", ylabel=f"test error ({results[0].unit})", title=f"Test error on {dataset}", yscale="log")
    right.set(xlabel="epoch", ylabel="training loss", title=f"Training loss on {dataset}", yscale="log")
    for i, result in enumerate(results):
        colour, style = COLOURS[i % len(COLOURS)], "--" if i >= len(COLOURS) else "-"
        for axes, name in ((left, "test_error"), (right, "train_loss")):
            histories = [[record[name] for record in seed.history] for seed in result.counted if seed.history]
            if not histories:
                continue
            length = min(map(len, histories))
            values = np.array([history[:length] for history in histories])
            curve(axes, np.arange(1, length + 1), values, colour=colour, label=result.rule, style=style)
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    left.yaxis.set_minor_formatter(NullFormatter())
    for axes in (left, right):
        axes.grid(alpha=0.3, which="both", linewidth=0.5)
    if left.lines:
        left.legend(fontsize=8)
    figure.savefig(path, dpi=150)
