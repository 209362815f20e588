"""What the axes of a panel look like."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHORT, SHORT_TICKS = 100, (1, 2, 5)  # an axis whose ends differ by a smaller factor has these ticks in its decades


def grid(panels: Iterable["Axes"], which: Literal["major", "both"] = "major") -> None:
    """Draw a faint grid behind the lines of some panels."""
    for axes in panels:
        axes.grid(alpha=0.3, which=which, linewidth=0.5)
        axes.set_axisbelow(True)


def whole_numbers(axes: "Axes") -> None:
    """Put ticks at whole numbers only, for example for epochs."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def plain_numbers(axes: "Axes") -> None:
    """Write the ticks of a logarithmic y axis as plain numbers."""
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def log_scale(axes: "Axes", ticks: Sequence[float] = (1,)) -> None:
    """Set a logarithmic scale for the lines drawn so far.

    If a line contains zeros, the axis has a zero below the smallest positive value. If the axis has
    little more than a decade, its ticks are plain numbers.

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
        low, high = axes.get_ylim()
        short = high < SHORT * low
        axes.yaxis.set_major_locator(LogLocator(subs=SHORT_TICKS if short and len(ticks) == 1 else ticks))
        if short:
            plain_numbers(axes)


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
