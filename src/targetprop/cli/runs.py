"""What `evaluate` and `predict` share: the networks of a run, and the data they are used on."""

import sys
from pathlib import Path
from typing import NamedTuple

from ..data import Dataset, load
from ..networks.network import Network
from ..training.loading import Run, load_run


class SeedNetwork(NamedTuple):
    """The network of a seed, and the epoch that it is of.

    `kept` is false if the best network was not kept. Then it is the last one, to be left out.
    """

    seed: int
    epoch: int | None
    network: Network
    kept: bool


def open_run(folder: Path, dataset: str | None, last: bool) -> tuple[Run, Dataset, list[SeedNetwork]]:
    """A run, a data set, and the network of each seed.

    **Arguments:**

    - `folder`: the folder of the run.
    - `dataset`: the name of the data set. `None`: that of the run.
    - `last`: whether the networks are those of the last epoch, not of the best one.
    """
    run = load_run(folder)
    data = run.config.load_data() if dataset is None else load(dataset)
    found = []
    for seed, best, final in zip(run.result.seeds, run.best, run.last, strict=True):
        kept = last or best is not None
        trained = final if last or best is None else best
        epoch = (seed.history[-1]["epoch"] if seed.history else 0) if last else seed.best_epoch
        found.append(SeedNetwork(seed.seed, epoch, trained.network, kept))
        if not kept:
            sys.stderr.write(f"seed {seed.seed}: there is no network of the best epoch; --last takes the last one\n")
    return run, data, found
