"""The recipe that a search found, from the file that it saved."""

import json
from pathlib import Path

from ..errors import ConfigError
from ..training.recipe import Recipe
from ..training.values import has_value, set_values
from .catalog import recipe


def found_recipe(path: Path | str, dataset: str | None = None) -> Recipe:
    """The recipe of the rule and the data set of a search, with the best values.

    **Arguments:**

    - `path`: the file, `RULE.json` in the folder of the search.
    - `dataset`: another data set, or `None`.

    **Returns:** the recipe.

    **Raises:** `ConfigError` if the file is missing, is not of a search, or has values that the
    recipe does not have. `UnknownRecipeError` for a rule that is not built in.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        rule, searched, best = document["rule"], document["dataset"], dict(document["best"])
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}: give the file that a search saved.") from None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} is damaged, or is not the file of a search ({error!r}).") from error
    base = recipe(rule, dataset or searched)
    missing = [name for name in best if not has_value(base, name)]
    if missing:
        raise ConfigError(f"{path} has a value for {missing[0]}, which the recipe of {rule} does not have: search again.")
    return set_values(base, best)
