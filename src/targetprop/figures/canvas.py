"""Figures and their files: an empty figure, its legend, its note, and how it is saved."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from .._files import whole_file
from ..errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["png", "pdf", "svg"]
FORMATS: tuple[str, ...] = get_args(Format)
INCHES_PER_COLUMN = 1.9  # of a legend
# Fonts that publishers accept in PDF, and the same bytes for the same figure in SVG
SAVED: Any = {"pdf.fonttype": 42, "svg.hashsalt": "targetprop"}
UNDATED = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


def canvas(width: float, height: float) -> "Figure":
    """An empty figure of the given width and height in inches. A notebook shows it by itself."""

    from ._figure import NotebookFigure

    return NotebookFigure(width, height)


def save(figure: "Figure", path: Path) -> Path:
    """Save a figure, completely or not at all. The suffix of the path chooses the format.

    **Arguments:**

    - `figure`: the figure.
    - `path`: the file, with the suffix `.png`, `.pdf` or `.svg`.

    **Returns:** the path.

    **Raises:** `ConfigError` for another suffix.
    """
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in FORMATS:
        known = ", ".join(f".{name}" for name in FORMATS)
        raise ConfigError(f"{path.name} names no format of a picture: use one of the suffixes {known}.")
    import matplotlib

    with matplotlib.rc_context(SAVED), whole_file(path) as file:
        figure.savefig(file, format=suffix, dpi=150, metadata=UNDATED[suffix])
    return path


def columns(figure: "Figure") -> int:
    """The number of columns of a legend below all panels."""
    return min(5, max(1, int(figure.get_figwidth() // INCHES_PER_COLUMN)))


def legend(figure: "Figure", panels: Iterable["Axes"], title: str = "", ncols: int | None = None) -> None:
    """Add one legend below all panels, each label once.

    **Arguments:**

    - `figure`: the figure.
    - `panels`: the panels whose lines are explained.
    - `title`: a line above the labels, for example the number of seeds. It is shown even where
      there are no labels.
    - `ncols`: the number of columns. Default: as many as fit.
    """
    labeled = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            labeled.setdefault(label, handle)
    if not labeled:
        note(figure, title)
        return
    place = {"loc": "outside lower center", "ncols": ncols or columns(figure)}
    figure.legend(labeled.values(), labeled.keys(), title=title or None, handlelength=2.6, **place)


def note(figure: "Figure", *sentences: str) -> None:
    """Write a line below all panels of a figure without a common legend."""
    text = "\n".join(sentence for sentence in sentences if sentence)
    if text:
        figure.supxlabel(text, fontsize=9)
