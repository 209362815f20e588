"""A recipe: everything that defines a training run, except the seeds."""

import dataclasses
from typing import Annotated, Any, Literal

from ..errors import check_positive
from ..losses import Loss
from ..networks.architectures import MLP, Architecture
from ..networks.network import Network
from ..rules import Preset, Rule
from .annotations import Flattened, NoneAs
from .masks import UpdateMask
from .optimizers import Adam, Optimizer
from .penalties import Penalty
from .schedule import Schedule


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A rule with the network, data, optimizers and schedule that it is trained with.

    `architecture` builds a network for each seed. It may also be a `Network`, for example from
    `from_equinox`. That network is used as it is, with the same initial weights for every seed.

    Raises `ConfigError` for numbers out of range, and `TypeError` if `rule` is not a rule, for
    example if it is a class.
    """

    rule: Annotated[Rule, Flattened()]
    dataset: str = "digits"
    """Data set. NAME:unit is the data set with inputs scaled to [0, 1], openml:NAME one of
    openml.org."""
    architecture: Annotated[Architecture | Network, Flattened()] = MLP()
    loss: Annotated[Loss | None, NoneAs("auto")] = None
    """Output loss. auto (None): softmax cross-entropy for labels, squared error for regression."""
    stepsize: float = 1.0
    """Size of the step from the output to its target, which descends the loss."""
    optimizer: Optimizer = Adam()
    feedback_optimizer: Optimizer = Adam()
    penalty: Annotated[Penalty | None, NoneAs("none")] = None
    """Penalty on the weights. none (None): no penalty."""
    schedule: Annotated[Schedule, Flattened()] = Schedule()
    batch_size: int = 128
    """Number of samples in a minibatch."""
    validation: int | None = None
    """Number of training samples kept for validation. None: the default of the data set."""
    trainable: tuple[int, ...] | None = None
    """Layers that learn. 1 is the first layer. None: all layers."""
    update_mask: Annotated[UpdateMask | None, NoneAs("none")] = None
    """Layers that move in each step. none (None): all layers that learn."""
    dtype: Literal["float32", "float64"] = "float32"
    """Floating-point type."""

    def __post_init__(self):
        if not isinstance(self.rule, Rule):
            named = isinstance(self.rule, type | Preset)
            hint = f"write {self.rule.__name__}()" if named else "give an object of a rule class"
            raise TypeError(f"{self.rule!r} is not a rule: {hint}.")
        check_positive(self, "stepsize", "batch_size")

    def replace(self, **changes: Any) -> "Recipe":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)
