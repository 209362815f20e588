"""The compiled part of training: runs of steps, and evaluation.

A run of steps is one program, with the first and the last step as arguments. So a pass can be
split anywhere, without a new compilation and without a change of the numbers. Randomness depends
only on (seed, epoch, pass, step).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ..diagnostics.probe import Probe, Sample
from ..networks.layers import parameters
from ..networks.network import Network
from ..rules.contract import Example, prepare
from .schedule import Learning
from .state import NOISE, ORDER, Data, Member, Task, Totals, TrainingState, stream
from .step import Info, State, take_step

EVALUATION_BATCH = 1000


def inputs(network: Network, rows: Float[Array, "batch n_0"]) -> Array:
    """Samples of a data set, which are rows, in the input shape of the network."""
    return rows.reshape(-1, *network.input_shape)


class Span(NamedTuple):
    """The steps `start .. stop - 1` of pass `number` of an epoch, as traced integers."""

    epoch: Array
    number: Array
    start: Array
    stop: Array


class Checkup(NamedTuple):
    """Whether the parameters of each layer, of each feedback mapping, and the loss are finite."""

    layers: Bool[Array, " L"]
    feedback: Bool[Array, " mappings"]
    loss: Bool[Array, ""]


def run_steps(task: Task, member: Member, data: Data, span: Span, learning: Learning) -> tuple[TrainingState, Checkup]:
    """The steps of a span, for one member.

    Each pass has a new random order of the samples. The samples of the last, incomplete minibatch
    are left out of the pass. In a pass of the network alone, the feedback losses of the pass before
    are kept.
    """
    state, hyperparameters = member.state, member.hyperparameters
    noise_key, order = _pass_key(member, NOISE, span), _order(member, span)
    totals = jax.tree.map(lambda total: jnp.where(span.start == 0, jnp.zeros_like(total), total), state.totals)
    if not learning.feedback:
        totals = totals._replace(feedback_loss=state.totals.feedback_loss)
    state = eqx.tree_at(lambda s: s.totals, state, totals)
    dynamic, static = eqx.partition(state, eqx.is_array)

    def body(i, dynamic):
        state = eqx.combine(dynamic, static)
        batch = _minibatch(task, state.network, data, order, i)
        parts, objective = state.parts._asdict(), task.objective
        before = State(**parts, count=i, key=noise_key, hyperparameters=hyperparameters, objective=objective)
        after, info = take_step(before, batch, learning.network, learning.feedback)
        totals = _added(task, state.totals, info, batch[1], learning)
        return eqx.filter(TrainingState(*after.parts, totals), eqx.is_array)

    state = eqx.combine(lax.fori_loop(span.start, span.stop, body, dynamic), static)
    return state, checkup(state)


def _added(task: Task, totals: Totals, info: Info, y: Array, learning: Learning) -> Totals:
    """The sums of a pass, with those of one more step."""
    if learning.network:
        totals = totals._replace(loss=totals.loss + info.loss, score=totals.score + jnp.mean(task.score(info.output, y)))
    if info.feedback_losses is not None:
        totals = totals._replace(feedback_loss=totals.feedback_loss + info.feedback_losses)
    return totals


def _pass_key(member: Member, purpose: int, span: Span) -> PRNGKeyArray:
    return jax.random.fold_in(jax.random.fold_in(stream(member.seed, purpose), span.epoch), span.number)


def _order(member: Member, span: Span) -> Int[Array, " samples"]:
    return jax.random.permutation(_pass_key(member, ORDER, span), member.split.train)


def _minibatch(task: Task, network: Network, data: Data, order: Array, step: Array) -> tuple[Array, Array]:
    picked = lax.dynamic_slice_in_dim(order, step * task.batch_size, task.batch_size)
    return inputs(network, data.x[picked]), data.y[picked]


def checkup(state: TrainingState) -> Checkup:
    """Which layers, feedback mappings and losses are finite."""
    feedback = jax.tree.leaves(parameters(state.feedback), is_leaf=lambda tree: isinstance(tree, eqx.Module))
    return Checkup(
        jnp.array([_finite(layer) for layer in state.network.layers]),
        jnp.array([_finite(g) for g in feedback], bool),
        _finite(state.totals),
    )


def _finite(tree: Any) -> Array:
    flags = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(parameters(tree))]
    return jnp.all(jnp.array(flags)) if flags else jnp.array(True)


class Evaluation(NamedTuple):
    """Mean loss and mean score over a set of samples."""

    loss: Float[Array, ""]
    score: Float[Array, ""]


def evaluate(task: Task, network: Network, x: Array, y: Array, indices: Int[Array, " n"]) -> Evaluation:
    """Mean loss and score of the samples at `indices`, computed in batches.

    Only the forward pass uses these samples.
    """
    n = indices.shape[0]
    batches = _batches(indices)
    counted = (jnp.arange(batches.size) < n).reshape(batches.shape)

    def one(batch):
        picked, counted = batch
        h, target = network(inputs(network, x[picked])), y[picked]
        values = jnp.stack([task.loss.value(h, target), task.score(h, target)])
        return jnp.sum(jnp.where(counted, values, 0), axis=1)

    loss, score = jnp.sum(lax.map(one, (batches, counted)), axis=0) / n
    return Evaluation(loss, score)


def _batches(indices: Int[Array, " n"]) -> Int[Array, "batches batch"]:
    """The indices in batches of at most `EVALUATION_BATCH`. The last batch is filled with zeros."""
    batch = min(indices.shape[0], EVALUATION_BATCH)
    padding = -indices.shape[0] % batch
    return jnp.concatenate([indices, jnp.zeros(padding, indices.dtype)]).reshape(-1, batch)


@eqx.filter_jit
def evaluate_all(task: Task, networks: Network, x: Array, y: Array) -> Evaluation:
    """`evaluate` on all samples, for networks along a leading axis."""
    return over_members(lambda network: evaluate(task, network, x, y, jnp.arange(x.shape[0])), networks)


@eqx.filter_jit
def outputs(network: Network, x: Array) -> Array:
    """The outputs for all samples, computed in the batches of `evaluate`."""
    n = x.shape[0]
    h = lax.map(lambda picked: network(inputs(network, x[picked])), _batches(jnp.arange(n)))
    return h.reshape(-1, *h.shape[2:])[:n]


@eqx.filter_jit
def advance(
    task: Task, members: Member, alive: Array, data: Data, span: Span, learning: Learning
) -> tuple[TrainingState, Checkup]:
    """`run_steps` for every living member of an ensemble, as one program.

    The other members do not change.
    """
    static_state = eqx.filter(members.state, eqx.is_array, inverse=True)

    def one(member, living):
        def trained():
            state, health = run_steps(task, member, data, span, learning)
            return eqx.filter(state, eqx.is_array), health

        def unchanged():
            return eqx.filter(member.state, eqx.is_array), checkup(member.state)

        return lax.cond(living, trained, unchanged)

    states, health = over_members(one, members, alive)
    return eqx.combine(states, static_state), health


@eqx.filter_jit
def assess(task: Task, members: Member, data: Data) -> tuple[Evaluation | None, Evaluation]:
    """Validation and test evaluation of every member.

    Without a validation set, the validation result is `None`.
    """
    test_indices = jnp.arange(data.test_x.shape[0])

    def one(member):
        network = member.state.network
        validation = None
        if member.split.validation.shape[0]:
            validation = evaluate(task, network, data.x, data.y, member.split.validation)
        return validation, evaluate(task, network, data.test_x, data.test_y, test_indices)

    return over_members(one, members)


@eqx.filter_jit
def diagnose(task: Task, probe: Probe, member: Member, data: Data, span: Span) -> dict[str, Array]:
    """The values of a probe for one member, before the first step of a span, on its minibatch."""
    network, numbers = member.state.network, member.hyperparameters
    x, y = _minibatch(task, network, data, _order(member, span), span.start)
    example = Example(task.loss, x, y, numbers.stepsize, jax.random.key(0))
    return probe(Sample.take(numbers.rule, network, member.state.feedback, example))


def advice(task: Task, member: Member, data: Data, span: Span) -> Sequence[str]:
    """The advice of the rule on the minibatch of the first step of a span.

    It is not compiled. For a rule that is not iterative, nothing is computed.
    """
    rule, network = member.hyperparameters.rule, member.state.network
    if not rule.iterative:
        return ()
    x, y = _minibatch(task, network, data, _order(member, span), span.start)
    example = Example(task.loss, x, y, member.hyperparameters.stepsize, jax.random.key(0))
    return rule.advice(network, member.state.feedback, prepare(rule, network, member.state.feedback, example))


def over_members(one: Callable, *members: Any) -> Any:
    """Apply `one` to every member of an ensemble, inside one program.

    The members run one after the other on a CPU, and in parallel on an accelerator. The leading
    axis of every array in `members` is the member.
    """
    dynamic, static = eqx.partition(members, eqx.is_array)

    def apply(dynamic):
        return one(*eqx.combine(dynamic, static))

    return lax.map(apply, dynamic) if jax.default_backend() == "cpu" else jax.vmap(apply)(dynamic)
