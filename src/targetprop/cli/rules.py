"""`targetprop rules`."""

import dataclasses
from collections.abc import Sequence

from ..rules import RULES
from .output import print_json, print_table
from .tree import Command


@dataclasses.dataclass(frozen=True)
class RulesOptions:
    """The flags of `targetprop rules`."""

    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


def command(args: Sequence[str]) -> Command:
    """`targetprop rules`."""
    return Command(RulesOptions(), run)


def run(options: RulesOptions) -> int:
    """List all rules with equation and source. Returns 0."""
    if options.json:
        print_json([{"name": r.name, "equation": r.equation, "source": r.source} for r in RULES.values()])
    else:
        rows = [(r.name, r.equation, r.source) for r in RULES.values()]
        print_table("Rules", ("name", "equation", "source"), rows)
    return 0
