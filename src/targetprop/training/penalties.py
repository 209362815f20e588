"""Penalties on the weights. Their gradients are added to the gradients of the rule."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._array_checks import CheckedModule
from ..errors import check_not_negative
from ..networks.layers import Dense

Weight = Float[Array, "outputs inputs"]


class Penalty(CheckedModule):
    """A penalty on the weight matrix of each dense layer."""

    @abc.abstractmethod
    def value(self, weight: Weight) -> Float[Array, ""]:
        """The penalty of one weight matrix."""

    @abc.abstractmethod
    def gradient(self, weight: Weight) -> Weight:
        """Its gradient."""


class OrthogonalityPenalty(Penalty):
    """`strength * sum_{i != j} (W W^T)_ij^2`, which is zero if the rows of `W` are orthogonal.

    Their norms do not matter (Ahmad, van Gerven and Ambrogioni 2020, equation 23). The paper
    prints `||W W^T (J - I)||^2`. This product is element-wise. (A matrix product would be zero
    only for `W = 0`, since `J - I` is invertible.) The gradient is `4 strength offdiag(W W^T) W`.
    The published code penalizes the columns: `ColumnOrthogonalityPenalty`.
    """

    word: ClassVar[str] = "orthogonality"

    strength: float = 0.1

    def __check_init__(self):
        check_not_negative(self, "strength")

    def value(self, weight: Weight) -> Float[Array, ""]:
        return self.strength * jnp.sum(_off_diagonal(weight) ** 2)

    def gradient(self, weight: Weight) -> Weight:
        return 4 * self.strength * (_off_diagonal(weight) @ weight)


class ColumnOrthogonalityPenalty(Penalty):
    """`strength * sum_{i != j} (W^T W)_ij^2`, which is zero if the columns of `W` are orthogonal.

    This is what the published code of Ahmad et al. 2020 computes. Their text and equation (23) have
    the rows, as in `OrthogonalityPenalty`. The gradient is `4 strength W offdiag(W^T W)`.
    """

    word: ClassVar[str] = "column-orthogonality"

    strength: float = 0.1

    def __check_init__(self):
        check_not_negative(self, "strength")

    def value(self, weight: Weight) -> Float[Array, ""]:
        return OrthogonalityPenalty(self.strength).value(weight.T)

    def gradient(self, weight: Weight) -> Weight:
        return OrthogonalityPenalty(self.strength).gradient(weight.T).T


def _off_diagonal(weight: Weight) -> Float[Array, "outputs outputs"]:
    gram = weight @ weight.T
    return jnp.where(jnp.eye(len(gram), dtype=bool), 0, gram)


def penalized(penalty: Penalty | None, gradients: Any, trained: Any) -> Any:
    """`gradients` plus the gradients of the penalty.

    **Arguments:**

    - `penalty`: the penalty, or `None`.
    - `gradients`: the gradients of the rule.
    - `trained`: the trained parameters, in the same structure.
    """
    if penalty is None:
        return gradients

    def add(gradient, layer):
        if not isinstance(layer, Dense):
            return gradient
        weight = gradient.weight + penalty.gradient(layer.weight)
        return eqx.tree_at(lambda dense: dense.weight, gradient, weight)

    return jax.tree.map(add, gradients, trained, is_leaf=lambda tree: isinstance(tree, Dense))
