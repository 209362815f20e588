"""`config.json`, the settings of a run: what identifies it, and where its numbers come from."""

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from .._files import write_whole
from ..data import Dataset
from ..errors import ConfigError, UserError
from .provenance import RANDOM, describe_data, describe_recipes, differences, environment, first_difference
from .recipe import Recipe

LOGGER = logging.getLogger("targetprop")
CONFIG = "config.json"
IDENTITY, RESUMED = ("recipe", "seeds", "data"), "resumed"


@final
@dataclasses.dataclass(frozen=True)
class Provenance:
    """What was run, and where.

    **Arguments:**

    - `identity`: recipe, seeds and data as plain data. They decide all numbers of the run.
    - `origins`: versions, machine and settings of JAX of the first part of the run, and of each
      part after an interruption where they were others.
    """

    identity: Mapping[str, Any]
    origins: Sequence[Mapping[str, Any]]

    @classmethod
    def here(cls, recipes: Sequence[Any], seeds: Sequence[int], dataset: Dataset) -> "Provenance":
        """That of a run that begins now. The recipe is a list if those of the seeds differ."""
        identity = {"recipe": describe_recipes(recipes), "seeds": list(seeds), "data": describe_data(dataset)}
        return cls(*(json.loads(json.dumps(part)) for part in (identity, [environment()])))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Provenance":
        """That in a `config.json`."""
        origin = {name: value for name, value in config.items() if name not in (*IDENTITY, RESUMED)}
        return cls({name: config.get(name) for name in IDENTITY}, [origin, *config.get(RESUMED, [])])

    def to_config(self) -> dict[str, Any]:
        """What `config.json` says: the identity, the first origin, and under `resumed` the others."""
        first, *others = self.origins
        return {**self.identity, **first} | ({RESUMED: others} if others else {})

    def after(self, before: "Provenance", folder: Path) -> "Provenance":
        """That of a run that began as `before` and goes on as this one.

        The log says what changed in its origin.

        **Raises:** `ConfigError` if it is not the same run or a longer one, or if the random
        numbers would be others.
        """
        known = {**before.identity, "recipe": completed(before.identity.get("recipe"))}
        for name in IDENTITY:
            difference = first_difference(known.get(name), self.identity[name], name, longer=True)
            if difference:
                raise ConfigError(f"Cannot resume in {folder}: {difference}. Use the same settings, or another `out`.")
        last, now = before.origins[-1], self.origins[0]
        found = differences(last, now)
        random = [sentence for field, sentence in found.items() if field in RANDOM]
        if random:
            raise ConfigError(
                f"Cannot resume in {folder}: {random[0]}, so the random numbers would be others. "
                "Set it as it was, or use another `out`."
            )
        if found:
            LOGGER.warning(
                "%s: %s. The numbers may differ from those of an unbroken run, in the last digits at first.",
                folder,
                "; ".join(found.values()),
            )
        return Provenance(self.identity, [*before.origins, now] if found else before.origins)


def write_config(folder: Path, provenance: Provenance) -> None:
    """Write `config.json`. Raises `UserError` if it cannot be written."""
    try:
        write_whole(folder / CONFIG, json.dumps(provenance.to_config(), indent=1) + "\n")
    except OSError as error:
        raise UserError(f"Nothing can be written to {folder} ({error.strerror}): use another `out`.") from error


def stored_provenance(folder: Path) -> Provenance | None:
    """That in the `config.json` of a folder. `None` if there is none, or none of a run."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return Provenance.from_config(config) if isinstance(config, dict) and {"recipe", "seeds"} <= set(config) else None
    except (OSError, ValueError, RecursionError):
        return None


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
