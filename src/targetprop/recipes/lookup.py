"""Finding recipes by name."""

from ..rules import RULES, Rule
from . import defaults, meulemans2020
from ._base import Recipe


class UnknownRecipeError(ValueError):
    """No recipe or rule of that name; the message lists what there is."""


def recipe_names() -> tuple[str, ...]:
    """The names of all published configurations that can be run."""
    return tuple(f"meulemans2020/{name}" for name in meulemans2020.names())


def recipe(name: str | Rule, dataset: str | None = None) -> Recipe:
    """A recipe by name.

    **Arguments:** `name`, a published configuration (`meulemans2020/mnist/ddtp-linear`), a rule's name (`ddtp-linear`), or a
    rule object, which then takes the place of the recipe's own; `dataset`, for a rule, `digits` unless given.
    Raises `UnknownRecipeError`.
    """
    if isinstance(name, Rule):
        return defaults.recipe(name.name, dataset or "digits").replace(rule=name)
    if name in RULES:
        return defaults.recipe(name, dataset or "digits")
    if name in recipe_names():
        found = meulemans2020.recipe(name.removeprefix("meulemans2020/"))
        return found if dataset is None else found.replace(dataset=dataset)
    raise UnknownRecipeError(
        f"No rule or recipe is called {name!r}. Rules: {', '.join(RULES)}. Published recipes: {', '.join(recipe_names())}."
    )
