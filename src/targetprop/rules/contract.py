"""The contract of a credit-assignment rule, and the one place where the core step stands.

A rule answers one question: how should the activity of each layer have been different? All else (the forward pass, the
local updates, the optimizers, the schedule, the diagnostics) is the same for every rule.
"""

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from ..feedback.noise import NoiseDraw
from ..feedback.reconstruction import FeedbackStep
from ..losses import Loss, Target
from ..networks.layers import Activity, Layer
from ..networks.network import Network, Trace
from ..networks.requirements import NOTHING, Requirements

Updates = tuple[Float[Array, "batch ..."], ...]


class Example(NamedTuple):
    """What is to be learned in one minibatch: the output loss, the inputs `x`, shape `(batch, ...)`, their targets, and the
    `stepsize` of the output update; `key` for what depends on chance, and, if it is given, the `noise` of the feedback."""

    loss: Loss
    x: Array
    target: Target
    stepsize: Any = 1.0
    key: PRNGKeyArray | None = None
    noise: NoiseDraw | None = None


class Minibatch(eqx.Module):
    """What a rule is given of one minibatch.

    - `trace`: where the network rests without a target, that is the forward pass unless feedback moves the network;
    - `output_update`: `dh_L`, shape `(batch, n_L)`;
    - `loss` and `target`: the output loss and the targets, labels for example, for the rules that use them;
    - `key`: randomness of this step;
    - `noise`: the noise from which the feedback is to learn; if there is none, the rule draws its own.
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
        """`h_L`, what the output layer gives."""
        return self.trace.output

    def curvature(self, v: Activity) -> Activity:
        """`H_L v` with `H_L` the Hessian of the output loss at `h_L`, both of shape `(batch, n_L)`; without a loss the
        identity, which is the curvature of the squared error. Nothing is computed until a rule asks."""
        return v if self.loss is None or self.target is None else self.loss.hessian_product(self.output, self.target, v)


class Credit(NamedTuple):
    """What a rule makes of one minibatch: the activities at which the local updates are taken, `trace`, the target updates
    `dh_1 .. dh_L` there, and what the feedback learns, or `None`. `batch` is the minibatch itself."""

    batch: Minibatch
    trace: Trace
    updates: Updates
    feedback: FeedbackStep | None


class Rule(eqx.Module):
    """A credit-assignment rule: pure functions of the network, the feedback parameters and a minibatch.

    A new rule implements `target_updates`. One with feedback parameters implements `init` too, and one that trains them
    declares `learns_feedback` and implements `feedback_step`. All other methods have defaults that cost nothing. Numeric
    fields are hyperparameters. They may be arrays, so no value is compiled in.

    `name`, `equation` and `source` say what the rule is.
    """

    if TYPE_CHECKING:  # class variables of most rules, fields of a composed one
        name: ClassVar[str]
        equation: ClassVar[str]
        source: ClassVar[str]

    @property
    def learns_feedback(self) -> bool:
        """Whether the feedback learns; if so, `feedback_step` gives gradients for it."""
        return False

    @property
    def iterative(self) -> bool:
        """Whether target updates are found by iteration, so that they may not exist; `advice` then says what to change."""
        return False

    @property
    def requires(self) -> Requirements:
        """What the rule needs of a network; any network will do by default."""
        return NOTHING

    def init(self, network: Network, *, key: PRNGKeyArray) -> Any:
        """Feedback parameters for `network`, a pytree; `None` where the rule has none."""
        return None

    @abc.abstractmethod
    def target_updates(self, network: Network, feedback: Any, batch: Minibatch) -> Updates:
        """The target updates `dh_1 .. dh_L`, each shaped like its activity; the last is `batch.output_update` itself."""

    def feedback_step(self, network: Network, feedback: Any, batch: Minibatch) -> FeedbackStep | None:
        """Gradients of the feedback losses on this batch; `None` for a rule whose feedback stays as it is."""
        return None

    def draw(self, trace: Trace, key: PRNGKeyArray) -> NoiseDraw | None:
        """The noise from which the feedback learns on the batch of `trace`; `None` for a rule without noise."""
        return None

    def equilibrium(self, network: Network, feedback: Any, trace: Trace) -> Trace:
        """Where feedback moves the network without a target, from the forward pass `trace`: it stays there by default. The
        minibatch that all other methods are given has this trace."""
        return trace

    def credit(self, network: Network, feedback: Any, batch: Minibatch) -> Credit:
        """What network and feedback learn in a step in which both do: the target updates at the activities of the batch, and
        `feedback_step`."""
        updates = self.target_updates(network, feedback, batch)
        return Credit(batch, batch.trace, updates, self.feedback_step(network, feedback, batch))

    def post_update(self, before: Network, after: Network, feedback: Any, credit: Credit) -> tuple[Network, Any]:
        """The network and the feedback once the optimizer has led the network from `before` to `after`: as they are by
        default. A rule may shorten the step, or change the feedback with it."""
        return after, feedback

    def layerwise_maps(self, network: Network, feedback: Any, trace: Trace) -> Sequence[Layer] | None:
        """The mappings `g_1 .. g_{L-1}`, each from layer `i + 1` down to layer `i`; `None` for a rule without such."""
        return None

    def advice(self, network: Network, feedback: Any, batch: Minibatch) -> Sequence[str]:
        """What is wrong with the target updates of a minibatch, in words: the layer, and what to change; nothing by default.
        An `iterative` rule is asked with concrete numbers, outside compiled programs: at the first minibatch of a run, and
        where a run diverges."""
        return ()


def prepare(rule: Rule, network: Network, feedback: Any, example: Example) -> Minibatch:
    """The minibatch that a rule is given: the forward pass, where the network rests, and the output update there,
    `dh_L = -stepsize * e_L` per sample (Meulemans et al. 2020, equation 2), never divided by the batch size."""
    trace = rule.equilibrium(network, feedback, network.trace(example.x))
    loss, target = example.loss, example.target
    dh = output_update(loss, trace.output, target, example.stepsize)
    return Minibatch(trace, dh, loss, target, example.key, example.noise)


def assign(rule: Rule, network: Network, feedback: Any, example: Example) -> Credit:
    """The core step: what a rule makes of one minibatch, for the network and for the feedback.

    Training, diagnostics, comparisons by given numbers and the contract suite all call it.

    **Arguments:**

    - `rule`: the rule;
    - `network`, `feedback`: the parameters; `feedback` has the structure of `rule.init(network, key=..)`;
    - `example`: inputs and targets, with the loss, the stepsize, and the key of the step.

    **Returns:** target updates, the activities to which they belong, and what the feedback learns.
    """
    return rule.credit(network, feedback, prepare(rule, network, feedback, example))


def output_update(loss: Loss, h: Float[Array, "batch n_L"], target: Target, stepsize: Any) -> Float[Array, "batch n_L"]:
    """`dh_L = -stepsize * e_L` per sample (Meulemans et al. 2020, equation 2); never divided by the batch size."""
    return -stepsize * loss.error(h, target)
