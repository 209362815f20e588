"""Default recipes: the published ones if there are any, otherwise those tuned on digits.

`digits/RULE.json` is what `targetprop search RULE` found with 48 settings, each with two seeds and
40 epochs. Some rules have no such file:

- Rules with exact inverses are not tuned.
- `single-phase` and `two-phase` compute the targets of `dtp` in continuous time, and have its
  values.

Network and feedback learn in turn for `dtp-lee`, as published. For the other rules with feedback
that learns, they learn together, with passes of the feedback alone between.

On a data set with published recipes, a rule without one has its tuned values, and the network, the
batch size and the number of epochs of the published backpropagation.
"""

import dataclasses

from .._packaged import beside, read_json
from ..networks.activations import LeakyReLU
from ..networks.architectures import MLP, SquareMLP
from ..rules import GENERAL, RULES, Requirement
from ..training.recipe import Recipe
from ..training.schedule import Schedule
from ..training.values import has_value, set_values
from .sources import published_default

TOGETHER = Schedule(epochs=40, pretraining=5, between=1)
SCHEDULES = {"dtp-lee": Schedule(epochs=40, pretraining=1, between=1, alternating=True)}
TUNED_AS = {"single-phase": "dtp", "two-phase": "dtp"}


def default_recipe(rule: str, dataset: str) -> Recipe:
    """The default recipe of a built-in rule for a data set.

    **Arguments:**

    - `rule`: the name of the rule.
    - `dataset`: the name of the data set.

    **Returns:** the recipe.
    """
    published = published_default(rule, dataset)
    if published is not None:
        return published
    base = Recipe(
        RULES[rule](),
        dataset=dataset,
        architecture=_architecture(rule),
        schedule=SCHEDULES.get(rule, TOGETHER),
        batch_size=32,
    )
    reference = published_default("bp", dataset)
    if reference is not None and rule in GENERAL:
        base = _like(base, reference)
    return set_values(base, tuned_values(rule))


def _like(base: Recipe, published: Recipe) -> Recipe:
    """The recipe with the network, the batch size and the epochs of a published one."""
    return base.replace(
        architecture=published.architecture,
        batch_size=published.batch_size,
        validation=published.validation,
        schedule=dataclasses.replace(base.schedule, epochs=published.schedule.epochs),
    )


def _architecture(rule: str) -> MLP | SquareMLP:
    if Requirement.INVERTIBLE_LAYERS in RULES[rule]().requires:
        return SquareMLP(3)
    return MLP((64, 64, 64)) if rule in GENERAL else MLP((64, 64, 64), LeakyReLU())


def tuned_values(rule: str) -> dict[str, float]:
    """The best values on digits, by dotted field name. Empty for a rule that was not tuned."""
    file = beside(__name__, "digits", f"{TUNED_AS.get(rule, rule)}.json")
    found = read_json(file)["best"] if file.is_file() else {}
    base = Recipe(RULES[rule]())
    return {name: value for name, value in found.items() if has_value(base, name)}
