"""`targetprop compare`."""

import dataclasses
from pathlib import Path

from ..reproduce import compare
from ..rules import GENERAL
from .output import print_json, print_table
from .parsing import parse


@dataclasses.dataclass(frozen=True)
class CompareOptions:
    """What `targetprop compare` takes."""

    dataset: str = "digits"
    """Data set."""
    rules: tuple[str, ...] = GENERAL
    """Rules or published recipes to compare."""
    seeds: int = 3
    """Number of seeds, trained as one program."""
    epochs: int | None = None
    """Epochs, in place of the recipes' own."""
    out: Path = Path("comparison")
    """Folder for the runs, the table and the figure."""
    resume: bool = False
    """Continue what an earlier call left unfinished in the folder."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else there."""


def run(args: list[str]) -> int:
    """Compare rules; 0 if every seed of every rule finished."""
    description = "Train several rules from the same weights on the same minibatches; a table and a figure."
    options = parse(CompareOptions, args=args, verb="compare", description=description)
    comparison = compare(
        options.rules,
        options.dataset,
        seeds=options.seeds,
        epochs=options.epochs,
        out=options.out,
        resume=options.resume,
    )
    if options.json:
        print_json(comparison.to_json())
    else:
        titles, rows = comparison.table()
        print_table(f"{comparison.dataset}, {options.seeds} seed{'s' * (options.seeds != 1)}", titles, rows)
        for result in comparison.results:
            for seed in result.seeds:
                if seed.status != "finished":
                    print(f"{result.rule}, seed {seed.seed}: {seed.status}")
        print(f"table:  {options.out / 'table.md'}\nfigure: {options.out / 'learning-curves.png'}")
    return 0 if comparison.finished else 1
