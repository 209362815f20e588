"""`targetprop cite`."""

import dataclasses
from collections.abc import Sequence

from ..rules import RULES
from ..rules.explain import citations
from .names import for_rules
from .output import print_json
from .tree import Group


@dataclasses.dataclass(frozen=True)
class CiteOptions:
    """The flags of `targetprop cite RULE`."""

    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


def command(args: Sequence[str]) -> Group:
    """`targetprop cite RULE`."""
    return for_rules(CiteOptions(), run)


def run(name: str, options: CiteOptions) -> int:
    """Print the BibTeX entries of a rule. Returns 0."""
    rule = RULES[name]
    entries = citations(rule)
    if options.json:
        references = [{"key": key, "bibtex": entry} for key, entry in entries.items()]
        print_json({"rule": name, "source": rule.source, "references": references})
    else:
        print("\n\n".join(entries.values()) or f"% {name}: {rule.source}")  # a comment if there is no entry
    return 0
