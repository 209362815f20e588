"""`targetprop search`."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from ..experiments.catalog import recipe
from ..experiments.tuning import search
from .names import for_rules
from .output import print_json, print_table
from .tree import Group


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """The flags of `targetprop search RULE`."""

    dataset: str = "digits"
    """Data set."""
    trials: int = 48
    """Number of settings to try."""
    epochs: int = 40
    """Number of epochs of each trial."""
    seeds: int = 2
    """Number of seeds per setting. They start at 1000: no reported result uses these seeds."""
    out: Path = Path("search")
    """Folder for RULE.json. It also keeps the trials of an interrupted search.
    The same command continues the search."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


def command(args: Sequence[str]) -> Group:
    """`targetprop search RULE`."""
    return for_rules(SearchOptions(), run)


def run(name: str, options: SearchOptions) -> int:
    """Tune one rule by the tree-structured Parzen estimator (TPE). Returns 0."""
    base = recipe(name, options.dataset)
    base = base.replace(schedule=dataclasses.replace(base.schedule, epochs=options.epochs))
    try:
        found = search(base, trials=options.trials, seeds=range(1000, 1000 + options.seeds), out=options.out)
    except KeyboardInterrupt:
        sys.stderr.write(f"The finished trials are in {options.out}. The same command continues.\n")
        raise
    path = found.save(options.out)
    if options.json:
        print_json(dataclasses.asdict(found))
    else:
        rows = [(name, f"{value:.4g}") for name, value in found.best.items()]
        print_table(
            f"{found.rule} on {found.dataset}: validation error {found.validation_error:.2f}", ("field", "best"), rows
        )
        print(path)
    return 0
