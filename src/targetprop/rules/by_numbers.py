"""One step from given numbers, for a comparison with another implementation."""

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
      `rule.init(network, key=..)`. Use `equinox.tree_at` to replace arrays.
    - `example`: loss, inputs, targets and stepsize. Its `noise` is
      `NoiseDraw([sigma * eps_1, ..])`, with one displacement per hidden layer, the standard
      deviation included. With the regularizer `OutputNoise`, its `probe` is a displacement of the
      output. Without noise the feedback learns nothing here. Its `key` is for rules with random
      targets.

    **Returns:** target updates, gradients of the network, and what the feedback learns.

    **Raises:**

    - `TypeError` if the rule does not learn from noise but noise is given, or if the noise is not
      a `NoiseDraw`.
    - `ConfigError` if the noise does not have the shapes of the activities, or if the feedback is
      missing.
    - `UserError` if the target updates are not finite.
    """
    check_is("rule", rule, Rule, "give an object such as tp.dtp()")
    check_is("network", network, Network)
    check_is("example", example, Example)
    if feedback is None and jax.tree.leaves(eqx.filter_eval_shape(rule.init, network, key=jax.random.key(0))):
        raise ConfigError(f"{rule.name} needs `feedback` parameters: start from rule.init(network, key=...).")
    if example.key is None:
        example = example._replace(key=jax.random.key(0))
    if example.noise is not None:
        _check_noise(rule, network, feedback, example)
        example = example._replace(noise=jax.tree.map(jnp.asarray, example.noise))
    credit = assign(rule, network, feedback, example)
    _check_finite(rule, network, feedback, credit)
    gradients = local_gradients(network, credit.trace, credit.updates)
    return MinibatchStep(credit.updates, gradients, None if example.noise is None else credit.feedback)


def _check_noise(rule: Rule, network: Network, feedback: Any, example: Example) -> None:
    noise = example.noise

    def needed(x):
        return rule.draw(rule.equilibrium(network, feedback, network.trace(x)), jax.random.key(0))

    expected = jax.eval_shape(needed, example.x)
    if expected is None:
        raise TypeError(f"{rule.name} does not learn from noise: leave out `noise`.")
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
