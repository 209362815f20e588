"""A recipe: everything that defines a training run, except the seeds."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from .._checks import check_fields
from ..errors import check_count, check_positive
from ..losses import Loss
from ..networks.architectures import MLP, Architecture
from ..networks.network import Network
from ..rules import Preset, Rule
from ..rules.updates import check_layers
from .annotations import Flattened, NoneAs
from .building import build
from .masks import UpdateMask
from .optimizers import Adam, Optimizer, as_optimizer
from .penalties import Penalty
from .provenance import describe
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
        for name in ("optimizer", "feedback_optimizer"):
            object.__setattr__(self, name, as_optimizer(getattr(self, name), name))
        check_layers(self.trainable)
        check_positive(self, "stepsize")
        check_fields(self)
        check_count(self, "batch_size")
        check_count(self, "validation", least=0)

    def replace(self, **changes: Any) -> "Recipe":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict:
        """The recipe as plain data, as in `config.json`: the type and the fields of each part.

        Numbers that are arrays become plain numbers.
        """
        return describe(self)

    @classmethod
    def from_json(cls, description: Mapping[str, Any]) -> "Recipe":
        """The recipe that `to_json` described. Classes of your own must be defined before.

        **Raises:** `ConfigError` if a class is not known or a value does not fit. The message
        names the field.
        """
        return build(cls, description, "recipe")
