"""Losses `l(h_L, target)` and scores of the output, per sample.

The output error `e_L = dl/dh_L` is never divided by the batch size. The average over the minibatch
is taken once, in `updates`. Targets are integer labels of shape `(batch,)` or real vectors of
shape `(batch, n_L)`.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from ._array_checks import CheckedModule
from ._checks import check_array, check_is
from .errors import ConfigError

Output = Float[Array, "batch n_L"]
Target = Int[Array, " batch"] | Float[Array, "batch n_L"]


class Loss(CheckedModule):
    """A loss of the output: value, output error, Hessian-vector product and prediction.

    A loss declares which targets `check_target` accepts:

    - `takes_labels`: whole numbers are labels, from 0 to the number of outputs - 1. Otherwise they
      are not checked.
    - `takes_vectors`: real numbers are accepted.
    """

    takes_labels: ClassVar[bool] = False
    takes_vectors: ClassVar[bool] = True

    @abc.abstractmethod
    def value(self, h: Output, target: Target) -> Float[Array, " batch"]:
        """The loss of each sample."""

    @abc.abstractmethod
    def error(self, h: Output, target: Target) -> Output:
        """The output error `e_L = dl/dh_L` of each sample."""

    @abc.abstractmethod
    def hessian_product(self, h: Output, target: Target, v: Output) -> Output:
        """`H_L v` with `H_L = d^2 l / dh_L^2`, per sample."""

    @abc.abstractmethod
    def prediction(self, h: Output) -> Array:
        """The prediction: class labels `(batch,)`, or for regression the output itself."""


class SquaredError(Loss):
    """`l = 1/2 ||h_L - target||^2`, so `e_L = h_L - target`.

    Integer labels become one-hot vectors.
    """

    word: ClassVar[str] = "squared-error"
    takes_labels: ClassVar[bool] = True

    def _target(self, h: Output, target: Target) -> Output:
        if jnp.issubdtype(target.dtype, jnp.integer):
            return jax.nn.one_hot(target, h.shape[-1], dtype=h.dtype)
        if target.shape != h.shape:
            raise ConfigError(
                f"The `target` has the shape {target.shape}, and the outputs have {h.shape}: give them one shape."
            )
        return target

    def value(self, h: Output, target: Target) -> Float[Array, " batch"]:
        return jnp.sum((h - self._target(h, target)) ** 2, axis=-1) / 2

    def error(self, h: Output, target: Target) -> Output:
        return h - self._target(h, target)

    def hessian_product(self, h: Output, target: Target, v: Output) -> Output:
        return v

    def prediction(self, h: Output) -> Array:
        return h


class SoftmaxCrossEntropy(Loss):
    """Softmax and cross-entropy as one loss on a linear output.

    Meulemans et al. 2020, supplement B.1, equation 161. The output error is
    `e_L = softmax(h_L) - onehot(label)`. The loss and the error of the true class are computed
    from the probabilities of the *other* classes. So both keep their relative precision when the
    network is nearly certain.
    """

    word: ClassVar[str] = "cross-entropy"
    takes_labels: ClassVar[bool] = True
    takes_vectors: ClassVar[bool] = False

    def value(self, h: Output, target: Target) -> Float[Array, " batch"]:
        true = jnp.take_along_axis(h, target[:, None], axis=-1)
        others = jnp.where(self._is_true(h, target), -jnp.inf, h - true)
        return jax.nn.softplus(jax.nn.logsumexp(others, axis=-1))

    def error(self, h: Output, target: Target) -> Output:
        is_true = self._is_true(h, target)
        others = jnp.where(is_true, 0, jax.nn.softmax(h, axis=-1))
        return jnp.where(is_true, -jnp.sum(others, axis=-1, keepdims=True), others)

    def hessian_product(self, h: Output, target: Target, v: Output) -> Output:
        p = jax.nn.softmax(h, axis=-1)
        likeliest = jnp.argmax(h, axis=-1)[:, None]
        # H_L maps a constant vector to zero.
        from_likeliest = v - jnp.take_along_axis(v, likeliest, axis=-1)
        return p * (from_likeliest - jnp.sum(p * from_likeliest, axis=-1, keepdims=True))

    def prediction(self, h: Output) -> Array:
        return jnp.argmax(h, axis=-1)

    def _is_true(self, h: Output, target: Target) -> Array:
        return jnp.arange(h.shape[-1]) == target[:, None]


class LossFunction(Loss):
    """A loss given by a function, such as `optax.losses.huber_loss` summed over the outputs.

    Output error and Hessian-vector product are its derivatives.

    **Arguments:**

    - `function`: from outputs `(batch, n_L)` and targets to the loss of each sample, `(batch,)`.
    """

    function: Callable[[Array, Array], Array] = eqx.field(static=True)

    def value(self, h: Output, target: Target) -> Float[Array, " batch"]:
        values = self.function(h, target)
        if jnp.shape(values) != h.shape[:1]:
            raise ConfigError(
                f"The loss function gives an array of shape {jnp.shape(values)} for {h.shape[0]} samples: "
                "return the loss of each sample, without a mean over them."
            )
        return values

    def error(self, h: Output, target: Target) -> Output:
        return jax.grad(lambda h: jnp.sum(self.value(h, target)))(h)

    def hessian_product(self, h: Output, target: Target, v: Output) -> Output:
        return jax.jvp(lambda h: self.error(h, target), (h,), (v,))[1]

    def prediction(self, h: Output) -> Array:
        return h


class Score(CheckedModule):
    """A score of the outputs on a data set: one number per sample, lower is better.

    The mean over the samples is reported.
    """

    @property
    @abc.abstractmethod
    def unit(self) -> str:
        """The unit of the score."""

    @abc.abstractmethod
    def __call__(self, h: Output, target: Target) -> Float[Array, " batch"]:
        """The score of each sample, in `unit`."""


class ErrorRate(Score):
    """Misclassified samples, in percent."""

    @property
    def unit(self) -> str:
        return "%"

    def __call__(self, h: Output, target: Target) -> Float[Array, " batch"]:
        return 100.0 * (jnp.argmax(h, axis=-1) != target).astype(h.dtype)


class MeanSquaredError(Score):
    """Squared distance to the target, averaged over the outputs."""

    @property
    def unit(self) -> str:
        return "MSE"

    def __call__(self, h: Output, target: Target) -> Float[Array, " batch"]:
        return jnp.mean((h - target) ** 2, axis=-1)


class LossOnFirstUnits(Loss):
    """A loss on the first `outputs` units of the output layer.

    The other output units are auxiliary, and their error is zero (Ahmad, van Gerven and Ambrogioni
    2020, section 6).
    """

    loss: Loss
    outputs: int = eqx.field(static=True)

    def value(self, h: Output, target: Target) -> Float[Array, " batch"]:
        return self.loss.value(h[:, : self.outputs], target)

    def error(self, h: Output, target: Target) -> Output:
        return _widened(self.loss.error(h[:, : self.outputs], target), h)

    def hessian_product(self, h: Output, target: Target, v: Output) -> Output:
        return _widened(self.loss.hessian_product(h[:, : self.outputs], target, v[:, : self.outputs]), h)

    def prediction(self, h: Output) -> Array:
        return self.loss.prediction(h[:, : self.outputs])


class ScoreOnFirstUnits(Score):
    """A score of the first `outputs` units of the output layer, in the unit of `score`."""

    score: Score
    outputs: int = eqx.field(static=True)

    @property
    def unit(self) -> str:
        """The unit of `score`."""
        return self.score.unit

    def __call__(self, h: Output, target: Target) -> Float[Array, " batch"]:
        return self.score(h[:, : self.outputs], target)


def _is_far(target: Any) -> bool:
    """Whether reading the values of an array would make the host wait for an accelerator."""
    return isinstance(target, jax.Array) and any(device.platform != "cpu" for device in target.devices())


def check_target(loss: Loss, h: Output, target: Any) -> None:
    """Check that a loss can use the targets of some outputs.

    Shapes and types are always checked. The values of labels are checked where they are known, not
    inside a compiled program, and not on an accelerator, which would have to wait.

    **Arguments:**

    - `loss`: the loss.
    - `h`: the outputs.
    - `target`: their targets.

    **Raises:** `ConfigError` if the targets are no labels, but the loss needs labels, or if a label
    is not the number of an output. `TypeError` if the loss is none, or the targets are no array.
    """
    check_is("loss", loss, Loss, "give an object such as tp.SoftmaxCrossEntropy()")
    check_array("target", target)
    outputs = h.shape[-1]
    while isinstance(loss, LossOnFirstUnits):
        loss, outputs = loss.loss, loss.outputs
    kind = f"{jnp.result_type(target)} {jnp.shape(target)}"
    if not jnp.issubdtype(jnp.result_type(target), jnp.integer):
        if not loss.takes_vectors:
            raise ConfigError(
                f"{type(loss).__name__} needs labels, one whole number for each sample, but the targets are {kind}: "
                "if they are one-hot, give jnp.argmax(y, axis=-1); for real targets use SquaredError."
            )
        return
    if not loss.takes_labels:
        return
    if jnp.ndim(target) != 1:
        raise ConfigError(
            f"Whole numbers are labels, one for each sample, but the targets are {kind}: "
            "if they are one-hot, give jnp.argmax(y, axis=-1)."
        )
    if isinstance(target, Tracer) or not len(target) or _is_far(target):
        return
    low, high = np.min(labels := np.asarray(target)), np.max(labels)
    if not 0 <= low <= high < outputs:
        raise ConfigError(
            f"The labels run from {low} to {high}, but the network has {outputs} outputs: "
            f"use labels from 0 to {outputs - 1}, or a wider output layer."
        )


def _widened(values: Float[Array, "batch outputs"], h: Output) -> Output:
    return jnp.pad(values, ((0, 0), (0, h.shape[1] - values.shape[1])))
