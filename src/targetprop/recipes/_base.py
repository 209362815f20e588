"""A recipe: everything that defines a training run but its seeds."""

import abc
import dataclasses
import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import tyro
from jaxtyping import PRNGKeyArray

from ..activations import Activation, LeakyReLU, Tanh
from ..errors import check_not_negative, check_positive
from ..initializers import clipped, orthogonal, rejected, xavier_normal, xavier_uniform
from ..invertible import invertible_mlp
from ..losses import Loss
from ..network import Network, mlp
from ..penalties import Penalty
from ..rules import Rule
from ..train.optimizers import Adam, Optimizer
from ..train.schedule import Schedule

Flattened = tyro.conf.arg(name="")  # on the command line, the fields of such a part stand without a prefix

INITIALIZERS = {
    "xavier-normal": xavier_normal,
    "xavier-uniform": xavier_uniform,
    "orthogonal": orthogonal,
    "rejected": rejected,
    "clipped": clipped,
}
InitializerName = Literal["xavier-normal", "xavier-uniform", "orthogonal", "rejected", "clipped"]


class Architecture(abc.ABC):
    """How a network is built for a data set."""

    @abc.abstractmethod
    def build(self, input_shape: tuple[int, ...], outputs: int, *, key: PRNGKeyArray, dtype: Any) -> Network:
        """A freshly initialised network for samples of shape `input_shape`."""


@dataclasses.dataclass(frozen=True)
class MLP(Architecture):
    """A dense network: hidden layers of the given widths and a linear output. Images are flattened."""

    hidden: tuple[int, ...] = (64, 64, 64)
    """Widths of the hidden layers."""
    activation: Activation = Tanh()
    """Nonlinearity of the hidden layers."""
    bias: bool = True
    """Whether layers have biases."""
    initializer: InitializerName = "xavier-normal"
    """How the weights start."""

    def __post_init__(self):
        check_positive(self, "hidden")

    def build(self, input_shape, outputs, *, key, dtype):
        return _dense(mlp, self, (math.prod(input_shape), *self.hidden, outputs), key, dtype)


@dataclasses.dataclass(frozen=True)
class SquareMLP(Architecture):
    """A dense network whose layers are all of one width, that of the input unless given, the output included: its first
    units carry the loss, the others are auxiliary (Ahmad, van Gerven and Ambrogioni 2020, section 6). `depth` is the number
    of hidden layers. The activation is that of the output too."""

    depth: int = 4
    """Number of hidden layers."""
    activation: Activation = LeakyReLU(0.1)
    """Nonlinearity of all layers."""
    bias: bool = True
    """Whether layers have biases."""
    initializer: InitializerName = "orthogonal"
    """How the weights start."""
    width: int | None = None
    """Width of all layers; that of the input unless given."""

    def __post_init__(self):
        check_positive(self, "width")
        check_not_negative(self, "depth")

    def build(self, input_shape, outputs, *, key, dtype):
        inputs = math.prod(input_shape)
        return _dense(invertible_mlp, self, (inputs, *[self.width or inputs] * (self.depth + 1)), key, dtype)


@dataclasses.dataclass(frozen=True)
class TowerMLP(Architecture):
    """A dense network of shrinking width whose layers read only as many units of the layer below as they have themselves;
    the others are auxiliary (Ahmad, van Gerven and Ambrogioni 2020, equation 22). The activation is that of the output too.
    `build` raises `ConfigError` where the widths, that of the output included, grow."""

    hidden: tuple[int, ...] = (64, 48, 32)
    """Widths of the hidden layers, none wider than the one before."""
    activation: Activation = LeakyReLU(0.1)
    """Nonlinearity of all layers."""
    bias: bool = True
    """Whether layers have biases."""
    initializer: InitializerName = "orthogonal"
    """How the weights start."""

    def __post_init__(self):
        check_positive(self, "hidden")

    def build(self, input_shape, outputs, *, key, dtype):
        return _dense(invertible_mlp, self, (math.prod(input_shape), *self.hidden, outputs), key, dtype)


def _dense(
    create: Callable[..., Network], like: MLP | SquareMLP | TowerMLP, sizes: tuple[int, ...], key: PRNGKeyArray, dtype: Any
) -> Network:
    """A network of the given widths, input and output included, made by `create` with what `like` says of its layers."""
    initializer = INITIALIZERS[like.initializer]()
    return create(sizes, like.activation, bias=like.bias, initializer=initializer, key=key, dtype=dtype)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A rule with the network, data, optimisers and schedule it is trained with.

    `loss=None` is softmax cross-entropy for labels and squared error for regression; `validation=None` is the data set's
    usual number of validation samples, taken from the training set; `penalty` is one on the weights, none unless given;
    `trainable` are the layers whose parameters learn (1 is the first), all of them unless given.

    Raises `ConfigError` for numbers that make no sense, and `TypeError` where `rule` is no rule, but a class for example.
    """

    rule: Annotated[Rule, Flattened]
    dataset: str = "digits"
    """Data set; NAME:unit has inputs scaled to [0, 1]."""
    architecture: Annotated[Architecture, Flattened] = MLP()
    loss: Loss | None = None
    """Output loss; auto is cross-entropy for labels and squared error for regression."""
    stepsize: float = 1.0
    """Step of the output target down the gradient."""
    optimizer: Optimizer = Adam()
    feedback_optimizer: Optimizer = Adam()
    penalty: Penalty | None = None
    """Penalty on the weights."""
    schedule: Annotated[Schedule, Flattened] = Schedule()
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
