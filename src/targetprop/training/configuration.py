"""`config.json`, the settings of a run, written into its folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data import Dataset
from ..errors import ConfigError
from .files import write_whole
from .provenance import describe_data, describe_recipes, environment, first_difference
from .recipe import Recipe


def write_config(folder: Path, recipes: Sequence[Any], seeds: list[int], dataset: Dataset, resume: bool) -> None:
    """Write `config.json`: one recipe, or a list of recipes if they differ.

    With `resume`, first check that the run in the folder is the same or a shorter one.

    **Raises:** `ConfigError` if it is not, with the first difference, or if the file is damaged.
    """
    path = folder / "config.json"
    config = {
        "recipe": describe_recipes(recipes),
        "seeds": seeds,
        "data": describe_data(dataset),
        **environment(),
    }
    if resume and path.exists():
        before = _read_config(path)
        before["recipe"] = completed(before.get("recipe"))
        for name in ("recipe", "seeds", "data"):
            difference = first_difference(before.get(name), json.loads(json.dumps(config[name])), name, longer=True)
            if difference:
                raise ConfigError(f"Cannot resume in {folder}: {difference}. Use the same settings, or another `out`.")
    write_whole(path, json.dumps(config, indent=1) + "\n")


def _read_config(path: Path) -> dict:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, TypeError, ValueError) as error:
        advice = "replace the run with `overwrite`, or use another `out`"
        raise ConfigError(f"{path} is damaged ({error}): {advice}.") from error


def completed(described: Any) -> Any:
    """A described recipe, or a list of them, with the defaults of fields that came later.

    A description that no recipe can be built from stays as it is.
    """
    if isinstance(described, list):
        return [completed(entry) for entry in described]
    try:
        found = Recipe.from_json(described).to_json() if isinstance(described, Mapping) else described
    except ConfigError:
        return described
    return json.loads(json.dumps(found))
