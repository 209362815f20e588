"""The part of an item that is a computation of its own. Its results are small JSON files."""

import abc
import dataclasses
import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._files import write_whole
from ..training.bars import ProgressBar
from ..training.provenance import describe, environment, same_settings
from ..training.result import finite_or_none
from .damage import DamagedFileError, leave_out, read_file, set_aside
from .item import Part

LOGGER = logging.getLogger("targetprop")


class Experiment(abc.ABC):
    """A computation for several seeds as one program.

    A subclass is a frozen dataclass. Its fields are the configuration, which is written beside the
    results. Results count only for the configuration that they were made with.
    """

    @property
    @abc.abstractmethod
    def steps(self) -> int:
        """The number of steps of the progress bar."""

    @abc.abstractmethod
    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        """Run the computation.

        **Arguments:**

        - `seeds`: the seeds.
        - `advance`: to be called with the number of steps done since the last call.

        **Returns:** the metrics of each seed as plain data.
        """

    @abc.abstractmethod
    def seconds(self, seeds: Sequence[int]) -> float:
        """Estimate the seconds for some seeds on this machine, from a small part of the work.

        `extrapolated` helps.
        """


@dataclasses.dataclass(frozen=True)
class ExperimentPart(Part):
    """An experiment with the folder of its results.

    Each call of `run` writes one file: configuration, versions, machine, and the metrics of each
    seed.

    **Arguments:**

    - `row`, `column`: which part of the item it is.
    - `experiment`: what is computed.
    - `folder`: where the results are.
    """

    row: str
    column: str
    experiment: Experiment
    folder: Path

    def found(self) -> dict[int, dict[str, Any]]:
        found = {}
        for path in sorted(self.folder.glob("seeds-*.json")):
            try:
                config, metrics = read_file(path, _parsed)
            except DamagedFileError as error:
                leave_out(error)
                continue
            if same_settings(config, self._config()):
                found |= metrics
        return dict(sorted(found.items()))

    def run(self, seeds: Sequence[int], progress: bool) -> bool:
        began = time.perf_counter()
        with ProgressBar(f"{self.row} {self.column}".strip(), self.experiment.steps, shown=progress) as bar:
            metrics = self.experiment.run(seeds, bar.advance)
        seconds = round(time.perf_counter() - began, 2)
        header = {"config": self._config(), **environment(), "seconds": seconds}
        entries = [{"seed": seed, "metrics": found} for seed, found in zip(seeds, metrics, strict=True)]
        path = self.folder / f"seeds-{seeds[0]}-{seeds[-1]}.json"
        _keep_damaged(path)
        write_whole(path, _written(header, entries))
        return True

    def seconds(self, seeds: Sequence[int]) -> float:
        return self.experiment.seconds(seeds)

    def _config(self) -> dict[str, Any]:
        return json.loads(json.dumps(describe(self.experiment)))


def _parsed(text: str) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
    """The configuration, and the metrics of each seed."""
    document = json.loads(text)
    return document["config"], {int(entry["seed"]): dict(entry["metrics"]) for entry in document["seeds"]}


def _keep_damaged(path: Path) -> None:
    """Before a file is written anew: if it is damaged, keep it, and say so."""
    if path.exists():
        try:
            read_file(path, _parsed)
        except DamagedFileError as error:
            (kept,) = set_aside([path])
            LOGGER.warning(
                "%s cannot be read (%s): it was run again, and what was there is kept as %s", path, error.reason, kept.name
            )


def _written(header: dict[str, Any], entries: Sequence[dict[str, Any]]) -> str:
    """One JSON document with a line for each seed."""
    lines = ",\n  ".join(json.dumps(finite_or_none(entry), allow_nan=False) for entry in entries)
    return json.dumps(header, indent=1).removesuffix("\n}") + f',\n "seeds": [\n  {lines}\n ]\n}}\n'


def extrapolated(short: Callable[[], Any], times: float) -> float:
    """Estimate the time of a long computation from a short one.

    **Arguments:**

    - `short`: a small part of the work. It is called twice.
    - `times`: how many times longer the whole work is.

    **Returns:** the seconds of the whole work. What only the first call costs, such as
    compilation, is counted once.
    """
    began = time.perf_counter()
    short()
    first = time.perf_counter()
    short()
    again = time.perf_counter() - first
    return first - began + (times - 1) * again
