"""Penalties on the weights, whose gradients are added to those of any rule before the optimizer."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import check_not_negative
from ..networks.layers import Dense

Weight = Float[Array, "outputs inputs"]


class Penalty(eqx.Module):
    """A penalty on each weight matrix of the dense layers by itself."""

    @abc.abstractmethod
    def value(self, weight: Weight) -> Float[Array, ""]:
        """The penalty of one weight matrix."""

    @abc.abstractmethod
    def gradient(self, weight: Weight) -> Weight:
        """Its gradient."""


class OrthogonalityPenalty(Penalty):
    """`strength * sum_{i != j} (W W^T)_ij^2`, zero where the rows of `W` are orthogonal, whatever their norms (Ahmad, van
    Gerven and Ambrogioni 2020, equation 23).

    The paper prints `||W W^T (J - I)||^2`; the product with `J - I` is one of elements. (As a matrix product it would have
    its only zero at `W = 0`, since `J - I` is invertible.) Its gradient is `4 strength offdiag(W W^T) W`.
    """

    word: ClassVar[str] = "orthogonality"

    strength: float = 0.1

    def __check_init__(self):
        check_not_negative(self, "strength")

    def value(self, weight: Weight) -> Float[Array, ""]:
        return self.strength * jnp.sum(_off_diagonal(weight) ** 2)

    def gradient(self, weight: Weight) -> Weight:
        return 4 * self.strength * (_off_diagonal(weight) @ weight)


def _off_diagonal(weight: Weight) -> Float[Array, "outputs outputs"]:
    gram = weight @ weight.T
    return jnp.where(jnp.eye(len(gram), dtype=bool), 0, gram)


def penalized(penalty: Penalty | None, gradients: Any, trained: Any) -> Any:
    """`gradients`, in the structure of the trained parameters, with those of the penalty added."""
    if penalty is None:
        return gradients

    def add(gradient, layer):
        if not isinstance(layer, Dense):
            return gradient
        weight = gradient.weight + penalty.gradient(layer.weight)
        return eqx.tree_at(lambda dense: dense.weight, gradient, weight)

    return jax.tree.map(add, gradients, trained, is_leaf=lambda tree: isinstance(tree, Dense))
