"""Optimisers as trees of numbers, so that a new learning rate never compiles a new program."""

import abc

import equinox as eqx
import optax


class Optimizer(eqx.Module):
    """What turns gradients into parameter steps. Its numeric fields may be arrays (traced)."""

    @abc.abstractmethod
    def transform(self) -> optax.GradientTransformation:
        """The Optax transformation with the present values."""


class Adam(Optimizer):
    """Adam (Kingma and Ba 2014) with bias correction."""

    learning_rate: float = 1e-3
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8

    def transform(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate, b1=self.b1, b2=self.b2, eps=self.eps)


class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    learning_rate: float = 1e-2
    momentum: float = 0.0

    def transform(self) -> optax.GradientTransformation:
        return optax.sgd(self.learning_rate, momentum=self.momentum)
