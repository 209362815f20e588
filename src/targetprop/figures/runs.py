"""What figures show of training runs: their metrics as arrays, and a table of all panels."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

KINDS = ("learning-curves", "feedback", "angles", "target-updates", "singular-values", "other")
PROBED, DAMPED = "diagnostics/", "diagnostics/angle_gnt/"
ERROR, DEGREES, NORM = "error ({unit})", "angle (degrees)", "norm"


@dataclasses.dataclass(frozen=True)
class RuleCurves:
    """The metrics of a rule, as far as figures show them.

    **Arguments:**

    - `rule`: its name.
    - `unit`: the unit of its error.
    - `histories`: for each seed its records, one for each epoch.
    """

    rule: str
    unit: str
    histories: Sequence[Sequence[Mapping[str, Any]]]

    @property
    def seeds(self) -> int:
        """The number of seeds that have finished an epoch."""
        return sum(map(bool, self.histories))

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics."""
        return tuple(dict.fromkeys(name for history in self.histories for record in history[:1] for name in record))

    def values(self, metric: str) -> np.ndarray | None:
        """A metric of all seeds, up to the last epoch that all of them have.

        **Returns:** an array of shape `(seeds, epochs)` or `(seeds, epochs, layers)`. `None` if
        there are no values.
        """
        histories = [history for history in self.histories if history]
        length = min(map(len, histories), default=0)
        found = [[record.get(metric) for record in history[:length]] for history in histories]
        if not length or any(value is None for history in found for value in history):
            return None
        return np.array(found, float)


class Quantity(NamedTuple):
    """A panel.

    - `kind`: the kind of its figure, one of `KINDS`.
    - `title`, `label`: its title, and the label of its axis.
    - `metrics`: what it shows: the name of each metric, and what it is called beside the others.
    - `log`: whether the axis is logarithmic.
    - `top`: the upper end of the axis, which then begins at 0.
    """

    kind: str
    title: str
    label: str
    metrics: tuple[tuple[str, str], ...]
    log: bool = False
    top: float | None = None


def _probed(kind: str, name: str, title: str, label: str, log: bool = False, top: float | None = None) -> Quantity:
    return Quantity(kind, title, label, ((PROBED + name, ""),), log, top)


def _singular(path: str) -> Quantity:
    metrics = tuple((f"{PROBED}{path}_singular_{end}", word) for end, word in (("max", "largest"), ("min", "smallest")))
    return Quantity("singular-values", f"{path} singular values", "singular value", metrics, True)


QUANTITIES = (
    Quantity("learning-curves", "error", ERROR, (("test_error", "test"), ("validation_error", "validation")), True),
    Quantity("learning-curves", "training loss", "training loss", (("train_loss", ""),), True),
    Quantity("feedback", "loss of the feedback", "feedback loss", (("feedback_loss", ""),), True),
    _probed("angles", "angle_bp", "angle to backpropagation", DEGREES),
    _probed("angles", "angle_gnt", "angle to Gauss-Newton targets", DEGREES),
    _probed("angles", "angle_gnt_damped", "angle to damped GN targets", DEGREES),
    _probed("angles", "angle_gn", "angle to Gauss-Newton", DEGREES),
    _probed("angles", "angle_tp", "angle to TP", DEGREES),
    _probed("angles", "angle_dtp", "angle to DTP", DEGREES),
    _probed("angles", "angle_output", "output: angle to its error", DEGREES),
    _probed("target-updates", "null_space_share", "share that cannot move the output", "share of the norm", top=1),
    _probed("target-updates", "learning_signal", "learning signal", NORM, True),
    _probed("target-updates", "reconstruction_error", "reconstruction error", NORM, True),
    _probed("target-updates", "taylor_error", "Taylor error", NORM, True),
    _probed("target-updates", "target_residual", "distance left to the target", "share"),
    _probed("target-updates", "update_backprop", "update: gradient of the loss", NORM, True),
    _probed("target-updates", "update_hebbian", "update: Hebbian part", NORM, True),
    _probed("target-updates", "update_carried", "update: carried part", NORM, True),
    _probed("target-updates", "update_rest", "update: rest", NORM, True),
    _singular("forward"),
    _singular("feedback"),
    _probed("other", "movement", "movement of the weights", "relative change in an epoch", True),
)


def quantities(runs: Sequence[RuleCurves]) -> list[Quantity]:
    """The panels that some runs have values for, in the order of `KINDS`.

    Diagnostics that are not in the table are of the kind `other`. A search over dampings is left
    out: it has a number for each damping.
    """
    names = dict.fromkeys(name for run in runs for name in run.metrics if name.startswith(PROBED))
    known = {metric for quantity in QUANTITIES for metric, _ in quantity.metrics}
    unknown = (name.removeprefix(PROBED) for name in names if name not in known and not name.startswith(DAMPED))
    every = (*QUANTITIES, *(_probed("other", name, name, name) for name in unknown))
    found = [one for one in every if any(run.values(one.metrics[0][0]) is not None for run in runs)]
    return sorted(found, key=lambda quantity: KINDS.index(quantity.kind))


def kinds(runs: Sequence[RuleCurves]) -> list[str]:
    """The kinds of figures that some runs have values for, some of `KINDS`."""
    return list(dict.fromkeys(quantity.kind for quantity in quantities(runs)))
