"""A recipe: everything that defines a training run but its seeds."""

import abc
import dataclasses
import math
from typing import Annotated, Any, Literal

import tyro
from jaxtyping import PRNGKeyArray

from ..activations import Activation, Tanh
from ..initializers import orthogonal, xavier_normal, xavier_uniform
from ..losses import Loss
from ..network import Network, mlp
from ..rules import Rule
from ..train.optimizers import Adam, Optimizer
from ..train.schedule import Schedule

Flattened = tyro.conf.arg(name="")  # on the command line, the fields of such a part stand without a prefix

INITIALIZERS = {"xavier-normal": xavier_normal, "xavier-uniform": xavier_uniform, "orthogonal": orthogonal}


class Architecture(abc.ABC):
    """How a network is built for a data set."""

    @abc.abstractmethod
    def build(self, input_shape: tuple[int, ...], outputs: int, *, key: PRNGKeyArray, dtype: Any) -> Network:
        """A freshly initialised network for samples of shape `input_shape`."""


@dataclasses.dataclass(frozen=True)
class MLP(Architecture):
    """A dense network: hidden layers of the given widths and a linear output. Images are flattened."""

    hidden: tuple[int, ...] = (64, 64, 64)
    activation: Activation = Tanh()
    bias: bool = True
    initializer: Literal["xavier-normal", "xavier-uniform", "orthogonal"] = "xavier-normal"

    def build(self, input_shape, outputs, *, key, dtype):
        return mlp(
            (math.prod(input_shape), *self.hidden, outputs),
            self.activation,
            bias=self.bias,
            initializer=INITIALIZERS[self.initializer](),
            key=key,
            dtype=dtype,
        )


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A rule with the network, data, optimisers and schedule it is trained with.

    `loss=None` is softmax cross-entropy for labels and squared error for regression; `validation=None` is the data set's
    usual number of validation samples, taken from the training set; `trainable` are the layers whose parameters learn (1 is
    the first), all of them unless given.
    """

    rule: Annotated[Rule, Flattened]
    dataset: str = "digits"
    architecture: Annotated[Architecture, Flattened] = MLP()
    loss: Loss | None = None
    stepsize: float = 1.0
    optimizer: Optimizer = Adam()
    feedback_optimizer: Optimizer = Adam()
    schedule: Annotated[Schedule, Flattened] = Schedule()
    batch_size: int = 128
    validation: int | None = None
    trainable: tuple[int, ...] | None = None
    dtype: Literal["float32", "float64"] = "float32"

    def replace(self, **changes: Any) -> "Recipe":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)
