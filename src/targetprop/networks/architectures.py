"""How a network is built for a data set: dense, square, of shrinking width, convolutional."""

import abc
import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any, Literal

import jax
from jaxtyping import PRNGKeyArray

from ..errors import ConfigError, check_not_negative, check_positive
from .activations import Activation, Identity, LeakyReLU, Sigmoid, Tanh
from .convolution import ConvPool
from .initializers import (
    UNIFORM_INPUTS,
    clipped,
    neuron_uncertainty,
    orthogonal,
    published_neuron_uncertainty,
    rejected,
    xavier_normal,
    xavier_uniform,
)
from .invertible import invertible_mlp
from .layers import Dense
from .network import Network, mlp

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
        """A freshly initialized network for samples of shape `input_shape`."""


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
class ShrinkingMLP(Architecture):
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
    create: Callable[..., Network],
    like: MLP | SquareMLP | ShrinkingMLP,
    sizes: tuple[int, ...],
    key: PRNGKeyArray,
    dtype: Any,
) -> Network:
    """A network of the given widths, input and output included, made by `create` with what `like` says of its layers."""
    initializer = INITIALIZERS[like.initializer]()
    return create(sizes, like.activation, bias=like.bias, initializer=initializer, key=key, dtype=dtype)


@dataclasses.dataclass(frozen=True)
class CNN(Architecture):
    """Convolutions with max-pooling, then dense hidden layers and a linear output; by default the small CNN of Meulemans et
    al. 2020, Table 3: Conv5x5x32, max-pool 3x3, Conv5x5x64, max-pool 3x3, FC512, FC10.

    `channels` are those of each convolution, `hidden` the widths of the dense hidden layers, `kernel` the (odd) side of the
    kernels. Weights are Xavier normal, biases zero. `build` raises `ConfigError` for samples that are no images.
    """

    channels: tuple[int, ...] = (32, 64)
    """Channels of each convolution."""
    hidden: tuple[int, ...] = (512,)
    """Widths of the dense hidden layers."""
    activation: Activation = Tanh()
    """Nonlinearity of the hidden layers."""
    kernel: int = 5
    """Side of the kernels, odd."""

    def __post_init__(self):
        check_positive(self, "channels", "hidden", "kernel")

    def build(self, input_shape, outputs, *, key, dtype):
        if len(input_shape) != 3:
            raise ConfigError(
                f"A CNN takes images of shape (channels, rows, columns), not samples of shape {tuple(input_shape)}: "
                "use an MLP, or another `dataset`."
            )
        colors, rows, columns = input_shape
        keys = (jax.random.fold_in(key, i) for i in itertools.count(1))
        layers = []
        for c_in, c_out in itertools.pairwise((colors, *self.channels)):
            conv = ConvPool.create((c_in, c_out), self.activation, size=self.kernel, key=next(keys), dtype=dtype)
            layers.append(conv)
            rows, columns = -(-rows // 2), -(-columns // 2)
        pooled = math.prod(((colors, *self.channels)[-1], rows, columns))
        widths = (pooled, *self.hidden, outputs)
        activations = (*(self.activation,) * len(self.hidden), Identity())
        for n_in, n_out, activation in zip(widths, widths[1:], activations, strict=False):
            layers.append(Dense.create((n_in, n_out), activation, key=next(keys), dtype=dtype))
        return Network(layers, input_shape)


UNCERTAINTY = {"published": published_neuron_uncertainty, "corrected": neuron_uncertainty}


@dataclasses.dataclass(frozen=True)
class NeuronUncertaintyMLP(Architecture):
    """A dense network of sigmoids, the output included, initialized by neuron uncertainty for inputs that are uniform on
    [0, 1]; `variance` says whether by the published formula or the corrected one (Farias and Maziero 2018, section 3.2)."""

    hidden: tuple[int, ...] = (100,)
    bias: bool = False
    variance: Literal["published", "corrected"] = "published"

    def build(self, input_shape, outputs, *, key, dtype):
        initializer = UNCERTAINTY[self.variance]
        return mlp(
            (math.prod(input_shape), *self.hidden, outputs),
            (Sigmoid(), Sigmoid()),
            bias=self.bias,
            initializer=[initializer(inputs=UNIFORM_INPUTS)] + [initializer()] * len(self.hidden),
            key=key,
            dtype=dtype,
        )
