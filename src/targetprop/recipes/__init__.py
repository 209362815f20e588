"""Recipes: named configurations, published or tuned."""

from ._base import MLP, Architecture, Recipe, SquareMLP, TowerMLP
from .cnn import CNN
from .lookup import UnknownRecipeError, recipe, recipe_names
from .uncertain import UncertainMLP

__all__ = [
    "CNN",
    "MLP",
    "Architecture",
    "Recipe",
    "SquareMLP",
    "TowerMLP",
    "UncertainMLP",
    "UnknownRecipeError",
    "recipe",
    "recipe_names",
]
