"""Recipes: named configurations, published or tuned."""

from ._base import MLP, Architecture, Recipe
from .lookup import UnknownRecipeError, recipe, recipe_names

__all__ = ["MLP", "Architecture", "Recipe", "UnknownRecipeError", "recipe", "recipe_names"]
