"""`targetprop explain`."""

import dataclasses
from collections.abc import Iterator, Sequence

from ..rules import RULES, NamedRule
from ..rules.explain import Equation, Explanation, explain
from .names import for_rules
from .output import hanging, indented, print_json, print_page
from .tree import Group


@dataclasses.dataclass(frozen=True)
class ExplainOptions:
    """The flags of `targetprop explain RULE`."""

    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


def command(args: Sequence[str]) -> Group:
    """`targetprop explain RULE`."""
    return for_rules(ExplainOptions(), run)


def run(name: str, options: ExplainOptions) -> int:
    """Print what a rule computes, step by step, and what of it is local. Returns 0."""
    rule = RULES[name]
    found = explain(rule)
    if options.json:
        head = {"rule": name, "class": rule.__name__, "equation": rule.equation, "source": rule.source}
        print_json(head | dataclasses.asdict(found))
    else:
        print_page(_sections(name, rule, found))
    return 0


def _sections(name: str, rule: NamedRule, found: Explanation) -> Iterator[tuple[str, list[str]]]:
    """Headings with the lines below them. The printer leaves out a section without lines."""
    summary = found.summary or "This rule has no explanation beyond its equation."
    yield f"{name}, targetprop.{rule.__name__}", hanging(summary, "  ")
    yield "Equations, for one sample", [line for equation in found.equations for line in _equation(equation)]
    yield "Steps, on a minibatch; losses and gradients are averaged over it", _steps(found)
    yield "Local", [line for text in found.local for line in hanging(text, "  - ")]
    yield "Not local", [line for text in found.not_local for line in hanging(text, "  - ")]
    width = max(map(len, found.symbols))
    yield "Symbols", [line for s, text in found.symbols.items() for line in hanging(text, f"  {s:{width}}  ")]
    cited = f"{', '.join(found.references)}; targetprop cite {name} prints BibTeX."
    yield "References", hanging(cited, "  ") if found.references else []


def _equation(equation: Equation) -> list[str]:
    return [*hanging(f"{equation.says} ({equation.source})", "  "), *indented(equation.formula, "      ")]


def _steps(found: Explanation) -> list[str]:
    lines = []
    for number, (step, text) in enumerate(found.steps.items(), start=1):
        label = f"  {number} {step:8}  "
        first, *others = text.splitlines()
        lines += [label + first, *indented("\n".join(others), " " * len(label))]
    return lines
