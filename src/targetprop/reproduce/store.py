"""Finished runs on disk: a folder per recipe, in it a folder per call of `train`, in that every finished seed."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from ..recipes import Recipe, recipe_names
from ..train.result import FINISHED


@dataclasses.dataclass(frozen=True)
class FinishedSeed:
    """One finished seed: its entry of `result.json` and its metrics, an entry per epoch."""

    seed: int
    result: dict
    history: tuple[dict, ...]


class Store:
    """The runs below a folder. A run counts for a recipe if it lies in the recipe's folder and has as many epochs."""

    def __init__(self, folder: Path):
        self.folder = folder

    def seeds(self, name: str, recipe: Recipe) -> dict[int, FinishedSeed]:
        """The finished seeds of a recipe."""
        found: dict[int, FinishedSeed] = {}
        others = [self.folder / other for other in recipe_names() if other.startswith(f"{name}/")]
        for path in sorted((self.folder / name).rglob("result.json")):
            if any(path.is_relative_to(other) for other in others):
                continue
            if self._epochs(path.parent) == recipe.schedule.epochs:
                found |= {seed.seed: seed for seed in _read(path)}
        return found

    def run_folder(self, name: str, recipe: Recipe, seeds: Sequence[int]) -> Path:
        """Where a run of some seeds belongs."""
        seeds_name = "seeds-" + "-".join(map(str, seeds))
        return self.folder / name / f"epochs-{recipe.schedule.epochs}" / seeds_name

    def _epochs(self, folder: Path) -> int | None:
        config = json.loads((folder / "config.json").read_text())
        return config["recipe"]["schedule"]["epochs"] if isinstance(config["recipe"], dict) else None


def _read(path: Path) -> list[FinishedSeed]:
    histories: dict[int, list[dict]] = {}
    for line in (path.parent / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        if "train_loss" in record:
            histories.setdefault(record["seed"], []).append(record)
    entries = json.loads(path.read_text())["seeds"]
    return [
        FinishedSeed(entry["seed"], entry, tuple(histories.get(entry["seed"], ())))
        for entry in entries
        if entry["status"] == FINISHED
    ]
