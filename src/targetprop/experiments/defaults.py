"""Default recipes: the published ones where there are any, else the ones tuned on digits.

`digits/RULE.json` is what `targetprop search RULE` found: 48 settings, two seeds and 40 epochs each, for every rule but
those with exact inverses, and `single-phase` and `two-phase`, which have the values of the rule whose targets they make in
continuous time. On a data set with published recipes the other rules have these values too, and the network, minibatches
and length of the published BP.
"""

import dataclasses

from .._packaged import beside, read_json
from ..networks.activations import LeakyReLU
from ..networks.architectures import MLP, SquareMLP
from ..rules import GENERAL, RULES, ExactRule
from ..training.recipe import Recipe
from ..training.schedule import Schedule
from ..training.values import has_value, set_values
from .sources import published_default

TUNED_AS = {"single-phase": "dtp", "two-phase": "dtp"}


def default_recipe(rule: str, dataset: str) -> Recipe:
    """The default recipe of a built-in rule for a data set."""
    published = published_default(rule, dataset)
    if published is not None:
        return published
    base = Recipe(
        RULES[rule](),
        dataset=dataset,
        architecture=_architecture(rule),
        schedule=Schedule(epochs=40, pretraining=5, between=1),
        batch_size=32,
    )
    reference = published_default("bp", dataset)
    if reference is not None and rule in GENERAL:
        base = _like(base, reference)
    return set_values(base, tuned_values(rule))


def _like(base: Recipe, published: Recipe) -> Recipe:
    """The recipe with network, minibatches and length of a published one, beside which it may stand."""
    return base.replace(
        architecture=published.architecture,
        batch_size=published.batch_size,
        validation=published.validation,
        schedule=dataclasses.replace(base.schedule, epochs=published.schedule.epochs),
    )


def _architecture(rule: str) -> MLP | SquareMLP:
    if issubclass(RULES[rule], ExactRule):
        return SquareMLP(3)
    return MLP((64, 64, 64)) if rule in GENERAL else MLP((64, 64, 64), LeakyReLU())


def tuned_values(rule: str) -> dict[str, float]:
    """What the search on digits found, by dotted field name; empty before a search was made."""
    file = beside(__name__, "digits", f"{TUNED_AS.get(rule, rule)}.json")
    found = read_json(file)["best"] if file.is_file() else {}
    base = Recipe(RULES[rule]())
    return {name: value for name, value in found.items() if has_value(base, name)}
