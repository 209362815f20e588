"""Verbs whose second word is the name of a rule."""

import functools
from collections.abc import Callable
from typing import Any

from ..rules import RULES
from .tree import Command, Group, UsageError


def rule_lines() -> dict[str, str]:
    """All rules, one family after the other, with the family and the equation of each."""
    family = {name: rule().family for name, rule in RULES.items()}
    order = list(dict.fromkeys(family.values()))
    names = sorted(RULES, key=lambda name: order.index(family[name]))
    return {name: f"{family[name]}: {RULES[name].equation}" for name in names}


def for_rules(options: Any, run: Callable[[str, Any], int]) -> Group:
    """A verb with a rule as second word, and flags that do not depend on it.

    **Arguments:**

    - `options`: the flags, as in `Command`.
    - `run`: takes the name of the rule and the options, and returns the exit status.
    """
    return Group("a rule", rule_lines(), lambda name: Command(options, functools.partial(run, name)))


def check_rule_name(name: str) -> None:
    """Raises `UsageError` if no rule has that name."""
    if name not in RULES:
        raise UsageError(f"no rule is called {name!r}; the rules are {', '.join(RULES)}.")
