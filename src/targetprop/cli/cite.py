"""`targetprop cite`."""

import dataclasses

from ..rules import RULES
from ..rules.explain import citations
from .output import find_rule, print_json, split_name
from .parsing import parse


@dataclasses.dataclass(frozen=True)
class CiteOptions:
    """The flags of `targetprop cite RULE`."""

    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


def run(args: list[str]) -> int:
    """Print the BibTeX entries of a rule. Returns 0."""
    name, rest = split_name(args, "cite", "a rule", tuple(RULES))
    options = parse(CiteOptions, args=rest, verb=f"cite {name}", description="The papers of a rule, in BibTeX.")
    rule = find_rule(name)
    entries = citations(rule)
    if options.json:
        references = [{"key": key, "bibtex": entry} for key, entry in entries.items()]
        print_json({"rule": name, "source": rule.source, "references": references})
    else:
        print("\n\n".join(entries.values()) or f"% {name}: {rule.source}")  # a comment if there is no entry
    return 0
