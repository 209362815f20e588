"""Default recipes: tuned for digits, the published ones where there are any, the digits ones elsewhere."""

from ..rules import RULES
from ..train.optimizers import Adam
from ..train.schedule import Schedule
from . import meulemans2020
from ._base import MLP, Recipe


def recipe(rule: str, dataset: str) -> Recipe:
    """The default recipe of a rule for a data set; a rule that is not built in gets BP's settings."""
    if f"{dataset}/{rule}" in meulemans2020.names():
        return meulemans2020.recipe(f"{dataset}/{rule}")
    return _tuned(rule if rule in RULES else "bp").replace(dataset=dataset)


def _tuned(rule: str) -> Recipe:
    return Recipe(RULES[rule](), schedule=Schedule(epochs=50), optimizer=Adam(1e-3), architecture=MLP((64, 64, 64)))
