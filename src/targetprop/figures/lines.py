"""Lines with bands over seeds, and how they are described."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .styles import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPREAD = "± 1 SD, not below the lowest seed"
MEAN_BAND, MEAN_BAR = f"band: {SPREAD}", f"bar: {SPREAD}"
MOST_BANDS, BARS_PER_LINE = 3, 6
QUARTILE_BAND = "band: from the lower to the upper quartile"


def seeds_note(counts: Iterable[int], line: str = "mean", band: str = MEAN_BAND) -> str:
    """The number of seeds of a figure, and what its lines and bands are, in words.

    **Arguments:**

    - `counts`: the number of seeds of each line.
    - `line`: what a line shows of several seeds.
    - `band`: what a band shows of several seeds. Empty if there are none.
    """
    known = sorted({count for count in counts if count})
    if not known:
        return ""
    if known[-1] == 1:
        return "1 seed"
    seeds = str(known[-1]) if len(known) == 1 else f"{known[0]} to {known[-1]}"
    return f"{line} of {seeds} seeds" + (f"; {band}" if band else "")


def curve(axes: "Axes", x: np.ndarray, values: np.ndarray, *, style: Style, label: str) -> None:
    """Draw the mean over seeds with a band of one standard deviation.

    The band ends at the smallest value.

    **Arguments:**

    - `axes`: the panel.
    - `x`: the positions, shape `(points,)`.
    - `values`: shape `(seeds, points)`.
    - `style`, `label`: those of the line.
    """
    mean, low, high = _mean_and_band(values)
    _line(axes, x, mean, style, label)
    if len(values) > 1:
        _band(axes, x, low, high, style)


class Curve(NamedTuple):
    """A line of a panel: positions `(points,)`, values `(seeds, points)`, style and label."""

    x: np.ndarray
    values: np.ndarray
    style: Style
    label: str


def curves(axes: "Axes", lines: Sequence[Curve]) -> None:
    """Draw means over seeds with their standard deviations, such that these can be told apart.

    Up to three lines have bands. Of more the bands would cover each other, so every line has error
    bars at points of its own.

    **Arguments:**

    - `axes`: the panel.
    - `lines`: the lines.
    """
    for place, line in enumerate(lines):
        if len(lines) <= MOST_BANDS:
            curve(axes, line.x, line.values, style=line.style, label=line.label)
            continue
        mean, low, high = _mean_and_band(line.values)
        _line(axes, line.x, mean, line.style, line.label)
        if len(line.values) > 1:
            period = max(len(lines), len(line.x) // BARS_PER_LINE)
            at = np.arange(place * period // len(lines), len(line.x), period)
            ends = np.stack([mean - low, high - mean])[:, at]
            bar = {"fmt": "none", "capsize": 3, "elinewidth": 1.2, "capthick": 1.2}
            axes.errorbar(line.x[at], mean[at], yerr=ends, ecolor=line.style.color, **bar)


def _mean_and_band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, and one standard deviation below and above. The lower end is no lower than a seed."""
    mean, sd = values.mean(axis=0), values.std(axis=0, ddof=len(values) > 1)
    return mean, np.maximum(mean - sd, values.min(axis=0)), mean + sd


def quartiles(axes: "Axes", x: np.ndarray, values: np.ndarray, *, style: Style, label: str) -> None:
    """Draw the median over seeds with a band from the lower to the upper quartile.

    **Arguments:** those of `curve`.
    """
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    _line(axes, x, median, style, label)
    if len(values) > 1:
        _band(axes, x, low, high, style)


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """A moving average over `window` points. It takes fewer, and as many on both sides, at the ends.

    **Arguments:**

    - `values`: shape `(points,)`.
    - `window`: an odd number of points.
    """
    half = [min(window // 2, i, len(values) - 1 - i) for i in range(len(values))]
    return np.array([values[i - h : i + h + 1].mean() for i, h in enumerate(half)])


def smooth_curve(axes: "Axes", x: np.ndarray, values: np.ndarray, *, style: Style, label: str, window: int = 9) -> None:
    """Draw the mean over seeds as a faint line, and its moving average over that.

    **Arguments:** those of `curve`, and

    - `window`: the number of points of the moving average.
    """
    mean = values.mean(axis=0)
    axes.plot(x, mean, color=style.color, alpha=0.3, linewidth=0.8)
    _line(axes, x, smoothed(mean, window), style, label)


def layer_colors(count: int) -> list[str]:
    """Colors of the layers of a network, or of networks of several depths, from dark to light."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["viridis"](place)) for place in np.linspace(0, 0.85, max(count, 2))[:count]]


def _line(axes: "Axes", x: np.ndarray, y: np.ndarray, style: Style, label: str) -> None:
    marker = style.marker or ("." if len(x) == 1 else "")
    look: dict[str, Any] = {"color": style.color, "linestyle": style.line, "marker": marker, "markersize": 5}
    axes.plot(x, y, label=label, linewidth=1.6, markevery=max(1, len(x) // 10), **look)


def _band(axes: "Axes", x: np.ndarray, low: np.ndarray, high: np.ndarray, style: Style) -> None:
    """A band with edges in the line's style, so that bands that cover each other can be told apart."""
    edge: dict[str, Any] = {"edgecolor": (style.color, 0.45), "linestyle": style.line, "linewidth": 0.7}
    axes.fill_between(x, low, high, facecolor=(style.color, 0.13), **edge)
