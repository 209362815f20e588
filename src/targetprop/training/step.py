"""One step of training: the gradients of a minibatch, the optimizers, and what follows.

`step` is the step that `train` runs. `value_and_grad` gives the gradients alone, for a loop with
its own optimizer.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .._array_checks import check_key
from .._checks import check_is, check_number, shown
from .._promotion import usual_promotion
from ..errors import ConfigError
from ..losses import Loss, LossFunction, SoftmaxCrossEntropy, check_target
from ..networks.layers import parameters, warn_if_narrowed
from ..networks.network import Network
from ..rules.by_numbers import check_feedback
from ..rules.contract import Credit, Example, Rule, Updates, assign, feedback_step_after, prepare
from ..rules.updates import Layers, check_layers, local_gradients, trainable_parameters
from .arguments import check_seed
from .masks import UPDATE_MASK, UpdateMask
from .penalties import Penalty, penalized
from .recipe import Recipe
from .state import Hyperparameters, Objective, TrainedParts, initial_parts, numbers_of

LossLike = Loss | Callable[[Array, Array], Array]


class Parameters(NamedTuple):
    """The trained parameters of a network and of its feedback, or anything of their structure.

    **Arguments:**

    - `network`: in the structure of the network. It is `None` for what does not learn.
    - `feedback`: in the structure of the feedback. `None` if the feedback does not learn.
    """

    network: Any
    feedback: Any


def trained_parameters(rule: Rule, network: Network, feedback: Any, trainable: Layers = None) -> Parameters:
    """The parameters that learn, in the structure of the gradients of `value_and_grad`.

    An Optax transformation is initialized with them.

    **Arguments:**

    - `rule`: the rule.
    - `network`, `feedback`: the network and its feedback.
    - `trainable`: the numbers of the layers that learn. 1 is the first. Default: all.
    """
    check_is("rule", rule, Rule)
    check_network(network)
    check_trainable(trainable, network)
    learned = parameters(feedback) if rule.learns_feedback else None
    return Parameters(trainable_parameters(network, trainable), learned)


class Aux(NamedTuple):
    """What a rule computes beside the gradients.

    **Arguments:**

    - `output`: `h_L`, shape `(batch, n_L)`.
    - `updates`: the target updates `dh_1 .. dh_L`.
    - `feedback_losses`: the loss of each mapping, shape `(mappings,)`, or `None`.
    - `credit`: for a rule with `has_post_update` or `feedback_after_step`, what its `post_update`
      and `feedback_step_after` get. Otherwise `None`.
    """

    output: Float[Array, "batch ..."]
    updates: Updates
    feedback_losses: Float[Array, " mappings"] | None
    credit: Credit | None


def value_and_grad(
    rule: Rule, loss: LossLike, *, stepsize: Any = 1.0, trainable: Layers = None, penalty: Penalty | None = None
) -> Callable[..., tuple[tuple[Array, Aux], Parameters]]:
    """The gradients of a rule, for your own training loop.

    In place of `jax.value_and_grad`: with `Backprop()` the gradients are those of the mean loss.
    The function can be used in `jit`, `vmap` and `scan`. It makes one forward pass.

        (value, aux), grads = tp.value_and_grad(rule, loss)(network, feedback, x, y, key=key)

    **Arguments:**

    - `rule`: the rule.
    - `loss`: the output loss, or a function from outputs `(batch, n_L)` and targets to the loss of
      each sample `(batch,)`.
    - `stepsize`: the stepsize of the output update.
    - `trainable`: the numbers of the layers that learn. 1 is the first. Default: all.
    - `penalty`: a penalty on the weights. Its gradients are included, its value is not.

    The gradients of the feedback are those at the given weights. For a rule with
    `feedback_after_step`, call `feedback_step_after(rule, network, feedback, aux.credit.batch)` after
    the step of the network, and use its gradients instead.

    **Returns:** a function of `network`, `feedback`, inputs `x`, targets `y` and a random `key`. It
    returns `(value, aux), grads`: the mean loss, an `Aux`, and `Parameters` in the structure of
    `trained_parameters`.

    **Raises:**

    - `TypeError` if an argument is of another kind.
    - `ConfigError` if `stepsize` is negative, if there is no `key` and the feedback learns, or if
      `trainable` names a layer that does not exist. Also if the feedback is not that of the rule,
      the batch is empty, or the targets do not fit the loss. Inside a compiled program the values
      of labels are not known, and not checked.
    """
    check_is("rule", rule, Rule)
    loss = as_loss(loss)
    check_number("stepsize", stepsize)
    check_layers(trainable)
    check_is("penalty", penalty, (Penalty, type(None)))

    @usual_promotion()
    def gradients(network: Network, feedback: Any, x: Array, y: Array, *, key: PRNGKeyArray | None = None):
        check_network(network)
        check_trainable(trainable, network)
        if key is not None:
            check_key(key)
        if key is None and rule.learns_feedback:
            raise ConfigError(f"The feedback of {rule.name} learns, which needs random numbers: give a `key`.")
        check_feedback(rule, network, feedback)
        credit = assign(rule, network, feedback, Example(loss, x, y, stepsize, key))
        value = jnp.mean(loss.value(credit.batch.output, y))
        learned = credit.feedback
        grads = Parameters(
            network_gradients(network, credit, trainable, penalty), None if learned is None else learned.gradients
        )
        aux = Aux(
            credit.batch.output,
            credit.updates,
            None if learned is None else learned.losses,
            credit if rule.has_post_update or rule.feedback_after_step else None,
        )
        return (value, aux), grads

    return gradients


def network_gradients(network: Network, credit: Credit, trainable: Layers, penalty: Penalty | None) -> Network:
    """The gradients of the local losses and of the penalty."""
    gradients = local_gradients(network, credit.trace, credit.updates, trainable)
    return penalized(penalty, gradients, trainable_parameters(network, trainable))


@usual_promotion()
def mask_updates(mask: UpdateMask | None, updates: Any, key: PRNGKeyArray) -> Any:
    """The updates of an optimizer, zero for the layers that the mask does not select.

    **Arguments:**

    - `mask`: which layers move, or `None` for all of them.
    - `updates`: the updates, in the structure of the network.
    - `key`: the random key of the step.
    """
    if mask is None:
        return updates
    check_is("mask", mask, UpdateMask)
    moves = mask(len(updates.layers), jax.random.fold_in(key, UPDATE_MASK))
    layers = zip(updates.layers, moves, strict=True)
    chosen = tuple(jax.tree.map(lambda u, moves=moves: moves * u, layer) for layer, moves in layers)
    return eqx.tree_at(lambda tree: tree.layers, updates, chosen)


class State(eqx.Module):
    """A network in training: what a step needs, and what it changes.

    **Arguments:**

    - `network`, `feedback`: the parameters.
    - `optimizer`, `feedback_optimizer`: the states of the optimizers.
    - `count`: the number of steps so far.
    - `key`: the random key. A step uses `jax.random.fold_in(key, count)`.
    - `hyperparameters`: the rule and the numbers of the run.
    - `objective`: the loss, and what learns.
    """

    network: Network
    feedback: Any
    optimizer: Any
    feedback_optimizer: Any
    count: Int[Array, ""]
    key: PRNGKeyArray
    hyperparameters: Hyperparameters
    objective: Objective

    @property
    def parts(self) -> TrainedParts:
        """What a step changes."""
        return TrainedParts(self.network, self.feedback, self.optimizer, self.feedback_optimizer)


class Info(NamedTuple):
    """What a step reports of its minibatch, before the update.

    Only the losses of feedback that learns after the step of the network are from after that step.

    **Arguments:**

    - `loss`: the mean loss.
    - `output`: `h_L`, shape `(batch, n_L)`.
    - `updates`: the target updates `dh_1 .. dh_L`. `None` if the feedback learns alone.
    - `feedback_losses`: the loss of each mapping, shape `(mappings,)`. `None` if the feedback does
      not learn in this step.
    """

    loss: Float[Array, ""]
    output: Float[Array, "batch ..."]
    updates: Updates | None
    feedback_losses: Float[Array, " mappings"] | None


@usual_promotion()
def init_state(recipe: Recipe, network: Network, *, seed: int = 0) -> State:
    """The state before the first `step`.

    **Arguments:**

    - `recipe`: the rule, the loss, the optimizers, and what learns. A loss of `None` is softmax
      cross-entropy. Data set, architecture, schedule and batch size are not used.
    - `network`: the network.
    - `seed`: the seed of the feedback and of the noise.

    **Returns:** the state.

    **Raises:** `TypeError` if an argument is of another kind. `ConfigError` if settings do not fit.
    """
    check_is("recipe", recipe, Recipe)
    check_network(network)
    warn_if_narrowed(network)
    if not isinstance(seed, Tracer):
        check_seed(seed)
    check_trainable(recipe.trainable, network)
    hyperparameters = numbers_of(recipe, network.dtype)
    objective = Objective(recipe.loss or SoftmaxCrossEntropy(), recipe.trainable, recipe.update_mask)
    parts = initial_parts(network, hyperparameters, jnp.uint32(seed), recipe.trainable)
    return State(
        **parts._asdict(),
        count=jnp.zeros((), jnp.int32),
        key=jax.random.key(seed),
        hyperparameters=hyperparameters,
        objective=objective,
    )


@usual_promotion()
def take_step(
    state: State, batch: tuple[Array, Array], joint: bool = True, feedback_learns: bool = True
) -> tuple[State, Info]:
    """`step` without compilation, for use inside another program."""
    check_is("state", state, State)
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise TypeError(f"`batch` is {shown(batch)}: give a pair of inputs and targets.")
    if not (joint or feedback_learns):
        raise ConfigError("Nothing learns in this step: set `joint` or `feedback_learns`.")
    (x, y), numbers, objective = batch, state.hyperparameters, state.objective
    rule, network, feedback = numbers.rule, state.network, state.feedback
    key = jax.random.fold_in(state.key, state.count)
    example = Example(objective.loss, x, y, numbers.stepsize, key)
    updates, after = None, dataclasses.replace(state, count=state.count + 1)
    if not joint:
        minibatch = prepare(rule, network, feedback, example)
        learned = rule.feedback_step(network, feedback, minibatch)
    else:
        credit = assign(rule, network, feedback, example)
        minibatch, learned, updates = credit.batch, credit.feedback, credit.updates
        gradients: Any = network_gradients(network, credit, objective.trainable, numbers.penalty)
        trained = trainable_parameters(network, objective.trainable)
        moves, optimizer = numbers.optimizer.transform().update(gradients, state.optimizer, trained)
        moved = eqx.apply_updates(network, mask_updates(objective.update_mask, moves, key))
        network, feedback = rule.post_update(network, moved, feedback, credit)
        after = dataclasses.replace(after, network=network, feedback=feedback, optimizer=optimizer)
        if rule.feedback_after_step and feedback_learns:
            learned = feedback_step_after(rule, network, feedback, minibatch)
    if not feedback_learns:
        learned = None
    if learned is not None:
        transform, trained = numbers.feedback_optimizer.transform(), parameters(feedback)
        moves, optimizer = transform.update(learned.gradients, state.feedback_optimizer, trained)
        feedback = eqx.apply_updates(feedback, moves)
        after = eqx.tree_at(lambda s: (s.feedback, s.feedback_optimizer), after, (feedback, optimizer))
    loss = jnp.mean(objective.loss.value(minibatch.output, y))
    return after, Info(loss, minibatch.output, updates, None if learned is None else learned.losses)


def step(state: State, batch: tuple[Array, Array], joint: bool = True, feedback_learns: bool = True) -> tuple[State, Info]:
    """Train on one minibatch. `train` runs the same step.

    Gradients of network and feedback are computed at the same parameters. Then both are updated.
    Only the feedback of a rule with `feedback_after_step` learns after the network has moved.

    **Arguments:**

    - `state`: the state before the step.
    - `batch`: inputs `(batch, ...)` in the input shape of the network, and targets.
    - `joint`: whether the network learns. Otherwise the feedback learns alone, as in pretraining.
    - `feedback_learns`: whether the feedback learns, if the rule trains it. Otherwise the network
      learns alone.

    **Returns:** the state after the step, and what it reports.

    **Raises:** `ConfigError` if the batch is empty, if the targets do not fit the loss, or if
    nothing learns.
    """
    after, info = _compiled_step(state, batch, joint, feedback_learns)
    check_target(state.objective.loss, info.output, batch[1])
    return after, info


_compiled_step = eqx.filter_jit(take_step)


def as_loss(loss: LossLike) -> Loss:
    """A loss. A function of outputs and targets becomes a `LossFunction`."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type) or not callable(loss):
        raise TypeError(f"`loss` is {shown(loss)}: give a Loss, such as SoftmaxCrossEntropy(), or a function.")
    return LossFunction(loss)


def check_network(network: Any) -> None:
    """Raises `TypeError` if `network` is not a `Network`."""
    if not isinstance(network, Network):
        raise TypeError(
            f"`network` is {shown(network)}, not a Network: write tp.from_equinox(model) for a model of Equinox."
        )


def check_trainable(trainable: Layers, network: Network) -> None:
    """Raises `ConfigError` if `trainable` names no layer, one twice, or one that does not exist."""
    check_layers(trainable)
    if trainable is not None and max(trainable) > network.depth:
        raise ConfigError(f"`trainable` is {trainable}: give one or more of the layers 1 to {network.depth}.")
