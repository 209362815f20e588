"""`targetprop plot`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro
from tyro.conf import Positional

from ..experiments.reading import read_run
from ..figures import Format, save
from .tree import Command


@dataclasses.dataclass(frozen=True)
class PlotOptions:
    """The flags of `targetprop plot RUN`."""

    run: Positional[Path] = tyro.MISSING
    """Folder of a run or of a comparison."""
    kinds: tuple[str, ...] = ()
    """Pictures to draw: learning-curves, feedback, angles, target-updates, singular-values, other.
    Empty means all of which the run has values."""
    out: Path | None = None
    """Folder of the pictures. Default: that of the run."""
    format: Format = "png"
    """Format of the pictures."""


def command(args: Sequence[str]) -> Command:
    """`targetprop plot RUN`."""
    return Command(PlotOptions(), run)


def run(options: PlotOptions) -> int:
    """Draw the learning curves of a run or a comparison, and what was sampled in it. Returns 0."""
    found, folder = read_run(options.run), options.out or options.run
    figures = {kind: found.plot(kind) for kind in options.kinds or found.kinds()}
    folder.mkdir(parents=True, exist_ok=True)
    for kind, figure in figures.items():
        print(save(figure, folder / f"{kind}.{options.format}"))
    return 0
