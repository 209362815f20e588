"""The result of a training run."""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import equinox as eqx
import numpy as np

from .._html import html_table
from ..figures import RuleCurves, kinds, training_figure
from ..networks.network import Network
from ..rules import Rule
from .frame import data_frame, rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame  # pyright: ignore[reportMissingImports] (optional)


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation, and the values themselves.

    The deviation is `nan` for a single value, or if a value is not finite.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def sd(self) -> float:
        return statistics.stdev(self.values) if len(self.values) > 1 and math.isfinite(self.mean) else math.nan

    def __str__(self) -> str:
        """Mean ± SD with two decimals, or with two digits of a small deviation."""
        if not self.values:
            return "-"
        if len(self.values) == 1 or not math.isfinite(self.sd):
            return f"{self.mean:.2f}" if abs(self.mean) >= 0.1 else f"{self.mean:.2e}"
        if max(abs(self.mean), self.sd) < 1e-3:
            return f"{self.mean:.1e} ± {self.sd:.1e}"
        digits = 2 if self.sd == 0 else max(2, 1 - math.floor(math.log10(self.sd)))
        return f"{self.mean:.{digits}f} ± {self.sd:.{digits}f}"

    def to_json(self) -> dict:
        return {
            "mean": finite_or_none(self.mean),
            "sd": finite_or_none(self.sd),
            "values": finite_or_none(self.values),
        }


def finite_or_none(value: Any) -> Any:
    """Plain data with `None` for numbers that are not finite, which JSON cannot represent."""
    if isinstance(value, dict):
        return {key: finite_or_none(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shortest(value: np.floating | np.ndarray) -> float:
    """The shortest decimal number that represents the value in its precision."""
    return float(str(value))


def _validation_error(record: dict) -> float:
    error = record["validation_error"]
    return math.inf if math.isnan(error) else error


@final
class Trained(eqx.Module):
    """A trained network with its feedback.

    **Arguments:**

    - `network`: the network.
    - `feedback`: the feedback of its rule, or `None`.
    - `rule`: the rule, or `None` if it is not known.
    """

    network: Network
    feedback: Any = None
    rule: Rule | None = None


FINISHED, RUNNING, STOPPED = "finished", "interrupted", "stopped"


@dataclass
class SeedResult:
    """The metrics of one seed.

    **Arguments:**

    - `seed`: the seed.
    - `history`: one record per finished epoch.
    - `status`: how the run ended: `"finished"`, `"interrupted"`, `"stopped"` by a callback, or
      where it diverged.
    """

    seed: int
    history: list[dict] = field(default_factory=list)
    status: str = RUNNING

    @property
    def diverged(self) -> bool:
        """Whether the run diverged. Its metrics are those before."""
        return self.status not in (FINISHED, RUNNING, STOPPED)

    @property
    def best_epoch(self) -> int | None:
        """The first epoch with the lowest validation error. Without validation: the last epoch."""
        if not self.history:
            return None
        if self.history[-1]["validation_error"] is None:
            return self.history[-1]["epoch"]
        return min(self.history, key=_validation_error)["epoch"]

    @property
    def test_error(self) -> float | None:
        """The test error at the best epoch."""
        best = self.best_epoch
        return next((record["test_error"] for record in self.history if record["epoch"] == best), None)

    @property
    def last_test_error(self) -> float | None:
        """The test error after the last epoch."""
        return self.history[-1]["test_error"] if self.history else None

    @property
    def train_loss(self) -> float | None:
        """The mean training loss over the minibatches of the last epoch."""
        return self.history[-1]["train_loss"] if self.history else None

    def to_json(self) -> dict:
        return {
            "seed": self.seed,
            "best_epoch": self.best_epoch,
            "test_error": self.test_error,
            "last_test_error": self.last_test_error,
            "train_loss": self.train_loss,
            "status": self.status,
        }


def results_of(statuses: Mapping[int, str], records: Iterable[dict]) -> list[SeedResult]:
    """The metrics of each seed.

    **Arguments:**

    - `statuses`: the status of each seed.
    - `records`: the records of all seeds, as they were logged.
    """
    found = {seed: SeedResult(seed, [], status) for seed, status in statuses.items()}
    for record in records:
        if "pass" not in record:
            found[record["seed"]].history.append(record)
    return list(found.values())


@dataclass(repr=False)
class Result:
    """The result of `train`. Means and deviations leave out seeds that diverged.

    **Arguments:**

    - `rule`, `dataset`: their names.
    - `unit`: the unit of the error, `%` or `MSE`.
    - `seeds`: one result per seed.
    - `seconds_per_epoch`: the time of an epoch of one seed, with all its passes, without
      compilation.
    - `best`: for each seed, the network of its best epoch, whose error is `test_error`. `None` if
      no epoch ended.
    - `last`: for each seed, the network of its last epoch, whose error is `last_test_error`.
    - `settings`: the recipe as plain data, or a list with that of each seed if they differ.
    """

    rule: str
    dataset: str
    unit: str
    seeds: list[SeedResult]
    seconds_per_epoch: float = math.nan
    best: list[Trained | None] = field(default_factory=list)
    last: list[Trained] = field(default_factory=list)
    settings: Any = None

    @property
    def test_error(self) -> Summary:
        """Test error of each seed at its best validation epoch."""
        return self._summary("test_error")

    @property
    def last_test_error(self) -> Summary:
        """Test error of each seed after its last epoch."""
        return self._summary("last_test_error")

    @property
    def train_loss(self) -> Summary:
        """Training loss of each seed over its last epoch."""
        return self._summary("train_loss")

    @property
    def finished(self) -> bool:
        """Whether all seeds finished, or were stopped by a callback."""
        return all(seed.status in (FINISHED, STOPPED) for seed in self.seeds)

    @property
    def interrupted(self) -> bool:
        """Whether the run was stopped before its end."""
        return any(seed.status == RUNNING for seed in self.seeds)

    @property
    def counted(self) -> list[SeedResult]:
        """The seeds of the summaries: those that did not diverge."""
        return [seed for seed in self.seeds if not seed.diverged]

    def _summary(self, name: str) -> Summary:
        values = (getattr(seed, name) for seed in self.counted)
        return Summary(tuple(value for value in values if value is not None))

    def to_json(self) -> dict:
        """Plain data: mean, standard deviation and values of each summary, each seed, the settings."""
        return {
            "rule": self.rule,
            "dataset": self.dataset,
            "unit": self.unit,
            "test_error": self.test_error.to_json(),
            "last_test_error": self.last_test_error.to_json(),
            "train_loss": self.train_loss.to_json(),
            "seeds": [seed.to_json() for seed in self.seeds],
            "settings": self.settings,
        }

    def __repr__(self) -> str:
        counted, asked = len(self.counted), len(self.seeds)
        seeds = f"{counted} of {asked} seeds" if counted != asked else f"{asked} seed{'s' * (asked != 1)}"
        return f"Result: {self.rule} on {self.dataset}, test error {self.test_error} {self.unit}, {seeds}"

    def _repr_html_(self) -> str:
        titles = ("seed", "best epoch", f"test error ({self.unit})", "last test error", "training loss", "status")
        table = [
            [str(s.seed), *map(_shown, (s.best_epoch, s.test_error, s.last_test_error, s.train_loss)), s.status]
            for s in self.seeds
        ]
        return html_table(titles, table, repr(self))

    def curves(self) -> RuleCurves:
        """What figures show of it: the metrics of the seeds that did not diverge."""
        return RuleCurves(self.rule, self.unit, [seed.history for seed in self.counted])

    def kinds(self) -> list[str]:
        """The pictures that `plot` can draw of it."""
        return kinds([self.curves()])

    def plot(self, kind: str | None = None) -> "Figure":
        """Draw the learning curves and what the probe sampled.

        **Arguments:**

        - `kind`: `learning-curves`, `feedback`, `angles`, `target-updates`, `singular-values` or
          `other`. `None` draws all of these for which there are values.

        **Returns:** the figure. A notebook shows it. `figure.savefig` writes it to a file.

        **Raises:** `ConfigError` if there is nothing of this kind to draw.
        """
        return training_figure([self.curves()], self.dataset, kind)

    def to_frame(self) -> "DataFrame":
        """The metrics as a data frame of pandas, a row for each seed and epoch.

        A metric with a number for each layer has a column for each, `NAME/1`, `NAME/2`, ..

        **Raises:** `UserError` if pandas is not installed.
        """
        return data_frame(rows(self.seeds))


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
