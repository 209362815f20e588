"""Finished runs in folders, side by side, without training."""

import dataclasses
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._checks import shown
from ..training.checkpoint import CHECKPOINT, checkpoint_files, read_checkpoint
from ..training.paths import as_path
from ..training.provenance import same_settings
from ..training.result import Result
from .comparison import SHARED, Comparison, ComparisonError, check_baseline, difference_in
from .reading import read_result


def compare_runs(
    folders: Sequence[Path | str] | Mapping[str, Path | str], *, baseline: str | None = None, out: Path | str | None = None
) -> Comparison:
    """Set finished runs side by side.

    **Arguments:**

    - `folders`: the folders that `train` has written, or a mapping from names to these. Without
      names, a run has the name of its rule, and runs of the same rule have that of their folder.
    - `baseline`: as for `compare`.
    - `out`: a folder for the table and the figure, or `None`.

    **Returns:** the results of all runs. Its warnings say which settings the runs do not share.

    **Raises:** `ComparisonError` if a folder holds no run, or if the runs are on different data.
    """
    if isinstance(folders, str | Path):
        folders = [folders]
    if not isinstance(folders, Mapping | list | tuple):
        raise ComparisonError(f"`folders` is {shown(folders)}: give a list of folders of runs.")
    for folder in folders.values() if isinstance(folders, Mapping) else folders:
        as_path(folder, "folders")
    paths = {name: Path(folder) for name, folder in (folders if isinstance(folders, Mapping) else _named(folders)).items()}
    if not paths:
        raise ComparisonError("Name at least one folder of a run to compare.")
    check_baseline(baseline, list(paths))
    configs = {name: _config(folder) for name, folder in paths.items()}
    unknown = _check_data(configs)
    results = [_result(name, folder) for name, folder in paths.items()]
    if len({result.unit for result in results}) > 1:
        units = ", ".join(f"{result.rule} has {result.unit}" for result in results)
        raise ComparisonError(f"The errors of the runs have different units: {units}. Compare runs of one kind of task.")
    comparison = Comparison(results[0].dataset, results[0].unit, results, baseline, [*unknown, *_warnings(configs)])
    if out is not None:
        comparison.save(Path(out))
    return comparison


def _named(folders: Sequence[Path | str]) -> dict[str, Path]:
    rules = [_document(Path(folder), "result.json")["rule"] for folder in folders]
    names = [rule if rules.count(rule) == 1 else str(folder) for rule, folder in zip(rules, folders, strict=True)]
    if len(set(names)) < len(names):
        raise ComparisonError("A folder is named twice: name each run once.")
    return dict(zip(names, map(Path, folders), strict=True))


def _document(folder: Path, file: str) -> dict[str, Any]:
    path = folder / file
    if not path.is_file():
        raise ComparisonError(
            f"{folder} holds no run that ended: there is no {path}. Use a folder that `train` has written."
        )
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ComparisonError(f"{path} is damaged ({error}): leave out this run.") from error


def _config(folder: Path) -> dict[str, Any]:
    """The configuration of a run. Of recipes that differ in numbers only, it has the first."""
    config = _document(folder, "config.json")
    recipe = config["recipe"]
    return config | {"recipe": recipe[0] if isinstance(recipe, list) else recipe}


def _check_data(configs: Mapping[str, dict[str, Any]]) -> list[str]:
    """Raises `ComparisonError` if the runs did not read the same arrays.

    Returns a sentence about the runs of older versions, which do not say the checksum.
    """
    data = {name: config.get("data", {"name": config["recipe"]["dataset"]}) for name, config in configs.items()}
    for (one, ours), (other, theirs) in itertools.combinations(data.items(), 2):
        if any(ours[key] != theirs[key] for key in ours.keys() & theirs.keys()):
            told = " and ".join(f"{name} on {_told(entry)}" for name, entry in ((one, ours), (other, theirs)))
            raise ComparisonError(f"The runs are on different data: {told}. Compare runs on the same data.")
    older = [name for name, entry in data.items() if "crc32" not in entry]
    return [f"No checksum of the data is known of {', '.join(older)}."] if older else []


def _told(data: Mapping[str, Any]) -> str:
    return f"{data['name']} ({data['train']} training samples, crc32 {data['crc32']})" if "crc32" in data else data["name"]


def _warnings(configs: Mapping[str, dict[str, Any]]) -> list[str]:
    """A sentence for each setting that the runs should share, but do not."""
    found = []
    for field in SHARED:
        values = {name: config["recipe"][field] for name, config in configs.items() if field in config["recipe"]}
        alike = all(
            same_settings(a, b) or same_settings(b, a)  # one of them may have fields that came later
            for a, b in itertools.combinations(values.values(), 2)
        )
        if not alike:
            found.append(f"The runs {difference_in(field, {name: _written(value) for name, value in values.items()})}")
    return found


def _written(value: Any) -> str:
    """A described setting in one line: `MLP(hidden=[64, 64], activation=Tanh())`."""
    if isinstance(value, dict):
        fields = ", ".join(f"{name}={_written(entry)}" for name, entry in value.items() if name != "type")
        return f"{value['type']}({fields})"
    return f"[{', '.join(map(_written, value))}]" if isinstance(value, list) else str(value)


def _result(name: str, folder: Path) -> Result:
    _document(folder, "result.json")  # raises an error if the run did not end
    result = read_result(folder)
    return dataclasses.replace(result, rule=name, seconds_per_epoch=_seconds_per_epoch(folder, len(result.seeds)))


def _seconds_per_epoch(folder: Path, seeds: int) -> float:
    """The time of an epoch of one seed, from the checkpoint. `nan` without one."""
    if not checkpoint_files(folder):
        return math.nan
    header = read_checkpoint(folder / CHECKPOINT).header
    return header["seconds"] / header["epochs_timed"] / seeds if header["epochs_timed"] else math.nan
