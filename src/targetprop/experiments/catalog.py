"""Recipes by name."""

import difflib

from ..data import canonical
from ..errors import UnknownRecipeError
from ..rules import RULES, Preset, Rule
from ..training.recipe import Recipe
from .defaults import default_recipe
from .sources import recipe_names, recipe_source


def recipe(name: str | Rule, dataset: str | None = None) -> Recipe:
    """A recipe by name.

    **Arguments:**

    - `name`: a published configuration (`meulemans2020/mnist/ddtp-linear`), the name of a rule
      (`ddtp-linear`), or a rule object. An object is used as it is, with the other settings from
      the recipe of the same name. For a rule that is not built in they come from backpropagation.
    - `dataset`: the data set. `None` is that of the published configuration, or `digits`.

    **Returns:** the recipe.

    **Raises:** `UnknownRecipeError` for an unknown name, `TypeError` for the class of a rule.
    """
    dataset = None if dataset is None else canonical(dataset)
    if isinstance(name, Rule | Preset) or (isinstance(name, type) and issubclass(name, Rule)):
        return default_recipe(name.name if name.name in RULES else "bp", dataset or "digits").replace(rule=name)
    if name in RULES:
        return default_recipe(name, dataset or "digits")
    if name in recipe_names():
        origin, _, configuration = name.partition("/")
        found = recipe_source(origin).build(configuration)
        return found if dataset is None else found.replace(dataset=dataset)
    known = (*RULES, *recipe_names())
    close = difflib.get_close_matches(str(name), known, n=3)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"The rules are {', '.join(RULES)}."
    raise UnknownRecipeError(f"No rule or recipe is called {name!r}. {hint} `experiments.recipe_names()` lists all recipes.")
