"""`targetprop search`."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from ..experiments.catalog import recipe
from ..experiments.space import SPACE, OneOf, Range
from ..experiments.tuning import search
from .names import for_rules
from .output import print_json, print_table
from .tree import Group, UsageError


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
    space: tuple[str, ...] = ()
    """Values to search besides the usual ones, or instead of their usual range.
    FIELD=LOW:HIGH is searched on a logarithmic scale, FIELD=LOW:HIGH:lin on a linear one.
    FIELD=A,B,C is a choice. FIELD is the name of a number in the recipe:
    optimizer.learning-rate=1e-4:0.1 optimizer.b1=0.8,0.9,0.95."""
    prune: bool = False
    """Give up a setting whose best validation error is above the median of the others."""
    together: int = 8
    """Number of settings that are trained as one program.
    A process that is killed loses at most these; another runs them again."""
    out: Path = Path("search")
    """Folder for RULE.json, and for RULE.journal, which keeps all trials.
    The same command continues an interrupted search, also in several processes at once."""
    storage: str | None = None
    """URL of a database that keeps the trials instead, for example sqlite:///search.db.
    Several machines can work on it at once. Default: RULE.journal."""
    name: str | None = None
    """Name of the search in its storage. Default: "RULE on DATASET"."""
    overwrite: bool = False
    """Replace a search of other settings, with its trials and RULE.json."""
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
        found = search(
            base,
            trials=options.trials,
            together=options.together,
            seeds=range(1000, 1000 + options.seeds),
            space={**SPACE, **dict(map(_read, options.space))},
            prune=options.prune,
            out=options.out,
            storage=options.storage,
            name=options.name,
            overwrite=options.overwrite,
        )
    except KeyboardInterrupt:
        place = options.out if options.storage is None else "the storage"
        sys.stderr.write(f"The finished trials are in {place}. The same command continues.\n")
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


def _read(text: str) -> tuple[str, Range | OneOf]:
    """A field and its values, from `FIELD=LOW:HIGH`, `FIELD=LOW:HIGH:lin` or `FIELD=A,B,C`."""
    field, _, values = text.partition("=")
    parts = values.split(":")
    scale = parts.pop() if parts[-1] in ("lin", "log") else "log"
    try:
        if len(parts) == 1 and scale == "log":
            return field.replace("-", "_"), OneOf(tuple(map(float, parts[0].split(","))))
        low, high = map(float, parts)
    except ValueError:
        raise UsageError(f"--space {text}: write FIELD=LOW:HIGH, FIELD=LOW:HIGH:lin or FIELD=A,B,C.") from None
    return field.replace("-", "_"), Range(low, high, log=scale == "log")
