"""An ensemble on the device: its members, and the control of the compiled program."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..data import Dataset
from ..diagnostics import Probe
from ..errors import ConfigError
from ..losses import (
    ErrorRate,
    Loss,
    LossOnFirstUnits,
    MeanSquaredError,
    Score,
    ScoreOnFirstUnits,
    SoftmaxCrossEntropy,
    SquaredError,
)
from ..networks.architectures import Architecture
from ..networks.network import Network
from ..rules.updates import Layers
from . import program
from .recipe import Recipe
from .schedule import Pass
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
    stream,
)


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
        classify = dataset.classes is not None
        loss = recipe.loss or (SoftmaxCrossEntropy() if classify else SquaredError())
        if isinstance(loss, SoftmaxCrossEntropy) and not classify:
            raise ConfigError(
                f"Cross-entropy needs labels, but {dataset.name} has real targets: use the squared-error `loss`."
            )
        score = ErrorRate() if classify else MeanSquaredError()
        targets = None if classify else dtype
        self.data = Data(
            jnp.asarray(dataset.train_x, dtype),
            jnp.asarray(dataset.train_y, targets),
            jnp.asarray(dataset.test_x, dtype),
            jnp.asarray(dataset.test_y, targets),
        )
        samples = len(dataset.train_x)
        validation = validation_size(recipe, dataset)
        self.steps = (samples - validation) // recipe.batch_size
        if self.steps < 1:
            raise ConfigError(
                f"A batch of {recipe.batch_size} is larger than the {samples - validation} training samples: "
                "use a smaller `batch_size` or a smaller `validation`."
            )
        sizes = samples, validation
        plan = _Plan(recipe.architecture, dataset.shape, dataset.outputs, sizes, dtype, recipe.trainable)
        self.members = _stack(
            [
                _member(dataclasses.replace(plan, architecture=r.architecture), _numbers(r, dtype), seed)
                for r, seed in zip(recipes, np.asarray(seeds, np.uint32), strict=True)
            ]
        )
        one = self.member(0)
        loss, score = _on_first_units(loss, score, one.state.network, dataset)
        self.task = Task(loss, score, recipe.batch_size, recipe.trainable, recipe.update_mask)
        self.trained_maps = count_trained_maps(one.hyperparameters.rule, one.state.network, one.state.feedback)
        self.alive = np.ones(len(seeds), bool)

    def member(self, index: int) -> Member:
        """One member, without the ensemble axis."""
        return _one(self.members, index)

    def compile(self, joint: bool) -> None:
        """Compile the program of a kind of pass. No step is run."""
        self._advance(self.members, Pass(0, 0, joint, False), 0, 0)

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
        return program.advice(self.task, _one(members, index), self.data, _span(at, step, step + 1))

    def _advance(self, members: Member, at: Pass, start: int, stop: int):
        span, alive = _span(at, start, stop), jnp.asarray(self.alive)
        done = program.advance(self.task, members, alive, self.data, span, at.joint)
        return jax.block_until_ready(done)


def _span(at: Pass, start: int, stop: int) -> program.Span:
    """Some steps of a pass."""
    return program.Span(*(jnp.asarray(n, jnp.int32) for n in (at.epoch, at.index, start, stop)))


def _on_first_units(loss: Loss, score: Score, network: Network, dataset: Dataset) -> tuple[Loss, Score]:
    """The loss and the score. If the output has auxiliary units, they use its first units only."""
    width = math.prod(network.shapes[-1])
    if width < dataset.outputs:
        raise ConfigError(
            f"The network has {width} outputs, but {dataset.name} needs {dataset.outputs}: make its last layer wider."
        )
    if width == dataset.outputs:
        return loss, score
    return LossOnFirstUnits(loss, dataset.outputs), ScoreOnFirstUnits(score, dataset.outputs)


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


def _numbers(recipe: Recipe, dtype: Any) -> Hyperparameters:
    """The numeric hyperparameters of a recipe as arrays, so none of them is compiled in.

    **Raises:** `ConfigError` if one is `nan`.
    """
    tree = Hyperparameters(recipe.rule, recipe.stepsize, recipe.optimizer, recipe.feedback_optimizer, recipe.penalty)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if isinstance(leaf, float | jax.Array | np.ndarray) and bool(jnp.any(jnp.isnan(leaf))):
            raise ConfigError(f"{jax.tree_util.keystr(path).lstrip('.')} of the recipe is {leaf}: use a number.")
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if isinstance(leaf, int | float) else leaf, tree)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What is fixed when a member is made.

    It is the network, the samples for training and validation, the type, and the layers that
    learn.
    """

    architecture: Architecture
    shape: tuple[int, ...]
    outputs: int
    sizes: tuple[int, int]
    dtype: Any
    trainable: Layers


@eqx.filter_jit
def _member(plan: _Plan, hyperparameters: Hyperparameters, seed: jax.Array) -> Member:
    (samples, validation), trainable = plan.sizes, plan.trainable
    network = plan.architecture.build(plan.shape, plan.outputs, key=stream(seed, NETWORK), dtype=plan.dtype)
    if trainable is not None and not (trainable and set(trainable) <= set(range(1, network.depth + 1))):
        raise ConfigError(f"`trainable` is {trainable}: give one or more of the layers 1 to {network.depth}.")
    order = jax.random.permutation(stream(seed, SPLIT), samples)
    split = Split(order[validation:], order[:validation])
    return Member(initial_state(network, hyperparameters, seed, trainable), hyperparameters, split, seed)


def _one(members: Member, index: int) -> Member:
    return jax.tree.map(lambda leaf: leaf[index] if eqx.is_array(leaf) else leaf, members)


def _stack(members: Sequence[Member]) -> Member:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0], *members)
