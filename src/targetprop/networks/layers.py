"""The layers of a network: the interface, dense layers, and which arrays are trained.

    h_i = f_i(h_{i-1}) = s_i(a_i),    a_i = W_i h_{i-1} + b_i,    i = 1 .. L

Everything works on batches: the first axis of every activity is the sample.
"""

import abc
import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._array_checks import check_key, check_parameter, floating_type
from .._checks import check_fields, check_sizes
from .activations import Activation
from .initializers import Initializer, xavier_normal

Activity = Float[Array, "batch ..."]


class Point(NamedTuple):
    """Where a layer was evaluated: input `x`, pre-activation `a` and output `h`.

    Each array has a leading batch axis.
    """

    x: Activity
    a: Activity
    h: Activity


class Statistics(NamedTuple):
    """The mean and the standard deviation of each unit over a minibatch, each of shape `(units,)`."""

    mean: Float[Array, " units"]
    deviation: Float[Array, " units"]


class Layer(eqx.Module):
    """A layer of a network: its pre-activation, and its differences without cancellation.

    `at` and `difference` are required. The other methods answer questions that only some rules
    ask. Each has a default for layers that have no answer. A plain callable pytree from a batch to
    a batch can also be used as a layer: `as_layer` gives it these defaults.
    """

    @abc.abstractmethod
    def at(self, x: Activity) -> Point:
        """Evaluate the layer on a batch."""

    @abc.abstractmethod
    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        """`f(x + dx) - f(x)` at `point`. `dx` may have further axes before the batch axis."""

    def nonlinearity(self) -> Activation | None:
        """The element-wise nonlinearity `s`, or `None` for a layer of another form."""
        return None

    def slope(self, point: Point) -> Float[Array, "batch ..."]:
        """The slopes `s'(a)` at `point`. Only for a layer with an element-wise nonlinearity."""
        nonlinearity = self.nonlinearity()
        assert nonlinearity is not None
        return nonlinearity.slope(point.a)

    def matrix(self) -> Float[Array, "outputs inputs"] | None:
        """The matrix `W` of `s(W x + b)`, or `None` for a layer of another form.

        It acts on the flattened input `x`.
        """
        return None

    def inverted_part(self) -> "Dense | None":
        """The dense layer that exact inverses invert in this layer, or `None` if there is none."""
        return None

    def inverted_input(self, x: Activity) -> Float[Array, "batch n"]:
        """The input of `inverted_part`, if `x` is the input of this layer. Default: `x`, flattened."""
        return x.reshape(x.shape[0], -1)

    def input_displacement(self, x: Activity, dz: Float[Array, "batch n"]) -> Activity:
        """The displacement of the input `x` that displaces the input of `inverted_part` by `dz`."""
        return dz.reshape(x.shape)

    def statistics(self, x: Activity) -> Statistics | None:
        """The statistics by which the layer normalizes its input `x`. `None` if it does not."""
        return None

    def has_bias(self) -> bool:
        """Whether the layer can add a constant to its pre-activation."""
        return True


class PlainLayer(Layer):
    """A callable from a batch to a batch, used as a layer.

    Its output is also its pre-activation. Its differences are computed by subtraction.
    """

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
    """A dense layer `f(x) = s(W x + b)`.

    An activity with several axes, such as an image, is flattened.

    **Arguments:**

    - `weight`: `W`, shape `(outputs, inputs)`.
    - `bias`: `b`, shape `(outputs,)`, or `None` for a layer without bias.
    - `activation`: `s`.
    """

    weight: Float[Array, "outputs inputs"]
    bias: Float[Array, " outputs"] | None
    activation: Activation

    def __check_init__(self):
        check_fields(self)
        check_parameter(self, "weight", (None, None))
        if hasattr(self.weight, "shape"):  # not in the structure of gradients that are left out
            check_parameter(self, "bias", self.weight.shape[:1])

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
        """A layer with random weights and zero bias.

        **Arguments:**

        - `sizes`: the numbers of inputs and outputs.
        - `activation`: the nonlinearity.
        - `bias`: whether the layer has a bias.
        - `initializer`: initial weights. Default: Xavier normal.
        - `key`: random key of the weights.
        - `dtype`: floating-point type. Default: the one of JAX.

        **Returns:** the layer.
        """
        inputs, outputs = check_sizes("sizes", sizes, least=2)
        check_key(key)
        dtype = floating_type(dtype)
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
    """`layer` if it is a `Layer`, otherwise the callable as a `PlainLayer`."""
    # The lambda avoids a warning: Equinox warns if a field holds a transformed function.
    return layer if isinstance(layer, Layer) else PlainLayer(lambda x: layer(x))


def evaluate(layer: LayerLike, x: Activity) -> Point:
    """Evaluate any layer on a batch. The output of a plain callable is also its pre-activation."""
    return as_layer(layer).at(x)


def difference(layer: LayerLike, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
    """`f(x + dx) - f(x)` for any layer. For a plain callable it is computed by subtraction."""
    return as_layer(layer).difference(point, dx)


class Fixed(eqx.Module):
    """A part of a network or of its feedback that is used but never trained."""

    value: Any


def _is_fixed(tree: Any) -> bool:
    return isinstance(tree, Fixed)


def parameters(tree: Any) -> Any:
    """The trainable part of a network or of its feedback.

    **Returns:** a pytree with the floating-point arrays outside `Fixed`, and `None` elsewhere.
    """
    return split_parameters(tree)[0]


def split_parameters(tree: Any) -> tuple[Any, Any]:
    """`parameters(tree)` and the rest of `tree`. `eqx.combine` joins them again."""
    return eqx.partition(tree, eqx.is_inexact_array, is_leaf=_is_fixed)


def warn_if_narrowed(tree: Any) -> None:
    """Warn, once in a process, if a tree holds float64 arrays of NumPy that become float32.

    JAX converts them without a word where its 64-bit types are not enabled.
    """
    leaves = (leaf.dtype for leaf in jax.tree.leaves(tree) if isinstance(leaf, np.ndarray))
    if any(dtype.kind == "f" and dtype != jax.dtypes.canonicalize_dtype(dtype) for dtype in leaves):
        _say_narrowed()


@functools.cache
def _say_narrowed() -> None:
    warnings.warn(
        "There are float64 arrays of NumPy among the weights, which are computed in float32: write "
        'with tp.precision("float64"): .. to compute in float64, or give float32 arrays.',
        stacklevel=3,
    )


def parameter_dtype(tree: Any) -> jnp.dtype:
    """The floating-point type of the parameters of a tree. Default: the one of JAX."""
    leaves = jax.tree.leaves(parameters(tree))
    return jnp.result_type(*leaves) if leaves else jnp.result_type(float)
