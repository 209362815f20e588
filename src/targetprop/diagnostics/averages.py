"""The mean of the values of a probe over an epoch."""

from collections.abc import Mapping
from typing import Any

import numpy as np


class Averages:
    """Running sums of named arrays, whose first axis is the member of an ensemble.

    They can be written as JSON and read again without any rounding.
    """

    def __init__(self, count: int = 0, sums: Mapping[str, Any] | None = None):
        self.count = count
        self.sums = {name: np.asarray(values, float) for name, values in (sums or {}).items()}

    def add(self, values: Mapping[str, np.ndarray]) -> None:
        """Add one sample."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + np.asarray(value, float)
        self.count += 1

    def of(self, member: int) -> dict[str, Any]:
        """The means of one member: a number, or a list with one number for each hidden layer."""
        return {name: (values[member] / self.count).tolist() for name, values in self.sums.items()}

    def to_json(self) -> dict[str, Any]:
        """The state as plain data, which are the arguments of `Averages`."""
        return {"count": self.count, "sums": {name: values.tolist() for name, values in self.sums.items()}}
