"""Layers, networks, and the record of a forward pass.

    h_i = f_i(h_{i-1}) = s_i(a_i),    a_i = W_i h_{i-1} + b_i,    i = 1 .. L

Everything works on batches: the first axis of every activity is the sample.
"""

import abc
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..losses import Loss, Target
from .activations import Activation, Identity, Tanh
from .initializers import Initializer, xavier_normal

Activity = Float[Array, "batch ..."]


class Point(NamedTuple):
    """Where a layer was evaluated: input `x`, pre-activation `a` and output `h`, each with a leading batch axis."""

    x: Activity
    a: Activity
    h: Activity


class Layer(eqx.Module):
    """A layer that knows its pre-activation and how its output moves with its input, without cancellation.

    A plain callable pytree from a batch to a batch serves as a layer too; it is then its own pre-activation and moves
    by subtraction (see `evaluate` and `difference`).
    """

    @abc.abstractmethod
    def at(self, x: Activity) -> Point:
        """Evaluate the layer on a batch."""

    @abc.abstractmethod
    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        """`f(x + dx) - f(x)` at `point`; `dx` may carry further axes in front of the batch axis."""


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
        inputs: int,
        outputs: int,
        activation: Activation,
        *,
        bias: bool = True,
        initializer: Initializer | None = None,
        key: PRNGKeyArray,
        dtype: Any = None,
    ) -> "Dense":
        """A layer with random weights (Xavier normal unless an `initializer` is given) and zero bias."""
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


LayerLike = Layer | Callable[[Array], Array]


def evaluate(layer: LayerLike, x: Activity) -> Point:
    """Evaluate any layer on a batch; a layer that names no pre-activation is taken to be its own."""
    if isinstance(layer, Layer):
        return layer.at(x)
    h = layer(x)
    return Point(x, h, h)


def difference(layer: LayerLike, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
    """`f(x + dx) - f(x)` for any layer: the layer's own stable form, or subtraction for a plain callable."""
    if isinstance(layer, Layer):
        return layer.difference(point, dx)
    moved = point.x + dx
    flat = jnp.reshape(moved, (-1, *point.x.shape[1:]))
    return jnp.reshape(layer(flat), (*moved.shape[: moved.ndim - point.x.ndim + 1], *point.h.shape[1:])) - point.h


def _identity(v: Activity) -> Activity:
    return v


class Trace(NamedTuple):
    """A forward pass, or the activities at which a network with feedback has come to rest: where each layer was evaluated,
    and its reverse-mode derivative there.

    `points[i - 1]` belongs to layer `i`; `pullbacks[i - 1]` maps a cotangent of `f_i(h_{i-1})` to those of the layer's
    parameters and of `h_{i-1}`. `curvature` maps `v` to `H_L v`, both of shape `(batch, n_L)`, with `H_L` the Hessian of the
    output loss at `h_L`; it is the identity, the curvature of the squared error, until a loss is named by `with_loss`.
    """

    points: tuple[Point, ...]
    pullbacks: tuple[Callable[[Array], tuple[Any, Array]], ...]
    curvature: Callable[[Activity], Activity] = jax.tree_util.Partial(_identity)

    def with_loss(self, loss: Loss, target: Target) -> "Trace":
        """The same pass under an output loss, whose curvature at `h_L` it then has. Nothing is computed until it is used."""
        return self._replace(curvature=eqx.Partial(loss.hessian_product, self.output, target))

    @property
    def h(self) -> tuple[Activity, ...]:
        """The activities `h_0 .. h_L`. In a forward pass `h_i` is what layer `i` gives, at rest it need not be."""
        return (*(point.x for point in self.points), self.output)

    @property
    def output(self) -> Activity:
        """`h_L`, what the output layer gives."""
        return self.points[-1].h


class Network(eqx.Module):
    """A feed-forward network `f_L ∘ .. ∘ f_1`.

    **Arguments:** `layers`, the maps `f_1 .. f_L`; `input_shape`, the shape of one input (without the batch axis).
    Raises `ValueError` naming the layer where the shapes do not fit.
    """

    layers: tuple[LayerLike, ...]
    input_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, layers: Sequence[LayerLike], input_shape: int | tuple[int, ...]):
        self.layers = tuple(layers)
        self.input_shape = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)

    def __check_init__(self):
        if not self.layers:
            raise ValueError("A network needs at least one layer.")
        shape = self.input_shape
        for i, layer in enumerate(self.layers, start=1):
            if isinstance(layer, Dense) and layer.weight.shape[1] != math.prod(shape):
                raise ValueError(
                    f"Layer {i} takes {layer.weight.shape[1]} inputs but layer {i - 1} gives activities of shape {shape}: "
                    f"make the weight of layer {i} of shape ({layer.weight.shape[0]}, {math.prod(shape)})."
                )
            try:
                shape = _output_shape(layer, shape)
            except (TypeError, ValueError) as error:
                kind = type(layer).__name__
                raise ValueError(
                    f"Layer {i}, a {kind}, does not take the activities of shape {shape} that layer {i - 1} gives: {error}"
                ) from error

    def __call__(self, x: Activity) -> Activity:
        """The output `h_L` for a batch of inputs."""
        for layer in self.layers:
            x = evaluate(layer, x).h
        return x

    def trace(self, x: Activity) -> Trace:
        """Run a batch forward and keep what the rules need. Raises `ValueError` for inputs of the wrong shape."""
        if x.shape[1:] != self.input_shape:
            raise ValueError(
                f"The network takes inputs of shape {self.input_shape} but the batch holds {x.shape[1:]}: "
                f"pass an array of shape (batch, {', '.join(map(str, self.input_shape))})."
            )
        points, pullbacks = [], []
        for layer in self.layers:
            point, pullback = _linearize(layer, x)
            points.append(point)
            pullbacks.append(pullback)
            x = point.h
        return Trace(tuple(points), tuple(pullbacks))

    def trace_at(self, activities: Sequence[Activity]) -> Trace:
        """Each layer by itself, at the activities `h_0 .. h_{L-1}` of the layers below."""
        points, pullbacks = zip(*map(_linearize, self.layers, activities), strict=True)
        return Trace(points, pullbacks)

    @property
    def depth(self) -> int:
        """The number of layers `L`."""
        return len(self.layers)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of one sample's activities `h_0 .. h_L`."""
        shapes = [self.input_shape]
        for layer in self.layers:
            shapes.append(_output_shape(layer, shapes[-1]))
        return tuple(shapes)

    @property
    def dtype(self) -> jnp.dtype:
        """The floating-point type of the parameters."""
        return _dtype(self)


def _output_shape(layer: LayerLike, shape: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(layer, Dense):
        return layer.weight.shape[:1]
    x = jax.ShapeDtypeStruct((1, *shape), _dtype(layer))
    return eqx.filter_eval_shape(lambda layer, x: evaluate(layer, x).h, layer, x).shape[1:]


def _dtype(tree: Any) -> jnp.dtype:
    leaves = jax.tree.leaves(parameters(tree))
    return jnp.result_type(*leaves) if leaves else jnp.result_type(float)


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


def _linearize(layer: LayerLike, x: Activity) -> tuple[Point, Callable[[Array], tuple[Any, Array]]]:
    trainable, rest = split_parameters(layer)

    def forward(trainable, x):
        point = evaluate(eqx.combine(trainable, rest), x)
        return point.h, point

    _, pullback, point = jax.vjp(forward, trainable, x, has_aux=True)
    return point, pullback


def mlp(
    sizes: Sequence[int],
    activation: Activation | None = None,
    *,
    output_activation: Activation | None = None,
    bias: bool = True,
    initializer: Initializer | Sequence[Initializer] | None = None,
    key: PRNGKeyArray,
    dtype: Any = None,
) -> Network:
    """A dense network of the given `sizes` (`n_0, n_1, .., n_L`).

    Hidden layers are tanh and the output is linear unless told otherwise; weights are Xavier normal unless there is another
    `initializer`, or a sequence with one for each layer; biases are zero.
    """
    activation, output_activation = activation or Tanh(), output_activation or Identity()
    depth = len(sizes) - 1
    initializers = list(initializer) if isinstance(initializer, Sequence) else [initializer] * depth
    layers = [
        Dense.create(
            inputs,
            outputs,
            output_activation if i == depth else activation,
            bias=bias,
            initializer=own,
            key=jax.random.fold_in(key, i),
            dtype=dtype,
        )
        for i, ((inputs, outputs), own) in enumerate(zip(itertools.pairwise(sizes), initializers, strict=True), start=1)
    ]
    return Network(layers, sizes[0])
