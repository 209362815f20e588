"""From target updates to parameter gradients."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import ConfigError, UserError
from ..feedback.reconstruction import FeedbackStep, NoiseDraw
from ..losses import Loss, Target
from ..networks.network import Network, Trace, parameters
from . import ReconstructingRule, Rule, Updates

Layers = tuple[int, ...] | None


def output_update(loss: Loss, h: Float[Array, "batch n_L"], target: Target, stepsize: Any) -> Float[Array, "batch n_L"]:
    """`dh_L = -stepsize * e_L` per sample (Meulemans et al. 2020, equation 2); never divided by the batch size."""
    return -stepsize * loss.error(h, target)


def local_gradients(network: Network, trace: Trace, updates: Sequence[Array], trainable: Layers = None) -> Network:
    """Gradients of the local losses `L_i = 1/2 ||h_i + dh_i - h_i||^2`, each with respect to its own layer's parameters.

    **Arguments:** `updates`, the target updates `dh_1 .. dh_L`, each of the shape of its activity; `trainable`, the layers
    (1 is the first) that are trained, all of them unless given. The result has the structure of
    `trainable_parameters(network, trainable)` and is the mean over the batch. The papers write the loss without the factor
    1/2 (Meulemans et al. 2020, section 2); their gradients are twice these. Raises `ConfigError` naming the layer where the
    updates do not have the shapes and the types of the activities.
    """
    _check_shapes(trace, updates)
    batch = trace.output.shape[0]
    gradients = tuple(
        pullback(-dh / batch)[0] if _trains(trainable, i) else None
        for i, (pullback, dh) in enumerate(zip(trace.pullbacks, updates, strict=True), start=1)
    )
    return eqx.tree_at(lambda tree: tree.layers, parameters(network), gradients)


def _check_shapes(trace: Trace, updates: Sequence[Array]) -> None:
    if len(updates) != len(trace.points):
        raise ConfigError(f"The rule gives {len(updates)} target updates for {len(trace.points)} layers: give dh_1 .. dh_L.")
    for i, (dh, point) in enumerate(zip(updates, trace.points, strict=True), start=1):
        found, right = (f"{jnp.result_type(v)} {jnp.shape(v)}" for v in (dh, point.h))
        if found != right:
            raise ConfigError(f"The rule's target update dh_{i} is {found}, but the activity of layer {i} is {right}.")


def trainable_parameters(network: Network, trainable: Layers = None) -> Any:
    """`parameters(network)` with `None` for every layer that is not in `trainable`."""
    trained = parameters(network)
    layers = tuple(layer if _trains(trainable, i) else None for i, layer in enumerate(trained.layers, start=1))
    return eqx.tree_at(lambda tree: tree.layers, trained, layers)


def _trains(trainable: Layers, layer: int) -> bool:
    return trainable is None or layer in trainable


class MinibatchStep(NamedTuple):
    """What a rule makes of one minibatch: the target updates `dh_1 .. dh_L`, the gradients of the forward parameters (in the
    structure of `parameters(network)`), and what the feedback learns, or `None`."""

    updates: Updates
    gradients: Network
    feedback: FeedbackStep | None


def minibatch_step(
    rule: Rule,
    network: Network,
    feedback: Any,
    loss: Loss,
    x: Array,
    target: Target,
    stepsize: Any = 1.0,
    noise: NoiseDraw | None = None,
    *,
    key: PRNGKeyArray | None = None,
) -> MinibatchStep:
    """What a rule computes on one minibatch from given weights, feedback parameters and noise, just as a training step does:
    for comparison with another implementation, number by number.

    **Arguments:** `network` and `feedback`, with any values written into them (`feedback` has the structure of
    `rule.init(network, key=...)`; `equinox.tree_at` exchanges arrays); `x`, shape `(batch, ...)`, and `target`; `stepsize`,
    of the output update `-stepsize * e_L` per sample; `noise`, one displacement per hidden layer, standard deviation
    included, `NoiseDraw([sigma * eps_1, ..])`, and with the regularizer `OutputNoise` one of the output as its `probe`,
    without which the feedback learns nothing here; `key`, for a rule whose targets depend on chance.

    Conventions: local losses are `1/2 ||dh_i||^2` averaged over the batch; reconstruction losses sum over the layer and
    average over the batch. Raises `TypeError` for noise with a rule that does not learn from noise, or noise that is no
    `NoiseDraw`; `ConfigError` for noise of other shapes than the activities, or where the feedback is missing; `UserError`
    for concrete numbers of which the rule makes no finite targets.
    """
    if feedback is None and jax.tree.leaves(eqx.filter_eval_shape(rule.init, network, key=jax.random.key(0))):
        raise ConfigError(f"{rule.name} has feedback parameters: start from rule.init(network, key=...).")
    trace = rule.settle(network, feedback, network.trace(x)).with_loss(loss, target)
    dh = output_update(loss, trace.output, target, stepsize)
    lesson = rule.lesson(network, feedback, trace, dh, key=jax.random.key(0) if key is None else key)
    _check_finite(rule, network, feedback, trace, dh, lesson.updates)
    gradients = local_gradients(network, lesson.trace, lesson.updates)
    if noise is None:
        return MinibatchStep(lesson.updates, gradients, None)
    if not isinstance(rule, ReconstructingRule):
        raise TypeError(f"{type(rule).__name__} learns nothing from noise: leave out `noise`.")
    _check_noise(rule, trace, noise)
    arrays = jax.tree.map(jnp.asarray, noise)
    return MinibatchStep(lesson.updates, gradients, rule.feedback_step(network, feedback, trace, arrays))


def _check_noise(rule: ReconstructingRule, trace: Trace, noise: NoiseDraw) -> None:
    if not isinstance(noise, NoiseDraw):
        raise TypeError(f"The noise is a {type(noise).__name__}: write NoiseDraw([..]) with an array per hidden layer.")
    expected = jax.eval_shape(lambda: rule.draw(trace, jax.random.key(0)))
    for what, given, wanted in (
        ("displacements of the hidden layers", list(noise.layers), list(expected.layers)),
        ("probe, a displacement of the output,", noise.probe, expected.probe),
    ):
        shapes, right = jax.tree.map(jnp.shape, given), jax.tree.map(jnp.shape, wanted)
        if shapes != right:
            raise ConfigError(f"The noise's {what} must have the shapes {right} for {rule.name}, not {shapes}.")


def _check_finite(rule, network, feedback, trace, output_update, updates):
    if any(isinstance(dh, Tracer) for dh in updates):
        return
    bad = [str(i) for i, dh in enumerate(updates, start=1) if not jnp.all(jnp.isfinite(dh))]
    if bad:
        why = "; ".join(rule.complaints(network, feedback, trace, output_update))
        raise UserError(f"The target updates of layer {', '.join(bad)} are not finite: {why or 'use smaller parameters'}.")
