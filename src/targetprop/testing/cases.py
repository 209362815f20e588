"""What the checks of a rule run on: small networks, a minibatch and a training set."""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..feedback.reconstruction import FeedbackStep
from ..losses import ErrorRate, SoftmaxCrossEntropy
from ..networks.activations import Identity, LeakyReLU, Tanh
from ..networks.initializers import orthogonal
from ..networks.invertible import invertible_mlp
from ..networks.layers import Dense, parameters
from ..networks.network import Network, mlp
from ..networks.requirements import Requirement
from ..rules.contract import Example, Rule, assign
from ..rules.updates import local_gradients
from ..training import program
from ..training.optimizers import Adam
from ..training.schedule import Learning
from ..training.state import NETWORK, Data, Hyperparameters, Member, Split, Task, TrainingState, initial_state, stream

SIZES = (7, 6, 4, 3)
STEPS = 4
LOSS = SoftmaxCrossEntropy()
TASK = Task(LOSS, ErrorRate(), batch_size=4)
LABELS = (0, 2, 1, 1)


def network_for(rule: Rule, key: Any) -> Network:
    """A small network that meets the requirements of the rule."""
    if Requirement.INVERTIBLE_LAYERS in rule.requires:
        return invertible_mlp(SIZES, LeakyReLU(0.1), initializer=orthogonal(), key=key)
    invertible = Requirement.INVERTIBLE_ACTIVATIONS in rule.requires
    return mlp(SIZES, LeakyReLU() if invertible else Tanh(), key=key)


def numbers(*shape: int) -> jax.Array:
    """Normal numbers of a given shape, always the same."""
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.result_type(float))


class Inputs(NamedTuple):
    """The inputs of a check."""

    rule: Rule
    network: Network
    feedback: Any
    x: jax.Array
    y: jax.Array


class Outcome(NamedTuple):
    """What a rule computes.

    **Arguments:**

    - `h`: the activities.
    - `output_update`: `dh_L`.
    - `updates`: the target updates at the activities `h`.
    - `credited`: the activities and target updates from which the network learns.
    - `gradients`: the gradients of the network.
    - `step`: what the feedback learns, or `None`.
    """

    h: tuple
    output_update: jax.Array
    updates: tuple
    credited: tuple[tuple, tuple]
    gradients: Network
    step: FeedbackStep | None


@eqx.filter_jit
def ask(inputs: Inputs, key: Any) -> Outcome:
    """What a rule computes from a minibatch."""
    rule, network, feedback, x, y = inputs
    credit = assign(rule, network, feedback, Example(LOSS, x, y, 0.1, key))
    batch = credit.batch
    updates = rule.target_updates(network, feedback, batch)
    gradients = local_gradients(network, credit.trace, credit.updates)
    step = rule.feedback_step(network, feedback, batch)
    return Outcome(batch.h, batch.output_update, updates, (credit.trace.h, credit.updates), gradients, step)


def double(tree: Any) -> Any:
    """The tree with its floating-point arrays in double precision."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if eqx.is_inexact_array(leaf) else leaf, tree)


class Case:
    """A rule on a small network. The results in float32 and in float64 are computed once."""

    def __init__(self, rule: Rule):
        self.rule, self.key = rule, jax.random.key(0)
        self.network = network_for(rule, self.key)
        feedback = rule.init(self.network, key=jax.random.key(2))
        self.inputs = Inputs(rule, self.network, feedback, numbers(4, SIZES[0]), jnp.array(LABELS))

    @functools.cached_property
    def single(self) -> Outcome:
        """The result in float32."""
        return ask(self.inputs, self.key)

    @functools.cached_property
    def double(self) -> Outcome:
        """The result in float64."""
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, ask(double(self.inputs), self.key))


class Training:
    """A joint pass of a few steps with one rule, in double precision.

    It counts how often it is compiled.
    """

    def __init__(self, rule: Rule):
        self.rule, self.traces = rule, 0
        self.alone = eqx.filter_jit(self._run)
        self.batched = eqx.filter_jit(eqx.filter_vmap(self._run, in_axes=(eqx.if_array(0), None)))

    @functools.cached_property
    def reference(self) -> TrainingState:
        """The state after the pass."""
        return self.alone(self.member(0), samples())

    def member(self, seed: int, learning_rate: float = 1e-2, scale: float = 1.0) -> Member:
        """A run before its first step. `scale` multiplies every number of the rule."""
        seed_array = jnp.asarray(seed, jnp.uint32)
        rule = jax.tree.map(lambda leaf: jnp.asarray(scale * leaf), self.rule)
        adam = Adam(jnp.asarray(learning_rate))  # pyright: ignore[reportArgumentType]
        hyperparameters = Hyperparameters(rule, jnp.asarray(0.1 * scale), adam, adam)
        network = network_for(rule, stream(seed_array, NETWORK))
        split = Split(jnp.arange(16), jnp.arange(16, 24))
        return Member(initial_state(network, hyperparameters, seed_array), hyperparameters, split, seed_array)

    def _run(self, one: Member, data: Data) -> TrainingState:
        self.traces += 1
        first, start, stop = (jnp.asarray(n) for n in (1, 0, STEPS))
        return program.run_steps(TASK, one, data, program.Span(first, jnp.asarray(0), start, stop), Learning())[0]


def samples() -> Data:
    """A training set of 24 samples, the last 8 for validation, and a test set of 8."""
    inputs = numbers(32, SIZES[0])
    return Data(inputs[:24], jnp.arange(24) % 3, inputs[24:], jnp.arange(8) % 3)


class Convolution(eqx.Module):
    """A strided convolution with tanh, on batches of images: a layer that is not dense."""

    conv: eqx.nn.Conv2d

    def __call__(self, x: jax.Array) -> jax.Array:
        """The layer on a batch of images."""
        return jnp.tanh(jax.vmap(self.conv)(x))


def flatten(x: jax.Array) -> jax.Array:
    """One row per image."""
    return x.reshape(x.shape[0], -1)


def image_network() -> Network:
    """A network with a convolution and a plain function as layers."""
    key = jax.random.key(0)
    conv = Convolution(eqx.nn.Conv2d(1, 2, 3, stride=2, key=key))
    return Network([conv, flatten, Dense.create((8, 3), Identity(), key=key)], (1, 5, 5))


def same(one: Any, other: Any) -> bool:
    """Whether two trees have exactly the same parameters."""
    leaves, others = jax.tree.leaves(parameters(one)), jax.tree.leaves(parameters(other))
    return all(np.array_equal(a, b) for a, b in zip(leaves, others, strict=True))


def distance(one: Any, other: Any) -> float:
    """The largest distance of two leaves, relative to the norm of the second.

    It is infinite for trees of different structures.
    """
    if jax.tree.structure(one) != jax.tree.structure(other):
        return np.inf
    worst: float = 0.0
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        off, size = np.linalg.norm(a - b), np.linalg.norm(b)
        worst = max(worst, 0.0 if off == 0 else np.inf if size == 0 else float(off / size))
    return worst
