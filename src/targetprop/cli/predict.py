"""`targetprop predict`."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from tyro.conf import Positional

from .._files import whole_file, write_whole
from ..training.evaluation import Part, Predictions, predict
from ..training.paths import check_file, make_folder
from .output import print_json
from .runs import open_run
from .tree import Command, UsageError


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """The flags of `targetprop predict RUN`."""

    run: Positional[Path] = tyro.MISSING
    """Folder of a run."""
    dataset: str | None = None
    """Data set. Default: that of the run."""
    part: Part = "test"
    """Samples of the data set. The training samples include those for validation."""
    last: bool = False
    """Take the networks of the last epoch, not of the best one."""
    out: Path = Path("predictions.npz")
    """File for the predictions. A .npz file also has the outputs of the networks.
    A .csv file has a row for each sample and a column for each seed, with the names of the classes
    if the data set has names for them."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


def command(args: Sequence[str]) -> Command:
    """`targetprop predict RUN`."""
    return Command(PredictOptions(), run)


def run(options: PredictOptions) -> int:
    """Write what the networks of a run predict. Returns 0."""
    if options.out.suffix not in (".npz", ".csv"):
        raise UsageError(f"{options.out} has no known ending: use .npz or .csv.")
    check_file(options.out)
    _, data, networks = open_run(options.run, options.dataset, options.last)
    found = {one.seed: predict(one.network, data, part=options.part) for one in networks if one.kept}
    if not found:
        raise UsageError(f"there are no networks of the best epoch in {options.run}: use --last.")
    make_folder(options.out.parent)
    if options.out.suffix == ".npz":
        _write_npz(options.out, found)
    else:
        _write_csv(options.out, found, data.labels)
    if options.json:
        print_json({"file": str(options.out), "dataset": data.name, "part": options.part, "seeds": list(found)})
    else:
        print(options.out)
    return 0


def _write_npz(path: Path, found: dict[int, Predictions]) -> None:
    """`seeds`, `targets`, and `outputs` and `predictions` with the seed as leading axis."""
    first = next(iter(found.values()))
    names = "outputs", "predictions"
    arrays: dict[str, Any] = {name: np.stack([getattr(one, name) for one in found.values()]) for name in names}
    with whole_file(path) as file:
        np.savez(file, seeds=np.array(list(found)), targets=first.targets, **arrays)


def _write_csv(path: Path, found: dict[int, Predictions], labels: Sequence[Any] | None) -> None:
    """A row for each sample: its number, its target, and the prediction of each seed."""
    first = next(iter(found.values()))
    columns = {"target": first.targets} | {f"seed{seed}": one.predictions for seed, one in found.items()}
    if labels is not None:
        columns = {name: np.array(labels, object)[column] for name, column in columns.items()}
    if first.targets.ndim == 2:  # a column for each output
        columns = {f"{name}_{i}": column for name, rows in columns.items() for i, column in enumerate(rows.T, start=1)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sample", *columns])
    writer.writerows(zip(range(len(first.targets)), *columns.values(), strict=True))
    write_whole(path, text.getvalue())
