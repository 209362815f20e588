"""Schedules of the learning rate: its factor over the course of the training."""

import abc
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._array_checks import CheckedModule
from ..errors import check_fraction, check_not_negative, check_positive


class RateSchedule(CheckedModule):
    """The factor of the learning rate during the training."""

    @abc.abstractmethod
    def factor(self, done: Float[Array, ""]) -> Float[Array, ""]:
        """The factor when a share `done` of the steps is done, from 0 to 1."""


class ConstantRate(RateSchedule):
    """The learning rate does not change."""

    word: ClassVar[str] = "constant"

    def factor(self, done):
        return jnp.ones_like(done)


class LinearDecay(RateSchedule):
    """The factor falls linearly from 1 to `final`."""

    word: ClassVar[str] = "linear"

    final: float = 0.0

    def __check_init__(self):
        check_not_negative(self, "final")

    def factor(self, done):
        return 1 - done + done * self.final


class CosineDecay(RateSchedule):
    """The factor falls from 1 to `final` as half a cosine (Loshchilov and Hutter 2017)."""

    word: ClassVar[str] = "cosine"

    final: float = 0.0

    def __check_init__(self):
        check_not_negative(self, "final")

    def factor(self, done):
        return self.final + (1 - self.final) * (1 + jnp.cos(jnp.pi * done)) / 2


class StepDecay(RateSchedule):
    """After each share `every` of the steps, the rate is multiplied by `drop`."""

    word: ClassVar[str] = "step"

    every: float = 1 / 3
    drop: float = 0.1

    def __check_init__(self):
        check_positive(self, "every")
        check_fraction(self, "drop")

    def factor(self, done):
        return self.drop ** jnp.floor(done / self.every)
