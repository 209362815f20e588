"""Layers: what a layer of a network answers, dense layers, and which of their numbers are trained.

    h_i = f_i(h_{i-1}) = s_i(a_i),    a_i = W_i h_{i-1} + b_i,    i = 1 .. L

Everything works on batches: the first axis of every activity is the sample.
"""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .activations import Activation
from .initializers import Initializer, xavier_normal

Activity = Float[Array, "batch ..."]


class Point(NamedTuple):
    """Where a layer was evaluated: input `x`, pre-activation `a` and output `h`, each with a leading batch axis."""

    x: Activity
    a: Activity
    h: Activity


class Layer(eqx.Module):
    """A layer that knows its pre-activation, and how its output moves with its input without cancellation.

    The other methods are questions that some rules ask. A layer that has no answer keeps the default. A plain callable
    pytree from a batch to a batch serves as a layer too: `as_layer` gives it the default answers.
    """

    @abc.abstractmethod
    def at(self, x: Activity) -> Point:
        """Evaluate the layer on a batch."""

    @abc.abstractmethod
    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        """`f(x + dx) - f(x)` at `point`; `dx` may carry further axes in front of the batch axis."""

    def nonlinearity(self) -> Activation | None:
        """The element-wise nonlinearity `s` that gives the output; `None` for a layer of another form."""
        return None

    def slope(self, point: Point) -> Float[Array, "batch ..."]:
        """The slopes `s'(a)` of the nonlinearity at `point`. Only for a layer that has one."""
        nonlinearity = self.nonlinearity()
        assert nonlinearity is not None
        return nonlinearity.slope(point.a)

    def matrix(self) -> Float[Array, "outputs inputs"] | None:
        """The matrix `W` of `s(W x + b)`, with `x` flattened; `None` for a layer of another form."""
        return None

    def inverted_part(self) -> "Dense | None":
        """The dense layer that targets pass on their way down through this layer; `None` if there is none."""
        return None

    def has_bias(self) -> bool:
        """Whether the layer can add a constant to its pre-activation."""
        return True


class PlainLayer(Layer):
    """A callable from a batch to a batch as a layer. It is its own pre-activation and moves by subtraction."""

    function: Callable[[Array], Array]

    def at(self, x: Activity) -> Point:
        h = self.function(x)
        return Point(x, h, h)

    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        moved = point.x + dx
        flat = jnp.reshape(moved, (-1, *point.x.shape[1:]))
        leading = moved.shape[: moved.ndim - point.x.ndim + 1]
        return jnp.reshape(self.function(flat), (*leading, *point.h.shape[1:])) - point.h


class Dense(Layer):
    """`f(x) = s(W x + b)` with `W` of shape `(outputs, inputs)`; `bias` is `None` for a layer without one.

    An activity with several axes, an image, is flattened first.
    """

    weight: Float[Array, "outputs inputs"]
    bias: Float[Array, " outputs"] | None
    activation: Activation

    @classmethod
    def create(
        cls,
        sizes: tuple[int, int],
        activation: Activation,
        *,
        bias: bool = True,
        initializer: Initializer | None = None,
        key: PRNGKeyArray,
        dtype: Any = None,
    ) -> "Dense":
        """A layer with random weights (Xavier normal by default) and zero bias. `sizes` are the widths of input and output."""
        inputs, outputs = sizes
        dtype = jnp.dtype(dtype or jnp.result_type(float))
        weight = (initializer or xavier_normal())(key, (outputs, inputs), dtype)
        return cls(weight, jnp.zeros(outputs, dtype) if bias else None, activation)

    def at(self, x: Activity) -> Point:
        a = x.reshape(x.shape[0], -1) @ self.weight.T
        if self.bias is not None:
            a = a + self.bias
        return Point(x, a, self.activation(a))

    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        leading = dx.shape[: dx.ndim - point.x.ndim + 1]
        return self.activation.difference(point.a, dx.reshape(*leading, -1) @ self.weight.T)

    def nonlinearity(self) -> Activation:
        return self.activation

    def matrix(self) -> Float[Array, "outputs inputs"]:
        return self.weight

    def inverted_part(self) -> "Dense":
        return self

    def has_bias(self) -> bool:
        return self.bias is not None


LayerLike = Layer | Callable[[Array], Array]


def as_layer(layer: LayerLike) -> Layer:
    """The layer itself, or a plain callable with the answers of a layer."""
    # the lambda, as Equinox warns of a field that holds a function made by a transformation
    return layer if isinstance(layer, Layer) else PlainLayer(lambda x: layer(x))


def evaluate(layer: LayerLike, x: Activity) -> Point:
    """Evaluate any layer on a batch. A plain callable is taken to be its own pre-activation."""
    return as_layer(layer).at(x)


def difference(layer: LayerLike, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
    """`f(x + dx) - f(x)` for any layer: the layer's own stable form, or subtraction for a plain callable."""
    return as_layer(layer).difference(point, dx)


class Fixed(eqx.Module):
    """A part of a network or of its feedback that takes part in the computation but is never trained."""

    value: Any


def _is_fixed(tree: Any) -> bool:
    return isinstance(tree, Fixed)


def parameters(tree: Any) -> Any:
    """The trainable part of a network or of its feedback: the floating-point arrays outside `Fixed`, `None` elsewhere."""
    return split_parameters(tree)[0]


def split_parameters(tree: Any) -> tuple[Any, Any]:
    """`parameters(tree)` and the rest of `tree`; `eqx.combine` puts them together again."""
    return eqx.partition(tree, eqx.is_inexact_array, is_leaf=_is_fixed)


def parameter_dtype(tree: Any) -> jnp.dtype:
    """The floating-point type of the parameters of a tree; the default type where it has none."""
    leaves = jax.tree.leaves(parameters(tree))
    return jnp.result_type(*leaves) if leaves else jnp.result_type(float)
