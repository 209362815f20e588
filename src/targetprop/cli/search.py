"""`targetprop search`."""

import dataclasses
import sys
from pathlib import Path

from ..experiments import recipe, search
from ..rules import RULES
from .output import print_json, print_table, split_name
from .parsing import parse


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """What `targetprop search RULE` takes."""

    dataset: str = "digits"
    """Data set."""
    trials: int = 48
    """Settings to try; the budget of the rule."""
    epochs: int = 40
    """Epochs of each trial."""
    seeds: int = 2
    """Seeds per setting, from 1000 on, so that they are none of those results are reported for."""
    out: Path = Path("search")
    """Folder for RULE.json, and for the trials of an interrupted search: the same command goes on with them."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else there."""


def run(args: list[str]) -> int:
    """Tune one rule."""
    name, rest = split_name(args, "search", "a rule", tuple(RULES))
    description = "Tune a rule's hyperparameters on validation error (tree-structured Parzen estimator)."
    options = parse(SearchOptions, args=rest, verb=f"search {name}", description=description)
    base = recipe(name, options.dataset)
    base = base.replace(schedule=dataclasses.replace(base.schedule, epochs=options.epochs))
    try:
        found = search(base, trials=options.trials, seeds=range(1000, 1000 + options.seeds), out=options.out)
    except KeyboardInterrupt:
        sys.stderr.write(f"The finished trials are kept in {options.out}: the same command goes on.\n")
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
