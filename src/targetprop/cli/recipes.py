"""`targetprop recipes`."""

import dataclasses
import fnmatch
from collections.abc import Sequence

from tyro.conf import Positional

from ..experiments.catalog import recipe
from ..experiments.sources import recipe_names
from .output import print_json, print_table
from .tree import Command, UsageError


@dataclasses.dataclass(frozen=True)
class RecipesOptions:
    """The flags of `targetprop recipes [PATTERN]`."""

    pattern: Positional[str | None] = None
    """Part of a name, for example mnist/dtp, or a pattern with * and ?. Default: all recipes."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


def command(args: Sequence[str]) -> Command:
    """`targetprop recipes`."""
    return Command(RecipesOptions(), run)


def run(options: RecipesOptions) -> int:
    """List the published recipes whose name fits the pattern. Returns 0."""
    part = options.pattern or ""
    names = fnmatch.filter(recipe_names(), part if set(part) & set("*?[") else f"*{part}*")
    if not names:
        raise UsageError(f"no recipe fits {part!r}: targetprop recipes lists all of them.")
    found = {name: recipe(name) for name in names}
    if options.json:
        print_json([{"name": name, "rule": one.rule.name, "dataset": one.dataset} for name, one in found.items()])
    else:
        rows = [(name, one.rule.name, one.dataset) for name, one in found.items()]
        print_table("Recipes, for targetprop train NAME", ("name", "rule", "data set"), rows)
    return 0
