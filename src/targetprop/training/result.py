"""The result of a training run."""

import math
import statistics
from dataclasses import dataclass, field
from typing import Any, final

import equinox as eqx
import numpy as np

from ..networks.network import Network
from ..rules import Rule


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


@dataclass
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
    """

    rule: str
    dataset: str
    unit: str
    seeds: list[SeedResult]
    seconds_per_epoch: float = math.nan
    best: list[Trained | None] = field(default_factory=list)
    last: list[Trained] = field(default_factory=list)

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
        return {"rule": self.rule, "dataset": self.dataset, "seeds": [seed.to_json() for seed in self.seeds]}
