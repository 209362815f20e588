"""`targetprop compare`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from ..errors import ConfigError
from ..experiments import Comparison, compare, compare_runs
from ..experiments.comparison import COMPARISON
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
    first_seed: int = 0
    """The first seed. The other seeds are the next numbers."""
    baseline: str | None = None
    """The rule that the others are compared with, seed by seed.
    Default: bp if it is among the rules, else the first."""
    runs: Annotated[tuple[Path, ...], tyro.conf.arg(name="from")] = ()
    """Folders of finished runs. They are set side by side, and nothing is trained."""
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
    comparison = _from_runs(options) if options.runs else _trained(options)
    if options.json:
        print_json(comparison.to_json())
    else:
        titles, rows = comparison.table()
        seeds = max(len(result.seeds) for result in comparison.results)
        print_table(f"{comparison.dataset}, {seeds} seed{'s' * (seeds != 1)}", titles, rows)
        for line in (*comparison.exceptions, *comparison.warnings):
            print(line)
        left = () if options.runs else options.rules[len(comparison.results) :]
        if left:
            print(f"interrupted before {', '.join(left)}: the same command with --resume continues")
        print(f"table:  {options.out / 'table.md'}\nfigure: {options.out / 'learning-curves.png'}")
    return 0 if comparison.finished else 1


def _trained(options: CompareOptions) -> Comparison:
    return compare(
        options.rules,
        options.dataset,
        seeds=range(options.first_seed, options.first_seed + options.seeds),
        epochs=options.epochs,
        baseline=options.baseline,
        out=options.out,
        resume=options.resume,
        overwrite=options.overwrite,
    )


def _from_runs(options: CompareOptions) -> Comparison:
    if (options.out / COMPARISON).exists() and not options.overwrite:
        raise ConfigError(f"There is a comparison in {options.out} already: use another `out`, or `overwrite`.")
    return compare_runs(options.runs, baseline=options.baseline, out=options.out)
