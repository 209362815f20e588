"""Training runs on disk: a folder for each recipe, in it a folder for each call of `train`."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..training.provenance import describe, same_settings
from ..training.recipe import Recipe
from ..training.result import FINISHED, RUNNING
from .sources import recipe_names


@dataclasses.dataclass(frozen=True)
class StoredSeed:
    """One seed of a run.

    - `seed`: the seed.
    - `result`: its entry in `result.json`.
    - `history`: its metrics, one entry for each epoch.
    """

    seed: int
    result: dict
    history: tuple[dict, ...]

    @property
    def finished(self) -> bool:
        """Whether it finished."""
        return self.result["status"] == FINISHED

    @property
    def diverged(self) -> bool:
        """Whether it was stopped because it diverged."""
        return self.result["status"] not in (FINISHED, RUNNING)


class Store:
    """The runs below a folder. A run counts for a recipe if it lies in the recipe's folder and has
    its settings.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def seeds(self, name: str, recipe: Recipe) -> dict[int, StoredSeed]:
        """The seeds of a recipe, finished or not; of one that was run twice a finished run, if
        there is one.
        """
        found: dict[int, StoredSeed] = {}
        for folder in self._runs(name, recipe):
            found |= {s.seed: s for s in _read(folder) if s.finished or s.seed not in found}
        return found

    def unfinished(self, name: str, recipe: Recipe) -> list[tuple[int, ...]]:
        """The seeds of each run of a recipe that came to no end and can go on."""
        folders = [folder for folder in self._runs(name, recipe) if (folder / "checkpoint.npz").exists()]
        ended = {folder: {s.seed for s in _read(folder) if s.finished or s.diverged} for folder in folders}
        seeds = {folder: tuple(json.loads((folder / "config.json").read_text())["seeds"]) for folder in folders}
        return [seeds[folder] for folder in folders if ended[folder] != set(seeds[folder])]

    def run_folder(self, name: str, recipe: Recipe, seeds: Sequence[int]) -> Path:
        """Where a run of some seeds belongs."""
        seeds_name = "seeds-" + "-".join(map(str, seeds))
        return self.folder / name / f"epochs-{recipe.schedule.epochs}" / seeds_name

    def _runs(self, name: str, recipe: Recipe) -> Iterator[Path]:
        others = [self.folder / other for other in recipe_names() if other.startswith(f"{name}/")]
        settings = json.loads(json.dumps(describe(recipe)))
        for path in sorted((self.folder / name).rglob("config.json")):
            elsewhere = any(path.is_relative_to(other) for other in others)
            if not elsewhere and same_settings(json.loads(path.read_text())["recipe"], settings):
                yield path.parent


def _read(folder: Path) -> list[StoredSeed]:
    if not (folder / "result.json").exists():
        return []
    histories: dict[int, list[dict]] = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        if "train_loss" in record:
            histories.setdefault(record["seed"], []).append(record)
    entries = json.loads((folder / "result.json").read_text())["seeds"]
    return [StoredSeed(entry["seed"], entry, tuple(histories.get(entry["seed"], ()))) for entry in entries]
