"""The verdict of a comparison with a published number, in words."""

import dataclasses
import math

from ..training.result import Summary
from .intervals import student_interval
from .published import Published

NOT_RUN, NO_NUMBER, TOO_FEW, REPRODUCED, WITHIN, NOT_REPRODUCED = (
    "not yet run",
    "no published number",
    "too few seeds",
    "reproduced",
    "within 2 SD",
    "not reproduced",
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Our runs against a published number.

    It has the difference of the means, its 95 % confidence interval (Welch), and one of these
    words:

    - `reproduced`: there are at least 3 seeds, our mean is within two published standard
      deviations, and the interval contains 0.
    - `within 2 SD`: our mean is there, but the interval does not contain 0, or there are 2 seeds.
    - `not reproduced`: our mean is outside, and there are at least 3 seeds or the interval does
      not contain 0.
    - `too few seeds`: there is one seed, or there are 2 and our mean is outside, but the interval
      contains 0.
    - `not yet run`: there are no seeds.

    A published number without a standard deviation is treated as one run with our deviation.

    **Arguments:**

    - `ours`: our values.
    - `published`: the published number.
    """

    ours: Summary
    published: Published

    @property
    def difference(self) -> float:
        """Our mean minus the published one."""
        return self.ours.mean - self.published.mean

    @property
    def _spread(self) -> float:
        return self.ours.sd if self.published.sd is None else self.published.sd

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the difference. Both ends are `nan` for fewer than 2
        seeds.
        """
        n, theirs = len(self.ours.values), self.published
        if n < 2:
            return math.nan, math.nan
        ours_var, their_var = self.ours.sd**2 / n, self._spread**2 / theirs.n
        variance = ours_var + their_var
        freedom = n - 1.0
        if variance > 0 and theirs.sd is not None:
            freedom = variance**2 / (ours_var**2 / (n - 1) + their_var**2 / (theirs.n - 1))
        return student_interval(self.difference, math.sqrt(variance), freedom)

    def __str__(self) -> str:
        n = len(self.ours.values)
        if n == 0:
            return NOT_RUN
        if n == 1:
            return TOO_FEW
        if not math.isfinite(self.difference):
            return NOT_REPRODUCED
        low, high = self.interval
        compatible = low <= 0 <= high
        if abs(self.difference) > 2 * self._spread:
            return TOO_FEW if n == 2 and compatible else NOT_REPRODUCED
        return REPRODUCED if n >= 3 and compatible else WITHIN
