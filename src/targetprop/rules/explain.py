"""Explanations of the rules in formulas and words, with the papers they come from.

Each built-in rule has a file `explanations/RULE.toml`. It contains the fields of `Explanation`
that differ between rules. Its `references` are keys of `explanations/references.bib`. A rule
without a file is explained by the attributes of its class.
"""

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from .._packaged import beside
from .contract import Rule
from .registry import NamedRule
from .target_propagation import TargetPropagation

_FILES = beside(__name__, "explanations")

STEPS = ("forward", "output", "targets", "feedback", "update")

COMMON_STEPS = {
    "forward": "for i = 1 .. L:\n  a_i = W_i h_{i-1} + b_i,  h_i = s_i(a_i)",
    "output": "dh_L = -stepsize e_L",
    "update": (
        "for i = 1 .. L:\n"
        "  gradient of W_i: -D_i dh_i h_{i-1}^T,  of b_i: -D_i dh_i\n"
        "all parameters take one step of their optimizers"
    ),
}

COMMON_SYMBOLS = {
    "h_i": "activity of layer i on one sample; h_0 is the input, h_L the output",
    "dh_i": "target update: how h_i should have been different",
    "e_L": "derivative of the output loss with respect to h_L",
    "D_i": "diagonal matrix of the slopes s_i'(a_i)",
}

COMMON_LOCAL = "The forward update, given dh_i: it uses the input, the slopes and dh_i of the layer itself."


@dataclasses.dataclass(frozen=True)
class Equation:
    """A formula of one or more lines, with a description and its source."""

    says: str
    formula: str
    source: str


@dataclasses.dataclass(frozen=True)
class Explanation:
    """The content of `targetprop explain RULE`.

    **Arguments:**

    - `summary`: what the rule is, in a few sentences.
    - `equations`: the first is the equation of the rule itself.
    - `steps`: pseudo-code for one minibatch, by the names in `STEPS`.
    - `local`: the quantities that a layer finds in itself and its neighbors.
    - `not_local`: the quantities that it does not.
    - `symbols`: the meaning of each symbol in the formulas.
    - `references`: keys of the bibliography.
    """

    summary: str
    equations: tuple[Equation, ...]
    steps: Mapping[str, str]
    local: tuple[str, ...]
    not_local: tuple[str, ...]
    symbols: Mapping[str, str]
    references: tuple[str, ...]


def explain(rule: Rule | NamedRule) -> Explanation:
    """The explanation of a rule.

    A rule without a file has its equation, the equations of its parts if it is composed, and the
    steps that all rules share.

    **Raises:** `ValueError` if the file has a step that is not one of `STEPS`. `TypeError` if it
    has an unknown field.
    """
    file = _FILES.joinpath(f"{rule.name}.toml")
    if file.is_file():
        return _explanation(rule, tomllib.loads(file.read_text("utf-8")))
    return _explanation(rule, _of_parts(rule) if isinstance(rule, TargetPropagation) else {})


def _of_parts(rule: TargetPropagation) -> dict[str, Any]:
    """The explanation of a combination, from its parts."""
    mapping, loss = rule.mappings.equation, rule.learner.equation
    kind, learner = type(rule.mappings).__name__, type(rule.learner).__name__
    text = {"equations": [{"says": "feedback mapping", "formula": mapping, "source": kind}], "steps": {}}
    if loss:
        text["equations"].append({"says": "feedback loss", "formula": loss, "source": learner})
        text["steps"]["feedback"] = f"gradient of {loss.removeprefix('L_i = ')} for the parameters of g_i"
    return text


def _explanation(rule: Rule | NamedRule, text: Mapping[str, Any]) -> Explanation:
    unknown = text.keys() - {field.name for field in dataclasses.fields(Explanation)}
    if unknown:
        raise TypeError(f"The explanation of {rule.name} has unknown fields: {', '.join(sorted(unknown))}.")
    own = {"targets": rule.equation} | text.get("steps", {})
    merged = COMMON_STEPS | own
    return Explanation(
        summary=" ".join(text.get("summary", "").split()),
        equations=(
            Equation("target update", "\n".join(_clauses(rule.equation)), rule.source),
            *(Equation(e["says"], e["formula"].strip("\n"), e["source"]) for e in text.get("equations", ())),
        ),
        steps={name: merged[name].strip("\n") for name in sorted(merged, key=STEPS.index)},
        local=(() if "update" in own else (COMMON_LOCAL,)) + tuple(text.get("local", ())),
        not_local=tuple(text.get("not_local", ())),
        symbols=COMMON_SYMBOLS | text.get("symbols", {}),
        references=tuple(text.get("references", ())),
    )


def _clauses(equation: str) -> list[str]:
    """The parts of an equation between the commas outside of all brackets."""
    depth, clauses = 0, [""]
    for character in equation:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            clauses.append("")
        else:
            clauses[-1] += character
    return [clause.strip() for clause in clauses]


def bibliography() -> dict[str, str]:
    """The BibTeX entries by key."""
    text = _FILES.joinpath("references.bib").read_text("utf-8")
    return {match[1]: match[0] for match in re.finditer(r"^@\w+\{([^,\s]+),$.*?^\}$", text, flags=re.MULTILINE | re.DOTALL)}


def citations(rule: Rule | NamedRule) -> dict[str, str]:
    """The BibTeX entries of a rule by key, the most important first.

    A rule without an explanation has none.

    **Raises:** `KeyError` if a reference is not in the bibliography.
    """
    entries = bibliography()
    return {key: entries[key] for key in explain(rule).references}
