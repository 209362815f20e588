"""A recipe: everything that defines a training run but its seeds."""

import dataclasses
from typing import Annotated, Any, Literal

from ..errors import check_positive
from ..losses import Loss
from ..networks.architectures import MLP, Architecture
from ..rules import Rule
from .annotations import Flattened, NoneAs
from .optimizers import Adam, Optimizer
from .penalties import Penalty
from .schedule import Schedule


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A rule with the network, data, optimizers and schedule it is trained with.

    `loss=None` is softmax cross-entropy for labels and squared error for regression; `validation=None` is the data set's
    usual number of validation samples, taken from the training set; `penalty` is one on the weights, none unless given;
    `trainable` are the layers whose parameters learn (1 is the first), all of them unless given.

    Raises `ConfigError` for numbers that make no sense, and `TypeError` where `rule` is no rule, but a class for example.
    """

    rule: Annotated[Rule, Flattened()]
    dataset: str = "digits"
    """Data set; NAME:unit has inputs scaled to [0, 1]."""
    architecture: Annotated[Architecture, Flattened()] = MLP()
    loss: Annotated[Loss | None, NoneAs("auto")] = None
    """Output loss; auto is cross-entropy for labels and squared error for regression."""
    stepsize: float = 1.0
    """Step of the output target down the gradient."""
    optimizer: Optimizer = Adam()
    feedback_optimizer: Optimizer = Adam()
    penalty: Annotated[Penalty | None, NoneAs("none")] = None
    """Penalty on the weights."""
    schedule: Annotated[Schedule, Flattened()] = Schedule()
    batch_size: int = 128
    """Samples of a minibatch."""
    validation: int | None = None
    """Samples taken from the training set for validation; the usual number of the data set unless given."""
    trainable: tuple[int, ...] | None = None
    """Layers that learn, 1 the first; all unless given."""
    dtype: Literal["float32", "float64"] = "float32"
    """Floating-point type."""

    def __post_init__(self):
        if not isinstance(self.rule, Rule):
            hint = f"write {self.rule.__name__}()" if isinstance(self.rule, type) else "give an object of one"
            raise TypeError(f"{self.rule!r} is no rule: {hint}.")
        check_positive(self, "stepsize", "batch_size")

    def replace(self, **changes: Any) -> "Recipe":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)
