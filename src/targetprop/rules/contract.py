"""The contract of a credit-assignment rule, and the core step that all rules share.

A rule answers one question: how should the activity of each layer have been different? Everything
else (the forward pass, the local updates, the optimizers, the schedule, the diagnostics) is the
same for every rule.
"""

import abc
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._array_checks import CheckedModule
from .._checks import check_array, check_is, check_number
from .._promotion import usual_promotion
from ..errors import ConfigError
from ..feedback.noise import NoiseDraw
from ..feedback.reconstruction import FeedbackStep
from ..losses import Loss, Target, check_target
from ..networks.layers import Activity, Layer
from ..networks.network import Network, Trace
from ..networks.requirements import NOTHING, Requirements

Updates = tuple[Float[Array, "batch ..."], ...]


class Example(NamedTuple):
    """What the network learns in one minibatch.

    **Arguments:**

    - `loss`: the output loss.
    - `x`: the inputs, shape `(batch, ...)`.
    - `target`: the targets of the output.
    - `stepsize`: the stepsize of the output update.
    - `key`: random key of this step.
    - `noise`: the noise from which the feedback learns. Default: the rule draws it.
    """

    loss: Loss
    x: Array
    target: Target
    stepsize: Any = 1.0
    key: PRNGKeyArray | None = None
    noise: NoiseDraw | None = None


class Minibatch(eqx.Module):
    """What a rule gets of one minibatch.

    **Arguments:**

    - `trace`: the equilibrium of the network without a target. It is the forward pass, unless
      feedback moves the network.
    - `output_update`: `dh_L`, shape `(batch, n_L)`.
    - `loss`, `target`: the output loss, and the targets, such as labels, for the rules that use
      them.
    - `key`: random key of this step.
    - `noise`: the noise from which the feedback learns. If it is `None`, the rule draws it.
    """

    trace: Trace
    output_update: Float[Array, "batch n_L"]
    loss: Loss | None = None
    target: Target | None = None
    key: PRNGKeyArray | None = None
    noise: NoiseDraw | None = None

    @property
    def h(self) -> tuple[Activity, ...]:
        """The activities `h_0 .. h_L`."""
        return self.trace.h

    @property
    def output(self) -> Activity:
        """`h_L`, the output of the output layer."""
        return self.trace.output

    def curvature(self, v: Activity) -> Activity:
        """`H_L v` per sample, with `H_L` the Hessian of the output loss at `h_L`.

        Without a loss, `H_L` is the identity, the Hessian of the squared error. It is computed
        only when a rule calls this method.

        **Arguments:**

        - `v`: shape `(batch, n_L)`.

        **Returns:** an array of the same shape.
        """
        return v if self.loss is None or self.target is None else self.loss.hessian_product(self.output, self.target, v)


class Credit(NamedTuple):
    """What a rule computes from one minibatch.

    **Arguments:**

    - `batch`: the minibatch.
    - `trace`: the activities at which the local updates are computed. Its pullbacks make them from
      the target updates.
    - `updates`: the target updates `dh_1 .. dh_L` at these activities.
    - `feedback`: what the feedback learns, or `None`.
    """

    batch: Minibatch
    trace: Trace
    updates: Updates
    feedback: FeedbackStep | None


class FirstOrder(NamedTuple):
    """The parts of the target updates that are of first order, for the hidden layers.

    **Arguments:**

    - `signal`: the part that is linear in the output update.
    - `reconstruction`: the part without any output update.
    """

    signal: Updates
    reconstruction: Updates


class Rule(CheckedModule):
    """A credit-assignment rule: functions of the network, the feedback and a minibatch.

    The functions are pure. A new rule implements `target_updates`. A rule with feedback parameters
    also implements `init`. A rule that trains them declares `learns_feedback` and implements
    `feedback_step`. All other methods have defaults that cost nothing. Numeric fields are
    hyperparameters. They may be arrays, so their values are not compiled into the program.

    `name`, `equation` and `source` describe the rule. Lists show rules of one `family` together.
    """

    family: ClassVar[str] = "other rules"

    if TYPE_CHECKING:  # class variables of most rules, fields of a composed one
        name: ClassVar[str]
        equation: ClassVar[str]
        source: ClassVar[str]

    @property
    def learns_feedback(self) -> bool:
        """Whether the feedback learns. If so, `feedback_step` returns its gradients."""
        return False

    @property
    def feedback_after_step(self) -> bool:
        """Whether the feedback learns after the step of the network, through its new weights.

        Default: network and feedback learn at the same weights.
        """
        return False

    @property
    def iterative(self) -> bool:
        """Whether the target updates are found by an iteration that may fail.

        If it fails, `advice` says what to change.
        """
        return False

    @property
    def has_post_update(self) -> bool:
        """Whether `post_update` may change something. A rule that implements it declares it."""
        return False

    @property
    def requires(self) -> Requirements:
        """What the rule requires of a network. Default: nothing."""
        return NOTHING

    def init(self, network: Network, *, key: PRNGKeyArray) -> Any:
        """Feedback parameters for `network`, a pytree, or `None` if the rule has none."""
        return None

    @abc.abstractmethod
    def target_updates(self, network: Network, feedback: Any, batch: Minibatch) -> Updates:
        """The target updates `dh_1 .. dh_L`, each with the shape of its activity.

        The last one is `batch.output_update` itself.
        """

    def feedback_step(self, network: Network, feedback: Any, batch: Minibatch) -> FeedbackStep | None:
        """Gradients of the feedback losses. `None` if the feedback does not learn."""
        return None

    def draw(self, trace: Trace, key: PRNGKeyArray) -> NoiseDraw | None:
        """The noise from which the feedback learns. `None` for a rule without noise."""
        return None

    def equilibrium(self, network: Network, feedback: Any, trace: Trace) -> Trace:
        """The equilibrium to which feedback moves the network without a target.

        The minibatch that all other methods get has this trace. Default: the forward pass `trace`.
        """
        return trace

    def credit(self, network: Network, feedback: Any, batch: Minibatch) -> Credit:
        """What network and feedback learn from a minibatch in one step.

        Default: the target updates at the activities of the minibatch, and `feedback_step`.
        """
        updates = self.target_updates(network, feedback, batch)
        return Credit(batch, batch.trace, updates, self.feedback_step(network, feedback, batch))

    def post_update(self, before: Network, after: Network, feedback: Any, credit: Credit) -> tuple[Network, Any]:
        """Adjust the network and the feedback after a step of the optimizer. Default: no change.

        A rule may shorten the step, or change the feedback together with the network.

        **Arguments:**

        - `before`, `after`: the network before and after the step.
        - `feedback`: the feedback.
        - `credit`: the credit from which the step was computed.

        **Returns:** the network and the feedback.
        """
        return after, feedback

    def layerwise_maps(self, network: Network, feedback: Any, trace: Trace) -> Sequence[Layer] | None:
        """The mappings `g_1 .. g_{L-1}`, each from layer `i + 1` to layer `i`.

        `None` for a rule without such mappings.
        """
        return None

    def first_order(self, network: Network, feedback: Any, batch: Minibatch) -> FirstOrder:
        """The first-order parts of `target_updates`. Default: expanded at `dh_L = 0`."""

        def hidden(dh):
            return self.target_updates(network, feedback, dataclasses.replace(batch, output_update=dh))[:-1]

        zero = jnp.zeros_like(batch.output_update)
        reconstruction, signal = jax.jvp(hidden, (zero,), (batch.output_update,))
        return FirstOrder(signal, reconstruction)

    def advice(self, network: Network, feedback: Any, batch: Minibatch) -> Sequence[str]:
        """What is wrong with the target updates of a minibatch: which layer, and what to change.

        It is called for an `iterative` rule at the first minibatch of a run, and when a run
        diverges. The call is outside compiled programs, with concrete numbers.

        **Returns:** sentences. Default: none.
        """
        return ()


@usual_promotion()
def prepare(rule: Rule, network: Network, feedback: Any, example: Example) -> Minibatch:
    """The minibatch that a rule gets: the trace of the network, and the output update.

    The trace is the forward pass, or the equilibrium of the network without a target. The output
    update is `dh_L = -stepsize * e_L` per sample (Meulemans et al. 2020, equation 2). It is not
    divided by the batch size.

    **Raises:** `ConfigError` if there are no samples, or if their targets do not fit the loss.
    """
    check_is("rule", rule, Rule, "give an object such as tp.dtp()")
    check_is("network", network, Network)
    check_is("example", example, Example)
    check_array("inputs", example.x)
    if not len(example.x):
        raise ConfigError(f"The batch is empty, with inputs of shape {example.x.shape}: give at least one sample.")
    trace = rule.equilibrium(network, feedback, network.trace(example.x))
    loss, target = example.loss, example.target
    check_target(loss, trace.output, target)
    dh = output_update(loss, trace.output, target, example.stepsize)
    return Minibatch(trace, dh, loss, target, example.key, example.noise)


def check_hidden_layers(rule: Rule, network: Network) -> None:
    """Raises `ConfigError` if the feedback of a rule learns, but the network has no hidden layer."""
    if rule.learns_feedback and network.depth < 2:
        raise ConfigError(
            f"{rule.name} learns feedback to hidden layers, but the network has none: "
            "give it a hidden layer, or use a rule without learned feedback, such as bp."
        )


@usual_promotion()
def assign(rule: Rule, network: Network, feedback: Any, example: Example) -> Credit:
    """The core step: what the network and the feedback learn from one minibatch.

    Training, diagnostics, comparisons with given numbers and the contract suite all call it.

    **Arguments:**

    - `rule`: the rule.
    - `network`, `feedback`: the parameters. `feedback` has the structure of
      `rule.init(network, key=..)`.
    - `example`: inputs and targets, with the loss, the stepsize and the random key of the step.

    **Returns:** the target updates, the activities to which they belong, and what the feedback
    learns.
    """
    batch = prepare(rule, network, feedback, example)
    return rule.credit(network, feedback, batch)


def feedback_step_after(rule: Rule, network: Network, feedback: Any, batch: Minibatch) -> FeedbackStep | None:
    """What the feedback learns from a minibatch after the step of the network.

    The minibatch passes through the network again. Its noise and its key stay the same.

    **Arguments:**

    - `rule`: the rule.
    - `network`: the network after the step.
    - `feedback`: the feedback, after `rule.post_update`.
    - `batch`: the minibatch, with the trace from before the step.

    **Returns:** the gradients and losses, or `None` if the feedback does not learn.
    """
    trace = rule.equilibrium(network, feedback, network.trace(batch.h[0]))
    return rule.feedback_step(network, feedback, dataclasses.replace(batch, trace=trace))


@usual_promotion()
def output_update(loss: Loss, h: Float[Array, "batch n_L"], target: Target, stepsize: Any) -> Float[Array, "batch n_L"]:
    """`dh_L = -stepsize * e_L` per sample, not divided by the batch size.

    Meulemans et al. 2020, equation 2.

    **Raises:** `TypeError` if an argument is of another kind. `ConfigError` if the targets do not
    fit the outputs, or if the stepsize is not a number of 0 or above.
    """
    check_is("loss", loss, Loss, "give an object such as tp.SquaredError()")
    check_array("target", target)
    check_number("stepsize", stepsize)
    if target.shape[:1] != h.shape[:1]:
        raise ConfigError(
            f"The `target` has the shape {target.shape}, but there are {len(h)} samples: give one row for each."
        )
    return -stepsize * loss.error(h, target)
