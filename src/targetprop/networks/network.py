"""Networks, and the record of a forward pass."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from .._array_checks import check_key
from .._checks import check_array, check_is, check_sizes, shown, whole
from .._html import html_table
from .._promotion import usual_promotion
from ..errors import ConfigError
from .activations import Activation, Identity, Tanh
from .initializers import Initializer
from .layers import (
    Activity,
    Dense,
    Layer,
    LayerLike,
    Point,
    as_layer,
    evaluate,
    parameter_dtype,
    parameters,
    split_parameters,
    warn_if_narrowed,
)


class Trace(NamedTuple):
    """The record of a forward pass, or of the equilibrium of a network with feedback.

    **Arguments:**

    - `points`: where each layer was evaluated. `points[i - 1]` belongs to layer `i`.
    - `pullbacks`: the reverse-mode derivative of each layer there. `pullbacks[i - 1]` maps a
      cotangent of `f_i(h_{i-1})` to the cotangents of the parameters of the layer and of
      `h_{i-1}`.
    """

    points: tuple[Point, ...]
    pullbacks: tuple[Callable[[Array], tuple[Any, Array]], ...]

    @property
    def h(self) -> tuple[Activity, ...]:
        """The activities `h_0 .. h_L`.

        In a forward pass `h_i` is the output of layer `i`. At an equilibrium it need not be.
        """
        return (*(point.x for point in self.points), self.output)

    @property
    def output(self) -> Activity:
        """`h_L`, the output of the output layer."""
        return self.points[-1].h


class Network(eqx.Module):
    """A feed-forward network `f_L ∘ .. ∘ f_1`.

    **Arguments:**

    - `layers`: the maps `f_1 .. f_L`.
    - `input_shape`: the shape of one input, without the batch axis.

    **Raises:** `ConfigError` if the shapes do not fit, or if a layer is not mapped over the batch. The
    message names the layer. `TypeError` if something is no layer.
    """

    layers: tuple[LayerLike, ...]
    input_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, layers: Sequence[LayerLike], input_shape: int | tuple[int, ...]):
        if not isinstance(layers, Sequence):
            raise TypeError(f"`layers` is {shown(layers)}: give a list of layers.")
        self.layers = tuple(layers)
        self.input_shape = check_sizes("input_shape", (input_shape,) if whole(input_shape) is not None else input_shape, 0)

    def __check_init__(self):
        if not self.layers:
            raise ConfigError("A network needs `layers`: give at least one.")
        shape = self.input_shape
        for i, layer in enumerate(self.layers, start=1):
            if isinstance(layer, type) or (not callable(layer) and not isinstance(layer, Layer)):
                raise TypeError(f"Layer {i} in `layers` is {shown(layer)}: give a Layer, or a callable for a batch.")
            if isinstance(layer, Dense) and layer.weight.shape[1] != math.prod(shape):
                raise ConfigError(
                    f"Layer {i} takes {layer.weight.shape[1]} inputs but layer {i - 1} gives activities of shape {shape}: "
                    f"use a weight of shape ({layer.weight.shape[0]}, {math.prod(shape)}) in layer {i}."
                )
            try:
                shape = _output_shape(layer, shape)
            except (TypeError, ValueError) as error:
                kind = type(layer).__name__
                _check_mapped(layer, shape, f"Layer {i}, a {kind},")
                raise ConfigError(
                    f"Layer {i}, a {kind}, does not take the activities of shape {shape} that layer {i - 1} gives: {error}"
                ) from error

    @usual_promotion()
    def __call__(self, x: Activity) -> Activity:
        """The output `h_L` for a batch of inputs.

        **Raises:** as `trace`.
        """
        self._check_inputs(x)
        warn_if_narrowed(self)
        for layer in self.layers:
            x = evaluate(layer, x).h
        return x

    @usual_promotion()
    def trace(self, x: Activity) -> Trace:
        """A forward pass of a batch, with all that the rules need.

        **Raises:** `TypeError` if the inputs are no array. `ConfigError` if they have another shape
        than `input_shape`, or if there are none.
        """
        self._check_inputs(x)
        warn_if_narrowed(self)
        points, pullbacks = [], []
        for layer in self.layers:
            point, pullback = _linearize(layer, x)
            points.append(point)
            pullbacks.append(pullback)
            x = point.h
        return Trace(tuple(points), tuple(pullbacks))

    def _check_inputs(self, x: Any) -> None:
        check_array("inputs", x)
        if x.shape[1:] != self.input_shape or not x.shape:
            raise ConfigError(
                f"The network takes inputs of shape {self.input_shape} but the batch holds {x.shape[1:]}: "
                f"pass an array of shape (batch, {', '.join(map(str, self.input_shape))})."
            )

    @usual_promotion()
    def trace_at(self, activities: Sequence[Activity]) -> Trace:
        """The trace of layers that are each evaluated at a given input.

        **Arguments:**

        - `activities`: the inputs `h_0 .. h_{L-1}` of the layers.

        **Returns:** the trace.
        """
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
        return parameter_dtype(self)

    def __repr__(self) -> str:
        try:
            path = " -> ".join([_axes(self.input_shape), *(f"{shape} {kind}" for _, kind, shape, _ in self._rows())])
        except (AttributeError, TypeError, ValueError):  # a tree of this structure that holds something else
            return eqx.tree_pformat(self)
        return f"Network: {path}; {_size(self):,} parameters, {self.dtype}"

    def _repr_html_(self) -> str:
        return html_table(("layer", "kind", "output", "parameters"), self._rows(), repr(self))

    def _rows(self) -> list[tuple[str, str, str, str]]:
        """For each layer its number, its kind, the shape of its output, and its parameters."""
        pairs = zip(self.layers, self.shapes[1:], strict=True)
        return [(str(i), _kind(layer), _axes(shape), f"{_size(layer):,}") for i, (layer, shape) in enumerate(pairs, start=1)]


def _kind(layer: LayerLike) -> str:
    """A layer in words: its nonlinearity, after its class if it is not dense."""
    nonlinearity = as_layer(layer).nonlinearity()
    words = [] if isinstance(layer, Dense) else [type(layer).__name__]
    if nonlinearity is not None:
        words.append(getattr(nonlinearity, "word", type(nonlinearity).__name__))
    return " ".join(words)


def _axes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _size(tree: Any) -> int:
    """The number of trainable numbers."""
    return sum(leaf.size for leaf in jax.tree.leaves(parameters(tree)))


def _output_shape(layer: LayerLike, shape: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(layer, Dense):
        return layer.weight.shape[:1]
    samples = max(shape, default=0) + 1  # a number that is not the size of another axis
    x = jax.ShapeDtypeStruct((samples, *shape), parameter_dtype(layer))
    h = eqx.filter_eval_shape(lambda layer, x: evaluate(layer, x).h, layer, x)
    if h.shape[:1] != (samples,):
        raise ValueError(f"a batch of {samples} samples gives an array of shape {h.shape}")
    return h.shape[1:]


def _check_mapped(layer: LayerLike, shape: tuple[int, ...], what: str) -> None:
    """Check that a layer that does not take a batch does not take one sample either.

    **Raises:** `ConfigError` if it does. The message says how to map it over the batch.
    """
    if isinstance(layer, Layer):
        return
    try:
        eqx.filter_eval_shape(layer, jax.ShapeDtypeStruct(shape, parameter_dtype(layer)))
    except (TypeError, ValueError):
        return
    how = "tp.PerSample(layer)" if isinstance(layer, eqx.Module) else "jax.vmap(layer)"
    raise ConfigError(
        f"{what} takes one sample, not a batch: write {how}, "
        "or build the network with tp.from_equinox, which maps all layers over the batch."
    )


def _linearize(layer: LayerLike, x: Activity) -> tuple[Point, Callable[[Array], tuple[Any, Array]]]:
    trainable, rest = split_parameters(layer)

    def forward(trainable, x):
        point = evaluate(eqx.combine(trainable, rest), x)
        return point.h, point

    _, pullback, point = jax.vjp(forward, trainable, x, has_aux=True)
    return point, pullback


@usual_promotion()
def mlp(
    sizes: Sequence[int],
    activation: Activation | tuple[Activation, Activation] | None = None,
    *,
    bias: bool = True,
    initializer: Initializer | Sequence[Initializer] | None = None,
    key: PRNGKeyArray,
    dtype: Any = None,
) -> Network:
    """A dense network.

    **Arguments:**

    - `sizes`: the widths `n_0, n_1, .., n_L`.
    - `activation`: the nonlinearity of the hidden layers, with a linear output. Or a pair: for the
      hidden layers and for the output. Default: tanh.
    - `bias`: whether layers have biases, which start at zero.
    - `initializer`: initial weights, or a sequence with one initializer for each layer. Default:
      Xavier normal.
    - `key`: random key of the weights.
    - `dtype`: floating-point type. Default: the one of JAX.

    **Returns:** the network.

    **Raises:** `ConfigError` if sizes or initializers do not fit, `TypeError` if something is of
    another kind.
    """
    sizes = check_sizes("sizes", sizes, least=2)
    check_is("bias", bias, bool)
    check_key(key)
    for one in activation if isinstance(activation, tuple) and len(activation) == 2 else (activation,):
        check_is("activation", one, (Activation, type(None)), "give Tanh(), or a pair, for hidden layers and output")
    hidden, output = activation if isinstance(activation, tuple) else (activation or Tanh(), Identity())
    depth = len(sizes) - 1
    initializers = list(initializer) if isinstance(initializer, Sequence) else [initializer] * depth
    if len(initializers) != depth or not all(one is None or callable(one) for one in initializers):
        raise ConfigError(f"`initializer` is {shown(initializer)}: give a function, or one for each of {depth} layers.")
    layers = [
        Dense.create(
            (inputs, outputs),
            output if i == depth else hidden,
            bias=bias,
            initializer=own,
            key=jax.random.fold_in(key, i),
            dtype=dtype,
        )
        for i, ((inputs, outputs), own) in enumerate(zip(itertools.pairwise(sizes), initializers, strict=True), start=1)
    ]
    return Network(layers, sizes[0])
