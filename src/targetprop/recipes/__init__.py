"""Recipes: named configurations, published or tuned."""

from ._base import MLP, Architecture, Recipe, SquareMLP, TowerMLP
from .cnn import CNN
from .lookup import UnknownRecipeError, recipe, recipe_names

__all__ = ["CNN", "MLP", "Architecture", "Recipe", "SquareMLP", "TowerMLP", "UnknownRecipeError", "recipe", "recipe_names"]
