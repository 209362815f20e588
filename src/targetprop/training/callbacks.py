"""Callbacks of a run: what happens beside the training.

Log files, checkpoints and the progress bar are callbacks. `train` calls those of the user after
them, in the given order.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..networks.network import Network
from .frame import flat
from .recipe import Recipe
from .result import Result, SeedResult
from .schedule import Pass


@dataclasses.dataclass(frozen=True)
class Resumed:
    """What an earlier call of `train` left in the folder of a run.

    **Arguments:**

    - `steps`: the number of steps that are done.
    - `records`: the number of records that were logged.
    """

    steps: int = 0
    records: int = 0


@dataclasses.dataclass(frozen=True)
class LiveRun:
    """A run of `train`, as its callbacks see it.

    **Arguments:**

    - `recipes`: the recipe of each seed.
    - `seeds`: the metrics of each seed so far.
    - `records`: all records so far, as they were logged.
    - `dataset`, `unit`: the name of the data set, and the unit of the error.
    - `steps`: the number of steps of the whole run.
    - `folder`: the folder of the run, or `None`.
    - `resumed`: what was done before.
    - `network`: gives the present network of a seed, by its position in `seeds`.
    - `stop`: ends the training of a seed, by its position. Without one, that of all seeds. The
      status of a seed becomes `"stopped"`.
    - `save`: writes a checkpoint to a path.
    """

    recipes: Sequence[Recipe]
    seeds: Sequence[SeedResult]
    records: Sequence[dict]
    dataset: str
    unit: str
    steps: int
    folder: Path | None
    resumed: Resumed
    network: Callable[[int], Network]
    stop: Callable[..., None]
    save: Callable[[Path], None]

    @property
    def rule(self) -> str:
        """The name of the rule."""
        return self.recipes[0].rule.name


class Callback:
    """Something that happens beside the training. Every method does nothing by default.

    The methods are called in the process of the training, between two runs of its program. An
    exception in one ends the run, after all callbacks are closed.
    """

    def start(self, run: LiveRun) -> None:
        """Before the first step, and before anything is compiled."""

    def activity(self, run: LiveRun, text: str) -> None:
        """The run begins something else, such as `compiling` or `epoch 3 of 30`."""

    def steps(self, run: LiveRun, number: int) -> None:
        """After some steps, about twice a second."""

    def probe(self, run: LiveRun, values: Mapping[str, np.ndarray]) -> None:
        """The probe measured its diagnostics.

        **Arguments:**

        - `values`: named arrays. The leading axis is the seed.
        """

    def records(self, run: LiveRun, records: Sequence[dict]) -> None:
        """There are new metrics: after every joint pass, and after every pass of pretraining.

        **Arguments:**

        - `records`: one record for each seed that trains: `seed`, `epoch`, named numbers (or a
          list with one number per layer), and `warnings`, a list of sentences. A record of
          pretraining has the number of its `pass`.
        """

    def end_of_pass(self, run: LiveRun, at: Pass) -> None:
        """A pass over the training set ended. Its records were logged."""

    def epoch(self, run: LiveRun, epoch: int) -> None:
        """An epoch ended, with all its passes. The pretraining is epoch 0.

        `run.seeds[i].history` has the metrics of all epochs.
        """

    def divergence(self, run: LiveRun, seed: SeedResult) -> None:
        """A seed diverged. Its `status` says where."""

    def end(self, run: LiveRun, result: Result) -> None:
        """The run ended, or was interrupted."""

    def close(self) -> None:
        """After everything else, also if the run failed."""


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record, by name. An entry of a list is `NAME/1`, `NAME/2`, ..

    Seed, epoch and pass are left out, and what was not measured.
    """
    names = ("seed", "epoch", "pass")
    return {name: value for name, value in flat(record).items() if value is not None and name not in names}
