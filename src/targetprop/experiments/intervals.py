"""Confidence intervals, and differences of paired values."""

import dataclasses
import math
import statistics
from collections.abc import Mapping

LEVEL = 0.95
EQUAL = 1e-5


def student_interval(center: float, error: float, freedom: float) -> tuple[float, float]:
    """The 95 % confidence interval of a mean by Student's t distribution.

    **Arguments:**

    - `center`: the mean.
    - `error`: its standard error.
    - `freedom`: the degrees of freedom of the error.

    **Returns:** both ends.
    """
    if error == 0:
        return center, center
    from scipy import stats  # takes a second to import

    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    return center - half, center + half


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """Differences of two rules, one for each seed that both finished.

    Both rules start from the same weights and see the same minibatches. So the seeds are pairs.

    **Arguments:**

    - `values`: the differences.
    """

    values: tuple[float, ...]

    @classmethod
    def between(cls, ours: Mapping[int, float], theirs: Mapping[int, float]) -> "PairedDifference":
        """The differences `ours - theirs` of the seeds that are in both."""
        return cls(tuple(ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())))

    @property
    def mean(self) -> float:
        """The mean difference. `nan` for fewer than 2 pairs."""
        return statistics.fmean(self.values) if len(self.values) > 1 else math.nan

    @property
    def sd(self) -> float:
        """The standard deviation of the differences. `nan` for fewer than 2 pairs."""
        return statistics.stdev(self.values) if math.isfinite(self.mean) else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the mean difference, of the paired t test.

        Both ends are `nan` for fewer than 2 pairs.
        """
        n = len(self.values)
        return student_interval(self.mean, self.sd / math.sqrt(n), n - 1) if n > 1 else (math.nan, math.nan)

    @property
    def effect_size(self) -> float:
        """The effect size: Cohen's `d_z` with Hedges' correction for small samples.

        `d_z = mean / sd` of the `n` differences, times
        `J(m) = Gamma(m/2) / (sqrt(m/2) Gamma((m-1)/2))` with `m = n - 1`. So its expectation is
        the mean difference of the population divided by its standard deviation. `nan` for fewer
        than 3 pairs, where this expectation does not exist, and if all differences are equal.

        Source: `d_z` as in Cohen 1988 and Lakens 2013, eq. 6; `J` as in Hedges and Olkin 1985.
        """
        freedom = len(self.values) - 1
        if freedom < 2 or not self.sd > EQUAL * max(map(abs, self.values)):
            return math.nan
        log_correction = math.lgamma(freedom / 2) - math.log(freedom / 2) / 2 - math.lgamma((freedom - 1) / 2)
        return math.exp(log_correction) * self.mean / self.sd

    def __str__(self) -> str:
        """The mean difference and its interval, or a dash for fewer than 2 pairs."""
        if not math.isfinite(self.mean):
            return "-"
        low, high = self.interval
        form = "+.2f" if max(abs(low), abs(high)) >= 0.1 else "+.1e"
        return f"{self.mean:{form}} ({low:{form}} .. {high:{form}})"

    def to_json(self) -> dict:
        """Plain data. `mean`, `interval` and `effect_size` are `None` where they do not exist."""
        low, high = self.interval
        return {
            "pairs": len(self.values),
            "mean": self.mean if math.isfinite(self.mean) else None,
            "interval": [low, high] if math.isfinite(self.mean) else None,
            "effect_size": self.effect_size if math.isfinite(self.effect_size) else None,
        }
