"""Networks from the models of Equinox, and their weights back.

A model is taken apart into *parts*, each a callable for one sample, and the parts are grouped into
layers:

- **A layer is one part with parameters and all that follows it without parameters.** A part
  without parameters (an activation, pooling, a reshape) is no layer: nothing in it could learn
  from a target, and its own feedback mapping would be one more stage in which targets get lost.
- Parts that come before the first parameters belong to the first layer.
- **A flattening before a linear part belongs to the linear part.** `Dense` flattens its input. So
  the activity below keeps its shape, and the layer stays dense.
- `eqx.nn.PReLU`, and a learned activation of an `eqx.nn.MLP`, belong to the part before.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import check_is
from ..errors import ConfigError
from .activations import Activation, Identity
from .layers import Dense, Layer, parameter_dtype
from .network import Network
from .per_sample import PerSample
from .recognition import Sample, flattens, is_module, recognize

Model = TypeVar("Model")

NO_STATE = "A network here keeps no state between minibatches. Use eqx.nn.LayerNorm, eqx.nn.GroupNorm or eqx.nn.RMSNorm."
NO_CHANCE = (
    "A rule evaluates a layer several times and must find the same function each time. "
    "Use `eqx.nn.inference_mode(model)`, or leave Dropout out."
)


def from_equinox(model: Any, input_shape: int | tuple[int, ...] | None = None) -> Network:
    """A network with the layers and the weights of an Equinox model.

    The model is written for one sample, as usual in Equinox. The network maps it over batches:
    `network(x)` equals `jax.vmap(model)(x)`.

    - `eqx.nn.Linear` and the activation after it become one `Dense`. The functions of `jax.nn` for
      tanh, ReLU, leaky ReLU, sigmoid, softplus and the identity are known, also inside a lambda or
      `eqx.nn.Lambda`. They become activations with stable differences.
    - Any other module with parameters becomes one `PerSample`: a convolution, a normalization
      without running state, a residual block.
    - A part without parameters joins the layer before it. Parts before the first parameters join
      the first layer. Only a flattening before a linear part joins the layer after it. Alone they
      would be layers whose targets nothing can learn from.
    - An unknown function stays what it is. Its differences are computed by subtraction.
    - Sequences and MLPs within a sequence are taken apart too. To make several modules one layer,
      call them in a module of your own.

    **Arguments:**

    - `model`: an `eqx.nn.MLP`, an `eqx.nn.Sequential`, or a list or tuple of modules and
      functions.
    - `input_shape`: the shape of one sample. Default: that of the first part, if it is an
      `eqx.nn.Linear` or an MLP.

    **Returns:** the network. `to_equinox` gives its weights back as a model.

    **Raises:** `ConfigError` with the reason if the model is of another kind, if the shape of its
    input is unknown, or if a part does not fit: one that keeps a state (`eqx.nn.BatchNorm`),
    depends on chance (`eqx.nn.Dropout` in training mode), or takes a scalar
    (`eqx.nn.Linear("scalar", ..)`).
    """
    parts = _take_apart(model).parts
    if not any(map(_starts_layer, parts)):
        raise ConfigError("The model has no weights: give at least one module with parameters, such as eqx.nn.Linear.")
    for number, part in enumerate(parts, start=1):
        _check_part(number, part)
    shape = _input_shape(parts, input_shape)
    steps = _follow(parts, Sample(shape, parameter_dtype(parts)))
    return Network([_layer(group) for group in _groups(steps)], shape)


def to_equinox(network: Network, like: Model) -> Model:
    """The weights of a network in an Equinox model.

    **Arguments:**

    - `network`: a network with the layers that `from_equinox(like)` has, for example after
      training.
    - `like`: the model that gives the structure, and all that has no parameters.

    **Returns:** a model like `like` with the weights of the network.

    **Raises:** `ConfigError` if the network has other layers than `from_equinox(like)`. The
    message names the first one.
    """
    check_is("network", network, Network)
    _check_same_layers(network, from_equinox(like, network.input_shape))
    taken = _take_apart(like)
    trained = iter([part for layer in network.layers for part in _trained_parts(layer)])
    parts = [_with_weights(part, next(trained)) if _has_parameters(part) else part for part in taken.parts]
    return taken.rebuild(parts)


# --- the parts of a model -------------------------------------------------------------------------------------------


class PerUnit(eqx.Module):
    """An activation that an `eqx.nn.MLP` calls for each unit alone, with parameters of its own."""

    activation: Callable

    def __call__(self, x: jax.Array) -> jax.Array:
        """The activations of one sample."""
        return eqx.filter_vmap(lambda one, a: one(a))(self.activation, x)


class _Taken(NamedTuple):
    """The parts of a model, and the function that makes a model of other parts of this kind."""

    parts: tuple[Any, ...]
    rebuild: Callable[[Sequence[Any]], Any]


def _take_apart(model: Any) -> _Taken:
    if is_module(model, eqx.nn.MLP):
        return _take_mlp(model)
    if is_module(model, eqx.nn.Sequential):
        return _take_sequence(model.layers, lambda layers: eqx.tree_at(lambda m: m.layers, model, tuple(layers)))
    if type(model) in (list, tuple):
        return _take_sequence(model, type(model))
    raise ConfigError(
        f"from_equinox does not take {_name(model)} apart, since nothing says where its layers begin: "
        "give a list of its layers, for example tp.from_equinox([model.first, jax.nn.relu, model.second])."
    )


def _take_sequence(entries: Sequence[Any], join: Callable[[list[Any]], Any]) -> _Taken:
    inner = [_take_apart(entry) if _is_sequence(entry) else _Taken((entry,), lambda one: one[0]) for entry in entries]

    def rebuild(parts):
        rest = iter(parts)
        return join([taken.rebuild([next(rest) for _ in taken.parts]) for taken in inner])

    return _Taken(tuple(part for taken in inner for part in taken.parts), rebuild)


def _is_sequence(entry: Any) -> bool:
    return type(entry) in (list, tuple) or is_module(entry, eqx.nn.MLP, eqx.nn.Sequential)


def _take_mlp(mlp: eqx.nn.MLP) -> _Taken:
    """Linear layers and activations in turn. With depth 0, an MLP leaves its activation out."""
    if "scalar" in (mlp.in_size, mlp.out_size):
        raise ConfigError('An MLP with a "scalar" size has samples without axes: use the size 1.')
    if not mlp.depth:
        return _Taken(mlp.layers, lambda layers: eqx.tree_at(lambda m: m.layers, mlp, tuple(layers)))
    first, *between, last = mlp.layers
    hidden = [_entry(between[0], i) for i in range(mlp.depth - 1)] if mlp.scan else between
    activations = [_entry(mlp.activation, i) for i in range(mlp.depth)] + [mlp.final_activation]
    pairs = zip((first, *hidden, last), map(PerUnit, activations), strict=True)

    def rebuild(parts):
        first, *hidden, last = parts[::2]
        *inner, final = (part.activation for part in parts[1::2])
        layers = (first, *([_stack(hidden, like=between[0])] if mlp.scan else hidden), last)
        fields = layers, _stack(inner, like=mlp.activation), final
        return eqx.tree_at(lambda m: (m.layers, m.activation, m.final_activation), mlp, fields)

    return _Taken(tuple(itertools.chain.from_iterable(pairs)), rebuild)


def _entry(stacked: Any, i: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[i] if eqx.is_array(leaf) else leaf, stacked)


def _stack(entries: Sequence[Any], like: Any) -> Any:
    """The arrays of the entries along a new axis. Without entries: `like`."""
    return jax.tree.map(lambda own, *v: jnp.stack(v) if v and eqx.is_array(own) else own, like, *entries)


# --- checks ---------------------------------------------------------------------------------------------------------


def _check_part(number: int, part: Any) -> None:
    """Check that a part is a function of one sample, without state and without chance."""
    what = f"Part {number} of the model, {_name(part)},"
    if not callable(part):
        raise ConfigError(f"{what} cannot be called: give modules and functions of one sample.")
    for node in jax.tree.leaves(part, is_leaf=_is_unfit):
        if _is_unfit(node):
            inside = "" if node is part else f" contains {_name(node)}, which"
            if isinstance(node, eqx.nn.Dropout):
                raise ConfigError(f"{what}{inside} drops units at random. {NO_CHANCE}")
            raise ConfigError(f"{what}{inside} keeps a state. {NO_STATE}")
    if isinstance(part, eqx.nn.Linear) and "scalar" in (part.in_features, part.out_features):
        raise ConfigError(f'{what} is "scalar": its sample has no axes. Use the size 1.')


def _is_unfit(node: Any) -> bool:
    if isinstance(node, eqx.nn.Dropout):
        return not node.inference and bool(node.p != 0)
    if isinstance(node, eqx.nn.StatefulLayer):
        return node.is_stateful() and not is_module(node, eqx.nn.Sequential)
    return isinstance(node, eqx.nn.StateIndex)


def _name(part: Any) -> str:
    """What a part is, in words: `a Conv2d`, `the function relu`."""
    name = getattr(part, "__name__", None)
    kind = type(part).__name__
    return f"the function {name}" if name else f"an {kind}" if kind[0] in "AEIOU" else f"a {kind}"


def _has_parameters(part: Any) -> bool:
    return any(eqx.is_inexact_array(leaf) for leaf in jax.tree.leaves(part))


def _starts_layer(part: Any) -> bool:
    return _has_parameters(part) and not isinstance(part, eqx.nn.PReLU | PerUnit)


def _is_linear(part: Any) -> bool:
    return is_module(part, eqx.nn.Linear) and eqx.is_inexact_array(part.weight)


def _input_shape(parts: Sequence[Any], given: int | tuple[int, ...] | None) -> tuple[int, ...]:
    if given is not None:
        return (given,) if isinstance(given, int) else tuple(given)
    if not _is_linear(parts[0]):
        raise ConfigError(
            f"The shape of a sample is unknown, since the model begins with {_name(parts[0])}: give `input_shape`, "
            "for example tp.from_equinox(model, (1, 28, 28))."
        )
    return (parts[0].in_features,)


def _check_same_layers(network: Network, expected: Network) -> None:
    if network.depth != expected.depth:
        raise ConfigError(f"The network has {network.depth} layers, the model {expected.depth}: give the model it is from.")
    for i, pair in enumerate(zip(network.layers, expected.layers, strict=True), start=1):
        own, other = (eqx.filter(layer, eqx.is_array) for layer in pair)
        shapes = [[leaf.shape for leaf in jax.tree.leaves(arrays)] for arrays in (own, other)]
        if jax.tree.structure(own) != jax.tree.structure(other) or shapes[0] != shapes[1]:
            raise ConfigError(
                f"Layer {i} of the network is {pair[0]}, and in the model it is {pair[1]}: give the model it is from."
            )


# --- layers ---------------------------------------------------------------------------------------------------------


class _Step(NamedTuple):
    """A part of a model, the sample that it gets, and the activation that it is, if any."""

    part: Any
    sample: Sample
    activation: Activation | None


def _follow(parts: Sequence[Any], sample: Sample) -> list[_Step]:
    """The parts with their samples. Parts that do nothing are left out."""
    steps = []
    for number, part in enumerate(parts, start=1):
        part_name = f"Part {number} of the model, {_name(part)},"
        what = f"{part_name} does not take a sample of shape {sample.shape}"
        if _is_linear(part) and sample.shape != (part.in_features,):
            raise ConfigError(f"{what}, but {(part.in_features,)}: put eqx.nn.Lambda(jnp.ravel) before it, or change sizes.")
        try:
            after = eqx.filter_eval_shape(part, sample)
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:
            raise ConfigError(f"{what}: {error}") from error
        if not isinstance(after, Sample) or not jnp.issubdtype(after.dtype, jnp.floating):
            raise ConfigError(f"{part_name} gives {after}: give modules that return one array of real numbers.")
        activation = None if _has_parameters(part) else _activation(part, sample)
        if not isinstance(activation, Identity):
            steps.append(_Step(part, sample, activation))
        sample = after
    return steps


def _activation(part: Any, sample: Sample) -> Activation | None:
    if isinstance(part, PerUnit):
        return recognize(part.activation, Sample((), sample.dtype))
    return recognize(part, sample)


def _groups(steps: Sequence[_Step]) -> list[list[_Step]]:
    """The steps of each layer."""
    starts = [i for i, step in enumerate(steps) if _starts_layer(step.part)]
    bounds = [0, *(i - (_is_linear(steps[i].part) and _flattens(steps[i - 1])) for i in starts[1:]), len(steps)]
    return [list(steps[start:stop]) for start, stop in itertools.pairwise(bounds)]


def _flattens(step: _Step) -> bool:
    return not _has_parameters(step.part) and flattens(step.part, step.sample)


def _layer(group: Sequence[_Step]) -> Layer:
    (start,) = (i for i, step in enumerate(group) if _starts_layer(step.part))
    before, main, then = group[:start], group[start].part, [step.activation or step.part for step in group[start + 1 :]]
    if _is_linear(main) and all(map(_flattens, before)) and len(then) <= 1:
        (activation,) = then or (Identity(),)
        if isinstance(activation, Activation):
            return Dense(main.weight, main.bias, activation)
    return PerSample(main, tuple(then), tuple(step.activation or step.part for step in before))


def _trained_parts(layer: Any) -> list[Any]:
    return [layer] if isinstance(layer, Dense) else [p for p in (layer.module, *layer.then) if _has_parameters(p)]


def _with_weights(part: Any, trained: Any) -> Any:
    """A part of a model with the weights of the part that was trained."""
    if not isinstance(trained, Dense):
        return trained
    return eqx.tree_at(lambda p: (p.weight, p.bias), part, (trained.weight, trained.bias), is_leaf=lambda leaf: leaf is None)
