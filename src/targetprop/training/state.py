"""The state of a training run, and the numbers that control it."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import ConfigError
from ..losses import Loss, Score
from ..networks.layers import parameters
from ..networks.network import Network
from ..rules.contract import Minibatch, Rule
from ..rules.updates import Layers, trainable_parameters
from .masks import UpdateMask
from .optimizers import Optimizer
from .penalties import Penalty
from .recipe import Recipe


class Hyperparameters(eqx.Module):
    """The numbers of one run: the rule, the output stepsize, the optimizers and the penalty."""

    rule: Rule
    stepsize: Any
    optimizer: Optimizer
    feedback_optimizer: Optimizer
    penalty: Penalty | None = None


class Totals(NamedTuple):
    """Sums over the steps of the current pass."""

    loss: Float[Array, ""]
    score: Float[Array, ""]
    feedback_loss: Float[Array, " mappings"]


class TrainedParts(NamedTuple):
    """What a training step changes: parameters and states of the optimizers."""

    network: Network
    feedback: Any
    optimizer: Any
    feedback_optimizer: Any


class TrainingState(eqx.Module):
    """The state of one member of an ensemble.

    It holds parameters, optimizer states, and the sums of the current pass.
    """

    network: Network
    feedback: Any
    optimizer: Any
    feedback_optimizer: Any
    totals: Totals

    @property
    def parts(self) -> TrainedParts:
        """What a training step changes."""
        return TrainedParts(self.network, self.feedback, self.optimizer, self.feedback_optimizer)


class Objective(eqx.Module):
    """What a training step makes better, and what it changes.

    **Arguments:**

    - `loss`: the output loss.
    - `trainable`: the numbers of the layers that learn. 1 is the first. `None`: all layers.
    - `update_mask`: which of these layers move in a step. `None`: all of them.
    """

    loss: Loss
    trainable: Layers = eqx.field(static=True, default=None)
    update_mask: UpdateMask | None = None


class Task(eqx.Module):
    """What the members of an ensemble learn.

    **Arguments:**

    - `loss`: the output loss.
    - `score`: how the outputs on a data set are scored.
    - `batch_size`: the number of samples in a minibatch.
    - `trainable`: the numbers of the layers that learn. 1 is the first. `None`: all layers.
    - `update_mask`: which of these layers move in a step. `None`: all of them.
    """

    loss: Loss
    score: Score
    batch_size: int = eqx.field(static=True)
    trainable: Layers = eqx.field(static=True, default=None)
    update_mask: UpdateMask | None = None

    @property
    def objective(self) -> Objective:
        """The part that a single step needs."""
        return Objective(self.loss, self.trainable, self.update_mask)


class Data(NamedTuple):
    """The data set on the device, shared by all members.

    The split of each member is a set of indices into it.
    """

    x: Array
    y: Array
    test_x: Array
    test_y: Array


class Split(NamedTuple):
    """The training and validation samples of a member, as indices into the training set."""

    train: Array
    validation: Array


class Member(NamedTuple):
    """One run of an ensemble: its state, its numbers, its split and its seed."""

    state: TrainingState
    hyperparameters: Hyperparameters
    split: Split
    seed: Array


NETWORK, FEEDBACK, SPLIT, ORDER, NOISE = range(5)


def stream(seed: Array, purpose: int) -> PRNGKeyArray:
    """The random key of one purpose.

    The purposes are initial weights, initial feedback, split, data order and noise. The key
    depends only on the seed. So every rule starts from the same weights and sees the same
    minibatches.
    """
    return jax.random.fold_in(jax.random.key(seed), purpose)


def initial_parts(network: Network, hyperparameters: Hyperparameters, seed: Array, trainable: Layers = None) -> TrainedParts:
    """What the first step changes.

    **Arguments:**

    - `network`: the network.
    - `hyperparameters`: the numbers of the run.
    - `seed`: the seed.
    - `trainable`: the layers that have an optimizer state. Default: all.
    """
    return _started(network, hyperparameters, seed, trainable)[0]


def _started(network: Network, hyperparameters: Hyperparameters, seed: Array, trainable: Layers) -> tuple[TrainedParts, int]:
    """The parts, and the number of feedback losses."""
    feedback = hyperparameters.rule.init(network, key=stream(seed, FEEDBACK))
    maps = count_trained_maps(hyperparameters.rule, network, feedback)
    parts = TrainedParts(
        network,
        feedback,
        hyperparameters.optimizer.transform().init(trainable_parameters(network, trainable)),
        hyperparameters.feedback_optimizer.transform().init(parameters(feedback)) if maps else None,
    )
    return parts, maps


def initial_state(
    network: Network, hyperparameters: Hyperparameters, seed: Array, trainable: Layers = None
) -> TrainingState:
    """`initial_parts` with the sums of a pass, all zero."""
    parts, maps = _started(network, hyperparameters, seed, trainable)
    zero = jnp.zeros((), network.dtype)
    return TrainingState(*parts, Totals(zero, zero, jnp.zeros(maps, network.dtype)))


def numbers_of(recipe: Recipe, dtype: Any) -> Hyperparameters:
    """The numeric hyperparameters of a recipe as arrays, so none of them is compiled in.

    **Raises:** `ConfigError` if one is `nan`, or if the type cannot represent it.
    """
    tree = Hyperparameters(recipe.rule, recipe.stepsize, recipe.optimizer, recipe.feedback_optimizer, recipe.penalty)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if isinstance(leaf, float | jax.Array | np.ndarray) and bool(jnp.any(jnp.isnan(leaf))):
            raise ConfigError(f"{jax.tree_util.keystr(path).lstrip('.')} of the recipe is {leaf}: use a number.")
        if isinstance(leaf, int | float) and not _representable(leaf, dtype):
            name, kind = jax.tree_util.keystr(path).lstrip("."), jnp.dtype(dtype).name
            raise ConfigError(
                f"{name} of the recipe is {leaf:g}, which {kind} cannot represent: "
                f"use 0, or a size from {jnp.finfo(dtype).tiny:.1e} to {jnp.finfo(dtype).max:.1e}."
            )
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if isinstance(leaf, int | float) else leaf, tree)


def _representable(number: float, dtype: Any) -> bool:
    """Whether a number is 0, or neither too small nor too large for a type."""
    limits = jnp.finfo(dtype)
    return number == 0 or float(limits.tiny) <= abs(number) <= float(limits.max)


def count_trained_maps(rule: Rule, network: Network, feedback: Any) -> int:
    """The number of feedback losses of the rule. It is 0 if its feedback does not learn."""
    if not rule.learns_feedback:
        return 0

    def losses(rule, network, feedback):
        x = jnp.zeros((1, *network.input_shape), network.dtype)
        trace = rule.equilibrium(network, feedback, network.trace(x))
        batch = Minibatch(trace, jnp.zeros_like(trace.output), key=jax.random.key(0))
        return rule.feedback_step(network, feedback, batch).losses

    return eqx.filter_eval_shape(losses, rule, network, feedback).shape[0]
