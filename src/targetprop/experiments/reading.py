"""Finished and running runs and comparisons, read from their folders."""

import json
import logging
import math
from pathlib import Path

from ..data import describe
from ..errors import UserError
from ..training.result import RUNNING, Result, SeedResult
from .comparison import COMPARISON, Comparison
from .damage import DamagedFileError, read_file
from .store import read_histories

LOGGER = logging.getLogger("targetprop")


def read_result(folder: Path) -> Result:
    """The result of a run, without its networks. The run may be still in progress.

    **Arguments:**

    - `folder`: the folder of the run.

    **Raises:** `UserError` if there is no run, or if its files are damaged. It names the file.
    """
    found = _json(folder / "result.json") if (folder / "result.json").exists() else {}
    config = _json(folder / "config.json")
    try:
        status = {entry["seed"]: entry["status"] for entry in found.get("seeds", ())}
        running = not status or RUNNING in status.values()
        histories = read_histories(folder, running) if (folder / "metrics.jsonl").exists() else {}
        seeds = [SeedResult(seed, histories.get(seed, []), status.get(seed, RUNNING)) for seed in config["seeds"]]
        recipes = config["recipe"] if isinstance(config["recipe"], list) else [config["recipe"]]
        rule = recipes[0]["rule"]
        dataset = config["data"]["name"] if "data" in config else recipes[0]["dataset"]  # as older versions wrote it
        return Result(found.get("rule", rule.get("name", rule["type"])), dataset, found.get("unit", _unit(dataset)), seeds)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"The run in {folder} is damaged ({type(error).__name__}: {error}).") from error


def read_comparison(folder: Path) -> Comparison:
    """A comparison, without its networks.

    **Arguments:**

    - `folder`: the folder of the comparison, with the runs of its rules.

    A rule whose run is damaged is left out, and the warnings of the comparison name its file.

    **Raises:** `UserError` if there is none, or if no run of it can be read.
    """
    path = folder / COMPARISON
    found = _json(path)
    results, warnings = [], list(found.get("warnings", ()))
    try:
        dataset, unit = found["dataset"], found["unit"]
        entries = [(str(entry["rule"]), entry["seconds_per_epoch"]) for entry in found["rules"]]
    except (KeyError, TypeError) as error:
        raise DamagedFileError(path, f"there is no {error}") from error
    for rule, seconds in entries:
        try:
            result = read_result(folder / rule.replace("/", "-"))
        except UserError as error:
            warnings.append(f"{rule} is left out: {error}")
            LOGGER.warning("%s", warnings[-1])
            continue
        result.rule, result.unit = rule, unit
        result.seconds_per_epoch = math.nan if seconds is None else seconds
        results.append(result)
    if not results:
        raise UserError(f"No run of the comparison in {folder} can be read. {' '.join(warnings)}")
    return Comparison(dataset, unit, results, found.get("baseline"), warnings)


def read_run(folder: Path) -> Result | Comparison:
    """What is in a folder: a run or a comparison.

    **Arguments:**

    - `folder`: the folder.

    **Raises:** `UserError` if it is neither.
    """
    if (folder / COMPARISON).exists():
        return read_comparison(folder)
    if (folder / "config.json").exists():
        return read_result(folder)
    raise UserError(f"There is no run and no comparison in {folder}: give the folder that `out` named.")


def _json(path: Path) -> dict:
    return read_file(path, lambda text: dict(json.loads(text)))


def _unit(dataset: str) -> str:
    """The unit of the error on a data set, for runs that do not say it."""
    classes = {record.name: record.classes for record in describe()}
    name = dataset.partition(":")[0]
    return "unknown unit" if name not in classes else "%" if classes[name] is not None else "MSE"
