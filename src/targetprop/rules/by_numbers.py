"""One step from given numbers, for a comparison with another implementation."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer

from .._checks import check_is
from .._promotion import usual_promotion
from ..errors import ConfigError, UserError
from ..feedback.noise import NoiseDraw
from ..feedback.reconstruction import FeedbackStep
from ..networks.layers import Dense, Fixed, Layer, warn_if_narrowed
from ..networks.network import Network
from .contract import Credit, Example, Rule, Updates, assign
from .updates import local_gradients


class MinibatchStep(NamedTuple):
    """What a rule computes from one minibatch.

    **Arguments:**

    - `updates`: the target updates `dh_1 .. dh_L`.
    - `gradients`: the gradients of the forward parameters, in the structure of
      `parameters(network)`.
    - `feedback`: what the feedback learns, or `None`.
    """

    updates: Updates
    gradients: Network
    feedback: FeedbackStep | None


@usual_promotion()
def minibatch_step(rule: Rule, network: Network, feedback: Any, example: Example) -> MinibatchStep:
    """What a rule computes on one minibatch from given weights, feedback parameters and noise.

    It computes the same as a training step. Use it to compare two implementations number by
    number. Local losses are `1/2 ||dh_i||^2`, averaged over the batch. Reconstruction losses are
    summed over the layer and averaged over the batch.

    **Arguments:**

    - `rule`: the rule.
    - `network`, `feedback`: the parameters, with any values. `feedback` has the structure of
      `rule.init(network, key=..)`. `with_feedback` makes it of given weights.
    - `example`: loss, inputs, targets and stepsize. Its `noise` is
      `NoiseDraw([sigma * eps_1, ..])`, with one displacement per hidden layer, the standard
      deviation included. With the regularizer `OutputNoise`, its `probe` is a displacement of the
      output. Without noise the feedback learns nothing here. Its `key` is for rules with random
      targets.

    **Returns:** target updates, gradients of the network, and what the feedback learns.

    **Raises:**

    - `TypeError` if the rule does not learn from noise but noise is given, or if the noise is not
      a `NoiseDraw`.
    - `ConfigError` if the noise does not have the shapes of the activities, if the feedback is
      missing or not that of the rule, if the batch is empty, or if the targets do not fit the loss.
    - `UserError` if the target updates are not finite.
    """
    check_is("rule", rule, Rule, "give an object such as tp.dtp()")
    check_is("network", network, Network)
    check_is("example", example, Example)
    check_feedback(rule, network, feedback)
    if example.key is None:
        example = example._replace(key=jax.random.key(0))
    if example.noise is not None:
        _check_noise(rule, network, feedback, example)
        example = example._replace(noise=jax.tree.map(jnp.asarray, example.noise))
    credit = assign(rule, network, feedback, example)
    _check_finite(rule, network, feedback, credit)
    gradients = local_gradients(network, credit.trace, credit.updates)
    return MinibatchStep(credit.updates, gradients, None if example.noise is None else credit.feedback)


def with_feedback(
    rule: Rule,
    network: Network,
    maps: Sequence[Any],
    *,
    hidden: tuple[Any, Any] | None = None,
) -> Any:
    """Feedback parameters of a rule with given weights.

        feedback = tp.with_feedback(tp.dtp(), network, [(Q_1, c_1), (Q_2, c_2)])

    **Arguments:**

    - `rule`: the rule.
    - `network`: the network.
    - `maps`: for each mapping `g_1 .. g_{L-1}` the pair `(Q, c)` of its weight `(outputs, inputs)`
      and its bias, or `Q` alone. A bias that is left out is zero.
    - `hidden`: weight and bias `(R, d)` of the random hidden layer, for a rule that has one. Default:
      the values of `rule.init` with the random key 0.

    **Returns:** feedback in the structure of `rule.init(network, key=..)`, in the types of its
    arrays.

    **Raises:** `ConfigError` if numbers or shapes of the weights do not fit.
    """
    start = rule.init(network, key=jax.random.key(0))
    nodes, structure = jax.tree.flatten(start, is_leaf=_is_linear)
    places = [i for i, node in enumerate(nodes) if not isinstance(node, Fixed)]
    if len(maps) != len(places):
        raise ConfigError(
            f"`maps` has {len(maps)} entries, but {rule.name} has {len(places)} mappings here: give one (Q, c) for each."
        )
    for number, (i, numbers) in enumerate(zip(places, maps, strict=True), start=1):
        nodes[i] = _filled(nodes[i], numbers, f"mapping {number} of {rule.name}")
    shared = [i for i, node in enumerate(nodes) if isinstance(node, Fixed)]
    if hidden is not None and not shared:
        raise ConfigError(f"{rule.name} has no random hidden layer: leave out `hidden`.")
    for i in shared if hidden is not None else ():
        nodes[i] = Fixed(_filled(nodes[i].value, hidden, f"the hidden layer of {rule.name}"))
    return jax.tree.unflatten(structure, nodes)


def _is_linear(node: Any) -> bool:
    return isinstance(node, Dense | Fixed)


def _filled(node: Any, numbers: Any, what: str) -> Any:
    """A dense layer, or a weight alone, with given numbers."""
    weight, bias = numbers if isinstance(numbers, tuple) and len(numbers) == 2 else (numbers, None)
    old, old_bias = (node.weight, node.bias) if isinstance(node, Dense) else (node, None)
    if bias is not None and old_bias is None:
        raise ConfigError(f"A bias was given, but {what} has none: give Q alone.")
    warn_if_narrowed((weight, bias))
    new = _as(old, weight, f"Q of {what}")
    if not isinstance(node, Dense):
        return new
    new_bias = (
        None if old_bias is None else jnp.zeros_like(old_bias) if bias is None else _as(old_bias, bias, f"c of {what}")
    )
    return Dense(new, new_bias, node.activation)


def _as(old: Any, values: Any, what: str) -> Any:
    try:
        array = jnp.asarray(values, old.dtype)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{what} is a {type(values).__name__}: give an array of numbers of the shape {old.shape}."
        ) from None
    _check_shape(array.shape, old.shape, what)
    return array


def check_feedback(rule: Rule, network: Network, feedback: Any) -> None:
    """Check that feedback has the structure of `rule.init(network, key=..)`.

    A tuple of as many layers of other kinds is accepted, as mappings of one's own.

    **Raises:** `ConfigError` if it is missing, or if arrays or their shapes are others.
    """
    expected = eqx.filter_eval_shape(rule.init, network, key=jax.random.key(0))
    wanted, given = (_arrays(tree) for tree in (expected, feedback))
    if wanted and feedback is None:
        raise ConfigError(f"{rule.name} needs feedback parameters: start from rule.init(network, key=...).")
    if _are_other_maps(feedback, expected):
        return
    if wanted.keys() != given.keys() or (wanted and type(feedback) is not type(expected)):
        raise ConfigError(
            f"The feedback is a {type(feedback).__name__} of another structure than that of {rule.name}: "
            "start from rule.init(network, key=...), or write tp.with_feedback(rule, network, [(Q, c), ..])."
        )
    for path, shape in wanted.items():
        _check_shape(given[path], shape, f"`feedback{path}` of {rule.name}")


def _are_other_maps(feedback: Any, expected: Any) -> bool:
    if not (isinstance(feedback, tuple) and isinstance(expected, tuple) and len(feedback) == len(expected)):
        return False
    pairs = zip(feedback, expected, strict=True)
    return all(isinstance(one, Layer) for one in feedback) and any(type(one) is not type(other) for one, other in pairs)


def _arrays(tree: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays of a tree, by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): jnp.shape(leaf) for path, leaf in leaves if hasattr(leaf, "dtype")}


def _check_shape(found: tuple[int, ...], right: tuple[int, ...], what: str) -> None:
    if found != right:
        advice = "give its transpose" if found == right[::-1] else "give an array of this shape"
        raise ConfigError(f"{what} has the shape {found}, but must have {right}: {advice}.")


def _check_noise(rule: Rule, network: Network, feedback: Any, example: Example) -> None:
    noise = example.noise

    def needed(x):
        return rule.draw(rule.equilibrium(network, feedback, network.trace(x)), jax.random.key(0))

    expected = jax.eval_shape(needed, example.x)
    if expected is None:
        hint = " If it learns from noise, its class needs the method `draw`." if rule.learns_feedback else ""
        raise TypeError(f"{rule.name} does not learn from noise: leave out `noise`.{hint}")
    if not isinstance(noise, NoiseDraw):
        raise TypeError(f"`noise` is a {type(noise).__name__}: use NoiseDraw([..]) with one array for each hidden layer.")
    for what, given, wanted in (
        ("displacements of the hidden layers", list(noise.layers), list(expected.layers)),
        ("probe, a displacement of the output,", noise.probe, expected.probe),
    ):
        shapes, right = jax.tree.map(jnp.shape, given), jax.tree.map(jnp.shape, wanted)
        if shapes != right:
            raise ConfigError(f"In `noise`, the {what} must have the shapes {right} for {rule.name}, not {shapes}.")


def _check_finite(rule: Rule, network: Network, feedback: Any, credit: Credit) -> None:
    if any(isinstance(dh, Tracer) for dh in credit.updates):
        return
    bad = [str(i) for i, dh in enumerate(credit.updates, start=1) if not jnp.all(jnp.isfinite(dh))]
    if bad:
        why = "; ".join(rule.advice(network, feedback, credit.batch))
        raise UserError(f"The target updates of layer {', '.join(bad)} are not finite: {why or 'use smaller parameters'}.")
