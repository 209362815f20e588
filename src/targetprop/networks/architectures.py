"""Architectures build a network for a data set: dense, square, shrinking, normalized or convolutional."""

import abc
import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from .._checks import check_fields
from .._memory import check_memory
from ..errors import ConfigError, check_count
from .activations import Activation, Identity, LeakyReLU, Sigmoid, Tanh
from .convolution import ConvPool, check_odd
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
from .normalization import batch_normalized

INITIALIZERS = {
    "xavier-normal": xavier_normal,
    "xavier-uniform": xavier_uniform,
    "orthogonal": orthogonal,
    "rejected": rejected,
    "clipped": clipped,
}
InitializerName = Literal["xavier-normal", "xavier-uniform", "orthogonal", "rejected", "clipped"]


class Architecture(abc.ABC):
    """Builds a network for the shapes of a data set."""

    @abc.abstractmethod
    def build(self, input_shape: tuple[int, ...], outputs: int, *, key: PRNGKeyArray, dtype: Any) -> Network:
        """A new network with random weights.

        **Arguments:**

        - `input_shape`: the shape of one sample, without the batch axis.
        - `outputs`: the number of outputs.
        - `key`: random key of the weights.
        - `dtype`: floating-point type.

        **Returns:** the network.
        """


def build_network(
    architecture: Architecture | Network, input_shape: tuple[int, ...], outputs: int, *, key: PRNGKeyArray, dtype: Any
) -> Network:
    """The network of an architecture, or a given network as it is, with parameters of type `dtype`.

    The arguments are those of `Architecture.build`.

    **Raises:** `ConfigError` if a given network does not take such samples, or gives fewer outputs.
    """
    if isinstance(architecture, Architecture):
        return architecture.build(input_shape, outputs, key=key, dtype=dtype)
    takes, gives = architecture.input_shape, architecture.shapes[-1]
    shapes = {_sides(shape) for shape in (takes, input_shape)} - {(math.prod(input_shape),)}
    if math.prod(takes) != math.prod(input_shape) or len(shapes) > 1:
        raise ConfigError(f"The network takes samples of shape {takes}, but those of the data set are {input_shape}.")
    if len(gives) != 1 or gives[0] < outputs:
        raise ConfigError(f"The network gives outputs of shape {gives}, but the data set needs {(outputs,)}.")
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, architecture)


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of the axes of a sample that has more than one entry along them."""
    return tuple(size for size in shape if size != 1)


@dataclasses.dataclass(frozen=True)
class MLP(Architecture):
    """A dense network with a linear output. Images are flattened."""

    hidden: tuple[int, ...] = (64, 64, 64)
    """Widths of the hidden layers."""
    activation: Activation = Tanh()
    """Nonlinearity of the hidden layers."""
    bias: bool = True
    """Whether layers have biases."""
    initializer: InitializerName = "xavier-normal"
    """Initial weights."""

    def __post_init__(self):
        check_fields(self)
        check_count(self, "hidden")

    def build(self, input_shape, outputs, *, key, dtype):
        return _dense(mlp, self, (math.prod(input_shape), *self.hidden, outputs), key, dtype)


@dataclasses.dataclass(frozen=True)
class SquareMLP(Architecture):
    """A dense network whose layers all have the same width, the output layer too.

    The first output units carry the loss, and the others are auxiliary. The output layer uses the
    same activation as the hidden layers (Ahmad, van Gerven and Ambrogioni 2020, section 6).
    """

    depth: int = 4
    """Number of hidden layers."""
    activation: Activation = LeakyReLU(0.1)
    """Nonlinearity of all layers, the output layer too."""
    bias: bool = True
    """Whether layers have biases."""
    initializer: InitializerName = "orthogonal"
    """Initial weights."""
    width: int | None = None
    """Width of all layers. Default: the number of inputs."""

    def __post_init__(self):
        check_fields(self)
        check_count(self, "width")
        check_count(self, "depth", least=0)

    def build(self, input_shape, outputs, *, key, dtype):
        inputs = math.prod(input_shape)
        width = self.width or inputs
        check_memory(
            self.depth * width**2 * jnp.dtype(dtype).itemsize, f"A network of {self.depth} hidden layers of {width} units"
        )
        return _dense(invertible_mlp, self, (inputs, *[width] * (self.depth + 1)), key, dtype)


@dataclasses.dataclass(frozen=True)
class ShrinkingMLP(Architecture):
    """A dense network whose layers get narrower from layer to layer.

    From layer 2 on, each layer reads only as many units of the layer below as it has itself. The
    other units of the layer below are auxiliary. The output layer uses the same activation as the
    hidden layers (Ahmad, van Gerven and Ambrogioni 2020, equation 22). `build` raises
    `ConfigError` if a layer is wider than the one below. The output layer counts too.
    """

    hidden: tuple[int, ...] = (64, 48, 32)
    """Widths of the hidden layers. None may be wider than the one before."""
    activation: Activation = LeakyReLU(0.1)
    """Nonlinearity of all layers, the output layer too."""
    bias: bool = True
    """Whether layers have biases."""
    initializer: InitializerName = "orthogonal"
    """Initial weights."""

    def __post_init__(self):
        check_fields(self)
        check_count(self, "hidden")

    def build(self, input_shape, outputs, *, key, dtype):
        return _dense(invertible_mlp, self, (math.prod(input_shape), *self.hidden, outputs), key, dtype)


def _dense(
    create: Callable[..., Network],
    like: MLP | SquareMLP | ShrinkingMLP,
    sizes: tuple[int, ...],
    key: PRNGKeyArray,
    dtype: Any,
) -> Network:
    """The network of these widths that `create` makes with the options of `like`."""
    initializer = INITIALIZERS[like.initializer]()
    return create(sizes, like.activation, bias=like.bias, initializer=initializer, key=key, dtype=dtype)


@dataclasses.dataclass(frozen=True)
class CNN(Architecture):
    """Convolutions with max-pooling, then dense hidden layers and a linear output.

    The default is the small CNN of Meulemans et al. 2020, Table 3: Conv5x5x32, max-pool 3x3,
    Conv5x5x64, max-pool 3x3, FC512, FC10. Weights are Xavier normal, biases are zero. `build`
    raises `ConfigError` if the samples are not images.
    """

    channels: tuple[int, ...] = (32, 64)
    """Number of channels of each convolution."""
    hidden: tuple[int, ...] = (512,)
    """Widths of the dense hidden layers."""
    activation: Activation = Tanh()
    """Nonlinearity of the hidden layers."""
    kernel: int = 5
    """Side of the square kernels in pixels, odd."""

    def __post_init__(self):
        check_fields(self)
        check_count(self, "channels", "hidden", "kernel")
        check_odd("kernel", self.kernel)

    def build(self, input_shape, outputs, *, key, dtype):
        if len(input_shape) != 3:
            raise ConfigError(
                "A CNN needs images of shape (channels, rows, columns), "
                f"not samples of shape {tuple(input_shape)}: use an MLP, or another `dataset`."
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


@dataclasses.dataclass(frozen=True)
class Normalized(Architecture):
    """A dense network each of whose layers normalizes its input over the minibatch.

    There is no learned scale or shift (Meulemans 2019, Algorithms A.1 and A.3, "batch
    normalization"). `build` raises `ConfigError` if a layer is not dense.
    """

    architecture: Architecture = MLP()
    """The network without normalization."""

    def build(self, input_shape, outputs, *, key, dtype):
        return batch_normalized(self.architecture.build(input_shape, outputs, key=key, dtype=dtype))


UNCERTAINTY = {"published": published_neuron_uncertainty, "corrected": neuron_uncertainty}


@dataclasses.dataclass(frozen=True)
class NeuronUncertaintyMLP(Architecture):
    """A dense network of sigmoids, initialized by neuron uncertainty.

    The output layer is a sigmoid too. The inputs are assumed to be uniform on [0, 1] (Farias and
    Maziero 2018, section 3.2).

    **Arguments:**

    - `hidden`: widths of the hidden layers.
    - `bias`: whether layers have biases.
    - `variance`: the variance of the weights, by the published formula or by the corrected one.
    """

    hidden: tuple[int, ...] = (100,)
    bias: bool = False
    variance: Literal["published", "corrected"] = "published"

    def __post_init__(self):
        check_fields(self)
        check_count(self, "hidden")

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
