"""Networks of convolutions."""

import dataclasses
import itertools
import math

import jax

from ..activations import Activation, Identity, Tanh
from ..convolution import ConvPool
from ..errors import ConfigError, check_positive
from ..network import Dense, Network
from ._base import Architecture


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
                "use an MLP, or another --dataset."
            )
        colours, rows, columns = input_shape
        keys = (jax.random.fold_in(key, i) for i in itertools.count(1))
        layers = []
        for c_in, c_out in itertools.pairwise((colours, *self.channels)):
            conv = ConvPool.create(c_in, c_out, self.activation, size=self.kernel, key=next(keys), dtype=dtype)
            layers.append(conv)
            rows, columns = -(-rows // 2), -(-columns // 2)
        pooled = math.prod(((colours, *self.channels)[-1], rows, columns))
        widths = (pooled, *self.hidden, outputs)
        activations = (*(self.activation,) * len(self.hidden), Identity())
        for n_in, n_out, activation in zip(widths, widths[1:], activations, strict=False):
            layers.append(Dense.create(n_in, n_out, activation, key=next(keys), dtype=dtype))
        return Network(layers, input_shape)
