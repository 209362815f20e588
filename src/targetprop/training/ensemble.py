"""An ensemble on the device: its members, and the control of the compiled program."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._memory import check_memory
from ..data import Dataset
from ..diagnostics import Probe
from ..errors import ConfigError
from ..feedback.noise import Noise
from ..networks.architectures import Architecture, build_network
from ..networks.network import Network
from ..rules.updates import Layers
from . import program
from .criteria import loss_and_score, output_loss, test_arrays, training_arrays
from .recipe import Recipe
from .schedule import Learning, Pass
from .state import (
    NETWORK,
    SPLIT,
    Data,
    Hyperparameters,
    Member,
    Split,
    Task,
    count_trained_maps,
    initial_state,
    numbers_of,
    stream,
)
from .step import check_trainable


class Ensemble:
    """Runs of one recipe with different seeds, trained as one program.

    Their recipes may differ in numbers, but in nothing else.

    **Arguments:**

    - `recipes`: one recipe per member.
    - `seeds`: one seed per member.
    - `dataset`: the data set.

    **Raises:** `ConfigError` if the recipes differ in more than numbers, or if the batch is larger
    than the training set.
    """

    def __init__(self, recipes: Sequence[Recipe], seeds: Sequence[int], dataset: Dataset):
        check_alike(recipes, seeds)
        recipe = recipes[0]
        dtype = jnp.dtype(recipe.dtype)
        loss = output_loss(recipe.loss, dataset)
        self.data = Data(*training_arrays(dataset, dtype), *test_arrays(dataset, dtype))
        self.shape, self.outputs = dataset.shape, dataset.outputs
        samples = len(dataset.train_x)
        validation = validation_size(recipe, dataset)
        self.steps = (samples - validation) // recipe.batch_size
        if self.steps < 1:
            raise ConfigError(
                f"A batch of {recipe.batch_size} is larger than the {samples - validation} training samples: "
                "use a smaller `batch_size` or a smaller `validation`."
            )
        sizes = samples, validation
        _check_fits(recipe, dataset, len(seeds))
        recipes = [_over_run(each, self.steps) for each in recipes]
        plan = _Plan(recipe.architecture, dataset.shape, dataset.outputs, sizes, dtype, recipe.trainable)
        self.members = stack(
            [
                _member(plan._replace(architecture=r.architecture), numbers_of(r, dtype), seed)
                for r, seed in zip(recipes, np.asarray(seeds, np.uint32), strict=True)
            ]
        )
        one = self.member(0)
        loss, score = loss_and_score(loss, one.state.network, dataset)
        self.task = Task(loss, score, recipe.batch_size, recipe.trainable, recipe.update_mask)
        self.trained_maps = count_trained_maps(one.hyperparameters.rule, one.state.network, one.state.feedback)
        self.alive = np.ones(len(seeds), bool)

    def member(self, index: int) -> Member:
        """One member, without the ensemble axis."""
        return one_of(self.members, index)

    def compile(self, learning: Learning) -> None:
        """Compile the program of a kind of pass. No step is run."""
        self._advance(self.members, Pass(0, 0, learning.network, False, learning.feedback), 0, 0)

    def advance(self, at: Pass, start: int, stop: int) -> program.Checkup:
        """Run the steps `start .. stop - 1` of a pass.

        **Returns:** the health of the members. Its arrays have the member as leading axis.
        """
        states, health = self._advance(self.members, at, start, stop)
        self.members = self.members._replace(state=states)
        return jax.tree.map(np.asarray, health)

    def locate(
        self, before: Member, at: Pass, start: int, stop: int, index: int
    ) -> tuple[int, program.Checkup, Sequence[str]]:
        """The first step after which a member is not finite, found by bisection.

        **Arguments:**

        - `before`: the members before the run of steps.
        - `at`, `start`, `stop`: the steps `start .. stop - 1` of a pass.
        - `index`: the member.

        **Returns:** the step, the health of the member after it, and the advice of its rule.
        """
        good, bad = start, stop
        while bad - good > 1:
            middle = (good + bad) // 2
            health = self._advance(before, at, start, middle)[1]
            good, bad = (middle, bad) if healthy(health, index) else (good, middle)
        health = jax.tree.map(lambda leaf: np.asarray(leaf)[index], self._advance(before, at, start, bad)[1])
        last_good = before._replace(state=self._advance(before, at, start, bad - 1)[0])
        return bad - 1, health, self._advice(last_good, at, bad - 1, index)

    def advice(self, at: Pass, step: int, index: int) -> Sequence[str]:
        """The advice of the rule of member `index` on the minibatch of a future step."""
        return self._advice(self.members, at, step, index)

    def restore(self, saved: Member, index: int) -> None:
        """Restore member `index` from `saved`, and do not train it any more."""

        def pick(now, then):
            return now.at[index].set(then[index]) if eqx.is_array(now) else now

        self.members = jax.tree.map(pick, self.members, saved)
        self.alive[index] = False

    def assess(self) -> tuple[program.Evaluation | None, program.Evaluation]:
        """Validation (or `None`) and test evaluation, with arrays of shape `(members,)`."""
        return jax.tree.map(np.asarray, program.assess(self.task, self.members, self.data))

    def diagnose(self, probe: Probe, at: Pass, step: int) -> dict[str, np.ndarray]:
        """The values of a probe just before a step. The arrays have the member as leading axis."""
        # One program per member: several batches of small decompositions in one loop can block
        # XLA forever on a CPU with few cores.
        span = _span(at, step, step + 1)
        members = (self.member(i) for i in range(len(self.alive)))
        found = [program.diagnose(self.task, probe, member, self.data, span) for member in members]
        return jax.tree.map(lambda *values: np.stack(values), *found)

    def _advice(self, members: Member, at: Pass, step: int, index: int) -> Sequence[str]:
        return program.advice(self.task, one_of(members, index), self.data, _span(at, step, step + 1))

    def _advance(self, members: Member, at: Pass, start: int, stop: int):
        span, alive = _span(at, start, stop), jnp.asarray(self.alive)
        done = program.advance(self.task, members, alive, self.data, span, at.learning)
        return jax.block_until_ready(done)


def _span(at: Pass, start: int, stop: int) -> program.Span:
    """Some steps of a pass."""
    return program.Span(*(jnp.asarray(n, jnp.int32) for n in (at.epoch, at.index, start, stop)))


def _over_run(recipe: Recipe, steps: int) -> Recipe:
    """The recipe with optimizers whose schedules last as long as the run.

    **Arguments:**

    - `recipe`: the recipe.
    - `steps`: the number of steps in a pass.
    """
    passes = recipe.schedule.passes(recipe.rule.learns_feedback)
    return recipe.replace(
        optimizer=recipe.optimizer.over(passes.joint * steps),
        feedback_optimizer=recipe.feedback_optimizer.over(passes.of_feedback * steps),
    )


def _check_fits(recipe: Recipe, dataset: Dataset, members: int) -> None:
    """Check by arithmetic that the members and a minibatch fit into the memory.

    A member is its parameters with the states of the optimizers. A minibatch has the activities of
    the network, once for each sample of the noise.

    **Raises:** `ConfigError` if they do not fit.
    """
    one = structure(recipe, dataset.shape, dataset.outputs).state
    own = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(one) if hasattr(leaf, "dtype"))
    seeds = "one seed" if members == 1 else f"{members} seeds"
    check_memory(members * own, f"The parameters and the optimizers of {seeds}")
    activities = recipe.batch_size * sum(map(math.prod, one.network.shapes)) * jnp.dtype(recipe.dtype).itemsize
    samples = _noise_samples(recipe.rule)
    check_memory(samples * activities, f"The activities of a minibatch with {samples} `samples` of the noise")


def _noise_samples(part: Any) -> int:
    """The largest number of draws of the noise in a rule or in a part of it."""
    own = [part.samples] if isinstance(part, Noise) else [1]
    fields = dataclasses.fields(part) if dataclasses.is_dataclass(part) else ()
    return max(*own, 1, *(_noise_samples(getattr(part, field.name)) for field in fields if hasattr(part, field.name)))


def validation_size(recipe: Recipe, dataset: Dataset) -> int:
    """The number of training samples that a recipe keeps for validation.

    **Raises:** `ConfigError` if there are not so many.
    """
    size = dataset.validation if recipe.validation is None else recipe.validation
    if not 0 <= size < len(dataset.train_x):
        raise ConfigError(
            f"`validation` is {size}, but there are {len(dataset.train_x)} training samples: "
            f"use a number from 0 to {len(dataset.train_x) - 1}."
        )
    return size


def healthy(health: program.Checkup, index: int) -> bool:
    """Whether everything of member `index` is finite."""
    return all(bool(np.all(np.asarray(leaf)[index])) for leaf in health)


def check_alike(recipes: Sequence[Recipe], seeds: Sequence[int]) -> None:
    """Raises `ConfigError` if the recipes cannot be trained together, one for each seed."""
    if not seeds or len(recipes) != len(seeds):
        raise ConfigError(
            f"There are {len(recipes)} recipes for {len(seeds)} seeds: give at least one seed, and one recipe for each."
        )
    numeric = {field.name for field in dataclasses.fields(Hyperparameters)}
    for name in (field.name for field in dataclasses.fields(Recipe)):
        values = [getattr(recipe, name) for recipe in recipes]
        kinds = [jax.tree.structure(value) for value in values] if name in numeric else values
        if any(kind != kinds[0] for kind in kinds):
            raise ConfigError(
                f"Recipes that are trained together may only differ in numbers, not in {name}: train them separately."
            )


class _Plan(NamedTuple):
    """What is fixed when a member is made.

    It is the network, the samples for training and validation, the type, and the layers that
    learn.
    """

    architecture: Architecture | Network
    shape: tuple[int, ...]
    outputs: int
    sizes: tuple[int, int]
    dtype: Any
    trainable: Layers


@eqx.filter_jit
def _member(plan: _Plan, hyperparameters: Hyperparameters, seed: jax.Array) -> Member:
    (samples, validation), trainable = plan.sizes, plan.trainable
    network = build_network(plan.architecture, plan.shape, plan.outputs, key=stream(seed, NETWORK), dtype=plan.dtype)
    check_trainable(trainable, network)
    order = jax.random.permutation(stream(seed, SPLIT), samples)
    split = Split(order[validation:], order[:validation])
    return Member(initial_state(network, hyperparameters, seed, trainable), hyperparameters, split, seed)


def one_of(stacked: Any, index: int) -> Any:
    """One entry of a pytree whose arrays have the member as leading axis."""
    return jax.tree.map(lambda leaf: leaf[index] if eqx.is_array(leaf) else leaf, stacked)


def structure(recipe: Recipe, shape: tuple[int, ...], outputs: int) -> Member:
    """A member of an ensemble with shapes in place of arrays. Its split is of one sample.

    **Arguments:**

    - `recipe`: the recipe.
    - `shape`, `outputs`: the shape of one input, and the number of outputs of the data set.
    """
    dtype, recipe = jnp.dtype(recipe.dtype), _over_run(recipe, 1)
    plan = _Plan(recipe.architecture, shape, outputs, (1, 0), dtype, recipe.trainable)
    return eqx.filter_eval_shape(_member, plan, numbers_of(recipe, dtype), jnp.zeros((), jnp.uint32))


def stack(members: Sequence[Any]) -> Any:
    """Pytrees of one structure as one, whose arrays have the member as leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0], *members)
