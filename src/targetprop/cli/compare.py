"""`targetprop compare`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ..experiments import compare
from ..rules import GENERAL
from .output import print_json, print_table
from .tree import Command


@dataclasses.dataclass(frozen=True)
class CompareOptions:
    """The flags of `targetprop compare`."""

    dataset: str | None = None
    """Data set. Default: that of the published recipes among the rules, else digits."""
    rules: tuple[str, ...] = GENERAL
    """Rules or published recipes to compare."""
    seeds: int = 3
    """Number of seeds. They are trained as one program."""
    epochs: int | None = None
    """Number of epochs. Default: that of each recipe."""
    out: Path = Path("comparison")
    """Folder for the runs, the table and the figure."""
    resume: bool = False
    """Continue the unfinished comparison in the folder."""
    overwrite: bool = False
    """Replace the comparison in the folder."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


def command(args: Sequence[str]) -> Command:
    """`targetprop compare`."""
    return Command(CompareOptions(), run)


def run(options: CompareOptions) -> int:
    """Compare rules. Returns 0 if every seed of every rule finished, else 1."""
    comparison = compare(
        options.rules,
        options.dataset,
        seeds=options.seeds,
        epochs=options.epochs,
        out=options.out,
        resume=options.resume,
        overwrite=options.overwrite,
    )
    if options.json:
        print_json(comparison.to_json())
    else:
        titles, rows = comparison.table()
        print_table(f"{comparison.dataset}, {options.seeds} seed{'s' * (options.seeds != 1)}", titles, rows)
        for line in comparison.exceptions:
            print(line)
        left = options.rules[len(comparison.results) :]
        if left:
            print(f"interrupted before {', '.join(left)}: the same command with --resume continues")
        print(f"table:  {options.out / 'table.md'}\nfigure: {options.out / 'learning-curves.png'}")
    return 0 if comparison.finished else 1
