"""Training runs on disk: a folder for each recipe, in it one for each call of `train`."""

import dataclasses
import functools
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..training.checkpoint import checkpoint_files
from ..training.configuration import CONFIG
from ..training.folder import EVENTS, METRICS, RESULT
from ..training.models import MODELS
from ..training.provenance import describe, same_settings
from ..training.recipe import Recipe
from ..training.result import FINISHED, RUNNING
from .damage import DamagedFileError, leave_out, read_file, set_aside

LOGGER = logging.getLogger("targetprop")


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
    """The training runs below a folder. Runs with a damaged file are named and left out.

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
            runs = [
                run for run in _readable_seeds(folder) if all(field in record for record in run.history for field in needs)
            ]
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
            seeds = tuple(_config(folder).get("seeds", ())) if checkpoint_files(folder) else ()
            if folder != self.run_folder(name, recipe, seeds):
                continue
            if {run.seed for run in _readable_seeds(folder) if run.finished or run.diverged} != set(seeds):
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
        folders = [path.parent for path in sorted((self.folder / name.split("/")[0]).rglob(CONFIG))]
        found = [folder for folder in folders if _is_of(folder, settings)]
        return sorted(found, key=lambda folder: folder.is_relative_to(own))


def keep_damaged(folder: Path) -> None:
    """Before a run is run again in its folder: if one of its files is damaged, keep what is there.

    The log says so.

    **Arguments:**

    - `folder`: the folder of the run. It need not exist.
    """
    readers = {CONFIG: _config, METRICS: read_histories, RESULT: _entries}
    damaged, others = [], []
    for name, reader in readers.items():
        if os.path.lexists(folder / name):
            try:
                reader(folder)
                others += [folder / name]
            except DamagedFileError as error:
                damaged.append(error)
    if damaged:
        bad = [error.path for error in damaged]
        if checkpoint_files(folder):
            kept = set_aside(bad, [path for path in others if path.name != CONFIG])
        else:  # the run begins again, in an empty folder
            kept = set_aside([*bad, *others, *(path for path in (folder / EVENTS, folder / MODELS) if path.exists())])
        LOGGER.warning(
            "The run in %s is run again, from its last checkpoint if there is one, since %s. What was there is kept as %s",
            folder,
            " and ".join(f"{error.path.name} cannot be read ({error.reason})" for error in damaged),
            ", ".join(path.name for path in kept),
        )


def _is_of(folder: Path, settings: Any) -> bool:
    """Whether a run has these settings. A run with a damaged `config.json` has none."""
    try:
        return same_settings(_config(folder)["recipe"], settings)
    except DamagedFileError as error:
        leave_out(error)
        return False


def _config(folder: Path) -> dict:
    path = folder / CONFIG
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise DamagedFileError(path, error.strerror or str(error)) from error
    return _read_once(path, changed)


@functools.cache
def _read_once(path: Path, changed: int) -> dict:
    return read_file(path, _parsed_config)


def _parsed_config(text: str) -> dict:
    config = json.loads(text)
    return {"recipe": config["recipe"], "seeds": list(config.get("seeds", ()))}


def _readable_seeds(folder: Path) -> list[StoredSeed]:
    """The seeds of a run, as `read_seeds` gives them. Empty if one of its files is damaged."""
    try:
        return read_seeds(folder)
    except DamagedFileError as error:
        leave_out(error)
        return []


def read_seeds(folder: Path) -> list[StoredSeed]:
    """The seeds of the run in a folder. Empty if it did not end.

    **Raises:** `DamagedFileError` if one of its files cannot be read.
    """
    if not os.path.lexists(folder / RESULT):
        return []
    entries, histories = _entries(folder), read_histories(folder)
    return [StoredSeed(entry["seed"], entry, tuple(histories.get(entry["seed"], ()))) for entry in entries]


def _entries(folder: Path) -> list[dict]:
    """The seeds in `result.json`."""

    def parse(text: str) -> list[dict]:
        entries = json.loads(text)["seeds"]
        for entry in entries:
            if type(entry["seed"]) is not int or not isinstance(entry["status"], str):
                raise ValueError("an entry has no seed or no status")
            for name in ("test_error", "last_test_error", "train_loss"):
                if entry["status"] == FINISHED and not isinstance(entry.get(name, 0.0), int | float):
                    raise ValueError(f"seed {entry['seed']} finished, and its {name} is {entry[name]}")
        return entries

    return read_file(folder / RESULT, parse)


def read_histories(folder: Path, running: bool = False) -> dict[int, list[dict]]:
    """The metrics of a run: for each seed one record for each epoch.

    **Arguments:**

    - `folder`: the folder of the run.
    - `running`: whether the run goes on. Then its last line may be incomplete, and is left out.

    **Raises:** `DamagedFileError` if it cannot be read. It names the line.
    """

    def parse(text: str) -> dict[int, list[dict]]:
        histories: dict[int, list[dict]] = {}
        lines = text.splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            if running and number == len(lines) and not line.endswith("\n"):
                break
            try:
                record = json.loads(line)
                if "train_loss" in record:
                    record["epoch"]
                    histories.setdefault(record["seed"], []).append(record)
            except KeyError as error:
                raise ValueError(f"line {number}: there is no {error}") from error
            except (RecursionError, TypeError, ValueError) as error:
                raise ValueError(f"line {number}: {error}") from error
        return histories

    return read_file(folder / METRICS, parse)
