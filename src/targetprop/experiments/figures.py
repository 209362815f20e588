"""Figures, drawn without a display. Matplotlib is imported when the first one is drawn."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..training.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The colors of Okabe and Ito, which all kinds of color vision distinguish, pale yellow last
COLORS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#888888", "#F0E442")


def canvas(width: float, height: float) -> "Figure":
    """An empty figure of the given width and height in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def columns(figure: "Figure") -> int:
    """The number of columns of a legend below all panels."""
    return min(5, max(1, int(figure.get_figwidth() // 1.9)))


def legend(figure: "Figure", panels: Iterable["Axes"]) -> None:
    """Add one legend below all panels, each label once."""
    labeled = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            labeled.setdefault(label, handle)
    figure.legend(labeled.values(), labeled.keys(), loc="outside lower center", ncols=columns(figure))


def whole_numbers(axes: "Axes") -> None:
    """Put ticks at whole numbers only, for example for epochs."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def log_scale(axes: "Axes", ticks: Sequence[float] = (1,)) -> None:
    """Set a logarithmic scale for the lines drawn so far.

    If a line contains zeros, the axis has a zero below the smallest positive value.

    **Arguments:**

    - `axes`: the panel.
    - `ticks`: the ticks in every decade.
    """
    from matplotlib.ticker import LogLocator, SymmetricalLogLocator

    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.lines] or [np.empty(0)])
    positive = values[np.isfinite(values) & (values > 0)]
    if positive.size and np.any(values == 0):
        least = 10.0 ** math.floor(math.log10(positive.min()))
        axes.set_yscale("symlog", linthresh=least, linscale=0.4)
        axes.set_ylim(bottom=-0.1 * least)
        axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=least, subs=ticks))
    elif positive.size:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=ticks))


def covered(axes: "Axes") -> list[str]:
    """Lines that hide other lines completely, within 0.1 %.

    **Returns:** a sentence for each, such as "A covers B and C".
    """
    found: dict[str, list[str]] = {}
    for i, line in enumerate(axes.lines):
        for other in reversed(axes.lines[i + 1 :]):
            ours, theirs = (np.asarray(each.get_xydata(), float) for each in (line, other))
            if ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=1e-3, atol=0):
                found.setdefault(str(other.get_label()), []).append(str(line.get_label()))
                break
    return [f"{top} covers {' and '.join(hidden)}" for top, hidden in found.items()]


def curve(axes: "Axes", x: np.ndarray, values: np.ndarray, *, color: str, label: str, style: str | tuple = "-") -> None:
    """Draw the mean over seeds with a band of one standard deviation.

    The band ends at the smallest value.

    **Arguments:**

    - `axes`: the panel.
    - `x`: the positions, shape `(points,)`.
    - `values`: shape `(seeds, points)`.
    - `color`, `label`, `style`: those of the line.
    """
    mean, sd = values.mean(axis=0), values.std(axis=0, ddof=len(values) > 1)
    axes.plot(x, mean, linestyle=style, color=color, label=label, linewidth=1.5, marker="." if len(x) == 1 else "")
    axes.fill_between(x, np.maximum(mean - sd, values.min(axis=0)), mean + sd, color=color, alpha=0.15, linewidth=0)


def learning_curves(results: Sequence[Result], dataset: str, path: Path) -> None:
    """Draw test error and training loss against the epoch, the mean and a band over the seeds.

    **Arguments:**

    - `results`: the results of several rules.
    - `dataset`: the name of the data set, for the titles.
    - `path`: the file of the picture.
    """
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    figure = canvas(10, 4)
    figure.set_figheight(4 + 0.22 * math.ceil(len(results) / columns(figure)))
    left, right = figure.subplots(1, 2)
    left.set(xlabel="epoch", ylabel=f"test error ({results[0].unit})", title=f"Test error on {dataset}")
    right.set(xlabel="epoch", ylabel="training loss", title=f"Training loss on {dataset}")
    for i, result in enumerate(results):
        color, style = COLORS[i % len(COLORS)], "--" if i >= len(COLORS) else "-"
        for axes, name in ((left, "test_error"), (right, "train_loss")):
            histories = [[record[name] for record in seed.history] for seed in result.counted if seed.history]
            if not histories:
                continue
            length = min(map(len, histories))
            values = np.array([history[:length] for history in histories])
            curve(axes, np.arange(1, length + 1), values, color=color, label=result.rule, style=style)
    log_scale(left, ticks=(1, 1.5, 2, 3, 5, 7))
    log_scale(right)
    left.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    left.yaxis.set_minor_formatter(NullFormatter())
    for axes in (left, right):
        whole_numbers(axes)
        axes.grid(alpha=0.3, which="both", linewidth=0.5)
    if left.lines:
        legend(figure, (left, right))
    figure.savefig(path, dpi=150)
