"""Optimizers as trees of numbers, so a new learning rate needs no new compilation."""

import abc
from collections.abc import Hashable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.tree_util import SequenceKey

from ..errors import ConfigError, check_fraction, check_not_negative, check_positive


class Optimizer(eqx.Module):
    """Turns gradients into steps of the parameters. Its numbers may be traced arrays."""

    @abc.abstractmethod
    def transform(self) -> optax.GradientTransformation:
        """The Optax transformation with the present numbers."""


class Adam(Optimizer):
    """Adam (Kingma and Ba 2014) with bias correction."""

    learning_rate: float = 1e-3
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8

    def __check_init__(self):
        check_not_negative(self, "learning_rate", "eps")
        check_fraction(self, "b1", "b2")

    def transform(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate, b1=self.b1, b2=self.b2, eps=self.eps)


class AdamWithoutBiasCorrection(Optimizer):
    """Adam without bias correction.

    As in the published code of Ahmad, van Gerven and Ambrogioni (2020). The averages start at zero
    and are used directly. So step `t` is `(1 - b1^t) / sqrt(1 - b2^t)` times that of Adam.
    """

    learning_rate: float = 1e-3
    b1: float = 0.9
    b2: float = 0.99
    eps: float = 1e-8

    def __check_init__(self):
        check_not_negative(self, "learning_rate", "eps")
        check_fraction(self, "b1", "b2")

    def transform(self) -> optax.GradientTransformation:
        def init(params):
            zeros = optax.tree.zeros_like(params)
            return zeros, zeros

        def update(updates, state, params=None):
            mean = optax.tree.update_moment(updates, state[0], self.b1, 1)
            square = optax.tree.update_moment(updates, state[1], self.b2, 2)
            steps = jax.tree.map(lambda m, v: -self.learning_rate * m / (self.eps + jnp.sqrt(v)), mean, square)
            return steps, (mean, square)

        return optax.GradientTransformation(init, update)


class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    learning_rate: float = 1e-2
    momentum: float = 0.0

    def __check_init__(self):
        check_not_negative(self, "learning_rate")
        check_fraction(self, "momentum")

    def transform(self) -> optax.GradientTransformation:
        return optax.sgd(self.learning_rate, momentum=self.momentum)


class DecayingSGD(Optimizer):
    """Gradient descent with a linearly decaying learning rate.

    It falls to `last` times its first value over `steps` steps, and then stays constant.
    """

    learning_rate: float = 1e-2
    last: float = 0.2
    steps: int = 1000

    def __check_init__(self):
        check_not_negative(self, "learning_rate", "last")
        check_positive(self, "steps")

    def transform(self) -> optax.GradientTransformation:
        def rate(count):
            done = jnp.minimum(count / self.steps, 1)
            return -self.learning_rate * (1 - done + done * self.last)

        return optax.scale_by_schedule(rate)


class PerLayer(Optimizer):
    """One optimizer for each layer of a network, or for each mapping of its feedback, in order.

    `transform().init` raises `ConfigError` if a layer has no optimizer.
    """

    optimizers: tuple[Optimizer, ...]

    def transform(self) -> optax.GradientTransformation:
        transforms: dict[Hashable, optax.GradientTransformation] = {
            layer: optimizer.transform() for layer, optimizer in enumerate(self.optimizers)
        }
        return optax.partition(transforms, self._layers)

    def _layers(self, parameters: Any) -> Any:
        """The layer of each parameter, from 0: its position in the tuple of layers or mappings."""

        def layer(path, leaf):
            index = next(key.idx for key in path if isinstance(key, SequenceKey))
            if index >= len(self.optimizers):
                raise ConfigError(f"There is no optimizer for layer {index + 1}: give one for each layer.")
            return index

        return jax.tree_util.tree_map_with_path(layer, parameters)
