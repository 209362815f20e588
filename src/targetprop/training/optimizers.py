"""Optimizers as trees of numbers, so a new learning rate needs no new compilation."""

import abc
import dataclasses
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.tree_util import SequenceKey

from .._array_checks import CheckedModule
from .._checks import check_given, check_is
from ..errors import ConfigError, check_fraction, check_not_negative, check_positive
from .rates import ConstantRate, RateSchedule


class Optimizer(CheckedModule):
    """Turns gradients into steps of the parameters. Its numbers may be traced arrays."""

    @abc.abstractmethod
    def transform(self) -> optax.GradientTransformation:
        """The Optax transformation with the present numbers."""

    @abc.abstractmethod
    def over(self, steps: int) -> "Optimizer":
        """The optimizer for a training of `steps` steps, the length of its schedules."""


class Descent(Optimizer):
    """Gradient descent along a direction, with what all such optimizers can do.

    A subclass gives the direction, and the default of the learning rate.
    """

    learning_rate: eqx.AbstractVar[Any]
    schedule: RateSchedule = eqx.field(kw_only=True, default=ConstantRate())
    """Course of the learning rate over the training."""
    warmup: float | None = eqx.field(kw_only=True, default=None)
    """Share of the steps in which the learning rate first rises linearly from 0.
    Default: no warm-up."""
    steps: int | None = eqx.field(kw_only=True, static=True, default=None)
    """Number of steps of schedule and warm-up. Default: all steps of the run."""
    clip: float | None = eqx.field(kw_only=True, default=None)
    """Largest norm of all gradients together. Longer ones are scaled down.
    Default: no limit."""
    weight_decay: float | None = eqx.field(kw_only=True, default=None)
    """Strength of the weight decay. Default: no decay."""

    kind: ClassVar[str]
    decoupled: ClassVar[bool] = False
    """Whether the weight decay is added to the direction, or else to the gradient."""

    def __check_init__(self):
        check_not_negative(self, "learning_rate", "weight_decay")
        check_fraction(self, "warmup")
        check_positive(self, "steps", "clip")

    @abc.abstractmethod
    def direction(self) -> optax.GradientTransformation:
        """The transformation from gradients to directions. The step is the negative direction."""

    def transform(self) -> optax.GradientTransformation:
        clip = [] if self.clip is None else [optax.clip_by_global_norm(self.clip)]
        decay = [] if self.weight_decay is None else [optax.add_decayed_weights(self.weight_decay)]
        before, after = ([], decay) if self.decoupled else (decay, [])
        return optax.chain(*clip, *before, self.direction(), *after, self._rate())

    def over(self, steps: int) -> Self:
        return self if self.steps is not None else dataclasses.replace(self, steps=steps)

    def _rate(self) -> optax.GradientTransformation:
        if isinstance(self.schedule, ConstantRate) and self.warmup is None:
            return optax.scale_by_learning_rate(self.learning_rate)
        steps = self.steps
        if steps is None:
            raise ConfigError("A schedule of the learning rate needs its length: give the optimizer its `steps`.")
        warm = 0.0 if self.warmup is None else self.warmup * steps

        def rate(count):
            done = jnp.clip((count - warm) / (steps - warm), 0, 1)
            rising = 1.0 if self.warmup is None else jnp.where(count < warm, count / warm, 1.0)
            return -self.learning_rate * (rising * self.schedule.factor(done))

        return optax.scale_by_schedule(rate)


class Adam(Descent):
    """Adam (Kingma and Ba 2014) with bias correction.

    With weight decay it is AdamW (Loshchilov and Hutter 2019).
    """

    learning_rate: float = 1e-3
    """Size of the steps."""
    b1: float = 0.9
    """Decay of the mean of the gradients."""
    b2: float = 0.999
    """Decay of the mean of their squares."""
    eps: float = 1e-8
    """What is added to the root of the mean square."""

    kind: ClassVar[str] = "adam"
    decoupled: ClassVar[bool] = True

    def __check_init__(self):
        check_not_negative(self, "eps")
        check_fraction(self, "b1", "b2")

    def direction(self):
        return optax.scale_by_adam(self.b1, self.b2, self.eps)


class AdamWithoutBiasCorrection(Descent):
    """Adam without bias correction.

    As in the published code of Ahmad, van Gerven and Ambrogioni (2020). The averages start at zero
    and are used directly. So step `t` is `(1 - b1^t) / sqrt(1 - b2^t)` times that of Adam.
    """

    learning_rate: float = 1e-3
    """Size of the steps."""
    b1: float = 0.9
    """Decay of the mean of the gradients."""
    b2: float = 0.99
    """Decay of the mean of their squares."""
    eps: float = 1e-8
    """What is added to the root of the mean square."""

    kind: ClassVar[str] = "adam-without-bias-correction"
    decoupled: ClassVar[bool] = True

    def __check_init__(self):
        check_not_negative(self, "eps")
        check_fraction(self, "b1", "b2")

    def direction(self):
        def init(params):
            zeros = optax.tree.zeros_like(params)
            return zeros, zeros

        def update(updates, state, params=None):
            mean = optax.tree.update_moment(updates, state[0], self.b1, 1)
            square = optax.tree.update_moment(updates, state[1], self.b2, 2)
            return jax.tree.map(lambda m, v: m / (self.eps + jnp.sqrt(v)), mean, square), (mean, square)

        return optax.GradientTransformation(init, update)


class SGD(Descent):
    """Stochastic gradient descent with momentum.

    Weight decay is added to the gradient, before the momentum.
    """

    learning_rate: float = 1e-2
    """Size of the steps."""
    momentum: float = 0.0
    """Share of the last direction that is kept."""
    nesterov: bool = eqx.field(static=True, default=False)
    """Whether the gradient counts once more (Nesterov's momentum)."""

    kind: ClassVar[str] = "sgd"

    def __check_init__(self):
        check_fraction(self, "momentum")

    def direction(self):
        return optax.trace(self.momentum, self.nesterov)


class RMSProp(Descent):
    """RMSProp (Tieleman and Hinton 2012): the gradient over the root of its mean square."""

    learning_rate: float = 1e-3
    """Size of the steps."""
    decay: float = 0.9
    """Decay of the mean of the squares of the gradients."""
    eps: float = 1e-8
    """What is added to the mean square, below the root."""

    kind: ClassVar[str] = "rmsprop"

    def __check_init__(self):
        check_not_negative(self, "eps")
        check_fraction(self, "decay")

    def direction(self):
        return optax.scale_by_rms(self.decay, self.eps)


KINDS: dict[str, type[Any]] = {one.kind: one for one in (Adam, AdamWithoutBiasCorrection, SGD, RMSProp)}


class PerLayer(Optimizer):
    """One optimizer for each layer of a network, or for each mapping of its feedback, in order.

    `transform().init` raises `ConfigError` if a layer has no optimizer.
    """

    optimizers: tuple[Optimizer, ...]

    def __check_init__(self):
        check_given(self, "optimizers")

    def transform(self) -> optax.GradientTransformation:
        transforms: dict[Hashable, optax.GradientTransformation] = {
            layer: optimizer.transform() for layer, optimizer in enumerate(self.optimizers)
        }
        return optax.partition(transforms, self._layers)

    def over(self, steps: int) -> "PerLayer":
        return PerLayer(tuple(optimizer.over(steps) for optimizer in self.optimizers))

    def _layers(self, parameters: Any) -> Any:
        """The layer of each parameter, from 0: its position in the tuple of layers or mappings."""

        def layer(path, leaf):
            index = next(key.idx for key in path if isinstance(key, SequenceKey))
            if index >= len(self.optimizers):
                raise ConfigError(f"There is no optimizer for layer {index + 1}: give one for each layer.")
            return index

        return jax.tree_util.tree_map_with_path(layer, parameters)


class OptaxOptimizer(Optimizer):
    """Any transformation of Optax.

    If it was made by `optax.inject_hyperparams`, its numbers are fields, for example
    `optimizer.numbers.learning_rate`, that a search can vary. The numbers of other transformations
    are fixed.

    **Arguments:**

    - `transformation`: the transformation.
    - `numbers`: the numbers of `optax.inject_hyperparams`. Default: those that the transformation
      was made with.
    """

    transformation: optax.GradientTransformation = eqx.field(static=True)
    numbers: dict[str, Any]

    def __init__(self, transformation: optax.GradientTransformation, numbers: dict[str, Any] | None = None):
        check_is("transformation", transformation, optax.GradientTransformation)
        if numbers is not None:
            check_is("numbers", numbers, Mapping)
        self.transformation = transformation
        self.numbers = _injected(transformation) if numbers is None else numbers

    def transform(self) -> optax.GradientTransformation:
        if not self.numbers:
            return self.transformation

        def init(params):
            state = self.transformation.init(params)
            kept: Any = state
            numbers = {name: jnp.asarray(self.numbers[name], old.dtype) for name, old in kept.hyperparams.items()}
            return kept._replace(hyperparams=numbers)

        return optax.GradientTransformation(init, self.transformation.update)

    def over(self, steps: int) -> "OptaxOptimizer":
        return self


def _injected(transformation: optax.GradientTransformation) -> dict[str, Any]:
    """The numbers that `optax.inject_hyperparams` keeps in the state. Empty without it."""
    try:
        state = transformation.init(jnp.zeros(()))
    except (TypeError, ValueError, AttributeError, IndexError, KeyError):
        return {}  # it takes only parameters of a certain structure
    return {name: float(value) for name, value in getattr(state, "hyperparams", {}).items() if jnp.ndim(value) == 0}


def as_optimizer(optimizer: Any, field: str) -> Optimizer:
    """An optimizer. A transformation of Optax becomes an `OptaxOptimizer`.

    **Raises:** `TypeError` for anything else, with the name of the field.
    """
    if isinstance(optimizer, optax.GradientTransformation):
        return OptaxOptimizer(optimizer)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"`{field}` is {optimizer!r}: give an optimizer, such as Adam(1e-3), or an Optax transformation.")
    return optimizer
