"""Which modules give published recipes: the registry of papers, by name.

It imports nothing, so that a paper can be registered without being loaded.
"""

from typing import NamedTuple


class Registration(NamedTuple):
    """A registered paper: its module, and whether its recipes are the defaults of their rules."""

    module: str
    gives_defaults: bool


REGISTERED: dict[str, Registration] = {}


def register(name: str, module: str, *, gives_defaults: bool = False) -> None:
    """Make the recipes of a paper known as `NAME/..`.

    **Arguments:**

    - `name`: the short name of the paper.
    - `module`: the full name of a module whose attribute `RECIPES` is a `RecipeSource`.
    - `gives_defaults`: whether the recipe `DATASET/RULE` of the paper is the default of that rule
      on that data set. The other rules then get the network, the batch size and the number of
      epochs that the paper has there for backpropagation.
    """
    REGISTERED[name] = Registration(module, gives_defaults)
