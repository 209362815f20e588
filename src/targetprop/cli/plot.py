"""`targetprop plot`."""

import dataclasses
from pathlib import Path

from ..experiments.reading import read_run
from ..figures import Format, save
from .output import split_name
from .parsing import parse


@dataclasses.dataclass(frozen=True)
class PlotOptions:
    """The flags of `targetprop plot`."""

    kinds: tuple[str, ...] = ()
    """Pictures to draw: learning-curves, feedback, angles, target-updates, singular-values, other.
    Empty means all of which the run has values."""
    out: Path | None = None
    """Folder of the pictures. Default: that of the run."""
    format: Format = "png"
    """Format of the pictures."""


def run(args: list[str]) -> int:
    """Draw the learning curves of a run or a comparison, and what was sampled in it. Returns 0."""
    name, rest = split_name(args, "plot", "the folder of a run or of a comparison", ("RUN",))
    description = "Draw the learning curves of a run or a comparison, and the diagnostics that were sampled."
    options = parse(PlotOptions, args=rest, verb="plot RUN", description=description)
    found = read_run(Path(name))
    folder = options.out or Path(name)
    figures = {kind: found.plot(kind) for kind in options.kinds or found.kinds()}
    folder.mkdir(parents=True, exist_ok=True)
    for kind, figure in figures.items():
        print(save(figure, folder / f"{kind}.{options.format}"))
    return 0
