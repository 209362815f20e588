"""Default recipes: the published ones where there are any, else the ones tuned on digits.

`digits/RULE.json` is what `targetprop search RULE` found: 48 settings, two seeds and 40 epochs each, for every rule but
`single-phase` and `two-phase`, whose steps take longer: 16 settings, two seeds and 10 epochs.
"""

from ..activations import LeakyReLU
from ..packaged import beside, read_json
from ..rules import GENERAL, RULES, ExactRule
from ..train.schedule import Schedule
from . import meulemans2020
from ._base import MLP, Recipe, SquareMLP
from .values import set_values


def recipe(rule: str, dataset: str) -> Recipe:
    """The default recipe of a built-in rule for a data set."""
    if f"{dataset}/{rule}" in meulemans2020.names():
        return meulemans2020.recipe(f"{dataset}/{rule}")
    base = Recipe(
        RULES[rule](),
        dataset=dataset,
        architecture=_architecture(rule),
        schedule=Schedule(epochs=40, pretraining=5, between=1),
        batch_size=32,
    )
    return set_values(base, tuned_values(rule))


def _architecture(rule: str) -> MLP | SquareMLP:
    if issubclass(RULES[rule], ExactRule):
        return SquareMLP(3)
    return MLP((64, 64, 64)) if rule in GENERAL else MLP((64, 64, 64), LeakyReLU())


def tuned_values(rule: str) -> dict[str, float]:
    """What the search on digits found, by dotted field name; empty before a search was made."""
    file = beside(__name__, "digits", f"{rule}.json")
    return read_json(file)["best"] if file.is_file() else {}
