"""Training runs on disk: a folder for each recipe, in it one for each call of `train`."""

import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path

from ..training.checkpoint import checkpoint_files
from ..training.provenance import describe, same_settings
from ..training.recipe import Recipe
from ..training.result import FINISHED, RUNNING


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
    """The training runs below a folder.

    Runs are found by what was run. A run counts for a recipe if its `config.json` has the settings
    of the recipe, wherever it is in the folder of the paper.

    **Arguments:**

    - `folder`: the folder of all results.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def seeds(self, name: str, recipe: Recipe, needs: Sequence[str] = ()) -> dict[int, StoredSeed]:
        """The seeds of a recipe, finished or not.

        Of a seed that was run more than once, a finished run is preferred, then one in the folder
        of the recipe itself.

        **Arguments:**

        - `name`: the name of the recipe, `SOURCE/..`.
        - `recipe`: what was run.
        - `needs`: a run of a seed counts only if its metrics have these fields in every epoch.

        **Returns:** the runs by seed.
        """
        found: dict[int, StoredSeed] = {}
        for folder in self._runs(name, recipe):
            runs = [run for run in read_seeds(folder) if all(field in record for record in run.history for field in needs)]
            found |= {run.seed: run for run in runs if run.finished or run.seed not in found}
        return found

    def unfinished(self, name: str, recipe: Recipe) -> list[tuple[int, ...]]:
        """The seeds of each run in the folder of a recipe that was interrupted and can continue.

        **Arguments:**

        - `name`: the name of the recipe.
        - `recipe`: what was run.
        """
        found = []
        for folder in self._runs(name, recipe):
            seeds = tuple(_config(folder)["seeds"]) if checkpoint_files(folder) else ()
            if folder != self.run_folder(name, recipe, seeds):
                continue
            if {run.seed for run in read_seeds(folder) if run.finished or run.diverged} != set(seeds):
                found.append(seeds)
        return found

    def run_folder(self, name: str, recipe: Recipe, seeds: Sequence[int]) -> Path:
        """The folder of a run of some seeds.

        **Arguments:**

        - `name`: the name of the recipe.
        - `recipe`: what is run.
        - `seeds`: the seeds.
        """
        seeds_name = "seeds-" + "-".join(map(str, seeds))
        return self.folder / name / f"epochs-{recipe.schedule.epochs}" / seeds_name

    def _runs(self, name: str, recipe: Recipe) -> list[Path]:
        """The folders of all runs of a recipe, those in its own folder last."""
        own, settings = self.folder / name, json.loads(json.dumps(describe(recipe)))
        folders = [path.parent for path in sorted((self.folder / name.split("/")[0]).rglob("config.json"))]
        found = [folder for folder in folders if same_settings(_config(folder)["recipe"], settings)]
        return sorted(found, key=lambda folder: folder.is_relative_to(own))


def _config(folder: Path) -> dict:
    path = folder / "config.json"
    return _read_once(path, path.stat().st_mtime_ns)


@functools.cache
def _read_once(path: Path, changed: int) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def read_seeds(folder: Path) -> list[StoredSeed]:
    """The seeds of the run in a folder. Empty if it did not end."""
    if not (folder / "result.json").exists():
        return []
    histories = read_histories(folder)
    entries = json.loads((folder / "result.json").read_text(encoding="utf-8"))["seeds"]
    return [StoredSeed(entry["seed"], entry, tuple(histories.get(entry["seed"], ()))) for entry in entries]


def read_histories(folder: Path) -> dict[int, list[dict]]:
    """The metrics of a run: for each seed one record for each epoch.

    **Arguments:**

    - `folder`: the folder of the run.
    """
    histories: dict[int, list[dict]] = {}
    for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if "train_loss" in record:
            histories.setdefault(record["seed"], []).append(record)
    return histories
