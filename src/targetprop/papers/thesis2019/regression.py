"""Figs 5.7, 5.8 and 5.13 to 5.19: student-teacher regression with exact or learned inverses.

Every seed has its own teacher, student and samples. All seeds of a method are one program.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._linear_algebra import pseudo_inverse
from ...data import StudentTeacherTask
from ...diagnostics.decomposition import decompose, sizes
from ...experiments.experiment import Experiment, extrapolated
from ...feedback.maps import DenseFeedback
from ...losses import MeanSquaredError, SquaredError
from ...networks.architectures import Architecture
from ...networks.layers import Dense, LayerLike, as_layer
from ...networks.network import Network, Trace
from ...rules import Backprop, Minibatch
from ...rules.contract import output_update
from ...training.program import Span, over_members, run_steps
from ...training.recipe import Recipe
from ...training.schedule import Learning
from ...training.state import Data, Hyperparameters, Member, Split, Task, initial_state
from .recipes import RegressionTask

MEASURED = 32  # test samples of which signals and angles are taken


@dataclasses.dataclass(frozen=True)
class Regression(Experiment):
    """A recipe on a task.

    Metrics, before training and after each epoch:

    - `train_loss`, `test_loss`: the mean of `||h_L - t||^2` (equation 5.50).
    - `approximation`: the mean norm of (5.59).
    - `to_signal`, `to_gauss_newton`, `to_backprop`: the mean cosines of the target update to
      (5.57), (5.60) and (5.61).

    All but the losses are there only for rules with feedback. They are taken on a test batch for
    the first hidden layer.
    """

    recipe: Recipe
    task: RegressionTask

    @property
    def steps(self) -> int:
        return self.recipe.schedule.epochs

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        members, data = (_stack(entries) for entries in zip(*(self._begin(seed) for seed in seeds), strict=True))
        epoch, measure = self._programs()
        found = [measure(members, data)]
        for number in range(1, self.steps + 1):
            members = epoch(members, data, jnp.asarray(number))
            found.append(measure(members, data))
            advance(1)
        curves = {name: np.stack([np.asarray(entry[name]) for entry in found], axis=1) for name in found[0]}
        return [{name: [float(f"{x:.4g}") for x in values[i]] for name, values in curves.items()} for i in range(len(seeds))]

    def seconds(self, seeds: Sequence[int]) -> float:
        short = dataclasses.replace(
            self, recipe=self.recipe.replace(schedule=dataclasses.replace(self.recipe.schedule, epochs=1))
        )
        return extrapolated(lambda: short.run(seeds, lambda steps: None), self.steps)

    def _begin(self, seed: int) -> tuple[Member, Data]:
        recipe, task = self.recipe, self.task
        drawn = StudentTeacherTask(
            sizes=task.sizes,
            train=task.batches * recipe.batch_size,
            test=task.test,
            seed=seed,
            negative_slope=task.negative_slope,
            distance=task.distance,
        ).draw()
        data = Data(*(jnp.asarray(getattr(drawn.data, name)) for name in ("train_x", "train_y", "test_x", "test_y")))
        network, seed_array = _student(recipe, task, drawn.weights), jnp.asarray(seed, jnp.uint32)
        numbers = jax.tree.map(
            jnp.asarray, Hyperparameters(recipe.rule, recipe.stepsize, recipe.optimizer, recipe.feedback_optimizer)
        )
        state = initial_state(network, numbers, seed_array, recipe.trainable)
        state = eqx.tree_at(lambda s: s.feedback, state, at_inverses(network, state.feedback), is_leaf=lambda x: x is None)
        split = Split(jnp.arange(len(data.x)), jnp.arange(0))
        return Member(state, numbers, split, seed_array), data

    def _programs(self) -> tuple[Callable, Callable]:
        recipe = self.recipe
        task = Task(SquaredError(), MeanSquaredError(), recipe.batch_size, recipe.trainable, recipe.update_mask)

        def epoch(member: Member, data: Data, number: Array) -> Member:
            zero, stop = jnp.asarray(0), jnp.asarray(self.task.batches)
            return member._replace(state=run_steps(task, member, data, Span(number, zero, zero, stop), Learning())[0])

        axes = (eqx.if_array(0), eqx.if_array(0), None)
        mapped = eqx.filter_vmap(epoch, in_axes=axes, out_axes=eqx.if_array(0))
        return eqx.filter_jit(mapped), eqx.filter_jit(lambda members, data: over_members(_measure, members, data))


def _student(recipe: Recipe, task: RegressionTask, weights: Sequence[np.ndarray]) -> Network:
    """The network of a recipe with given weights."""
    assert isinstance(recipe.architecture, Architecture)
    sizes, key = task.sizes, jax.random.key(0)
    network = recipe.architecture.build(sizes[:1], sizes[-1], key=key, dtype=jnp.float32)
    return eqx.tree_at(_weights, network, [jnp.asarray(w, jnp.float32) for w in weights])


def _weights(network: Network) -> list[Array]:
    return [_dense(layer).weight for layer in network.layers]


def _dense(layer: LayerLike) -> Dense:
    found = as_layer(layer).inverted_part()
    assert found is not None  # the recipes have dense layers
    return found


def at_inverses(network: Network, feedback: Any) -> Any:
    """Feedback that starts at the inverses, as in the thesis.

    Every mapping `s(Q h)` gets `Q = W^†`. Mappings of other forms start there anyway, and are not
    changed.

    **Arguments:**

    - `network`: the network.
    - `feedback`: its feedback parameters.
    """
    if not (isinstance(feedback, tuple) and all(isinstance(g, DenseFeedback) for g in feedback)):
        return feedback
    inverses = [pseudo_inverse(weight) for weight in _weights(network)[1:]]
    return eqx.tree_at(lambda maps: [g.dense.weight for g in maps], feedback, inverses)


def _stack(entries: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0], *entries)


def _measure(member: Member, data: Data) -> dict[str, Array]:
    network, numbers = member.state.network, member.hyperparameters
    found = {
        name: 2 * jnp.mean(SquaredError().value(network(x), y))
        for name, x, y in (("train_loss", data.x, data.y), ("test_loss", data.test_x, data.test_y))
    }
    if member.state.feedback is None:
        return found
    trace = network.trace(data.test_x[:MEASURED])
    dh = output_update(SquaredError(), trace.output, data.test_y[:MEASURED], numbers.stepsize)
    batch = Minibatch(trace, dh)
    parts = decompose(numbers.rule, network, member.state.feedback, batch)
    off = [reconstruction + taylor for reconstruction, taylor in zip(parts.reconstruction, parts.taylor, strict=True)]
    moved = parts.signal[0] + off[0]
    return found | {
        "approximation": jnp.mean(sizes(tuple(off))[0]),
        "to_signal": _cosine(moved, parts.signal[0]),
        "to_gauss_newton": _cosine(moved, factored_gauss_newton(network, trace, dh)),
        "to_backprop": _cosine(moved, Backprop().target_updates(network, None, batch)[0]),
    }


def factored_gauss_newton(network: Network, trace: Trace, output_update: Array) -> Float[Array, "batch n_1"]:
    """The Gauss-Newton learning signal of the first hidden layer.

    It is `W_2^† D_2^{-1} .. W_L^† D_L^{-1} dh_L`.

    **Arguments:**

    - `network`: the network.
    - `trace`: its forward pass.
    - `output_update`: `dh_L`, shape `(batch, n_L)`.

    **Returns:** the signal, shape `(batch, n_1)`.

    Source: Meulemans 2019, equation 5.60.
    """
    signal = output_update
    for layer, point in zip(network.layers[:0:-1], trace.points[:0:-1], strict=True):
        moved = (signal / as_layer(layer).slope(point)) @ pseudo_inverse(_dense(layer).weight).T
        signal = as_layer(layer).input_displacement(point.x, moved)
    return signal


def _cosine(u: Float[Array, "batch n"], v: Float[Array, "batch n"]) -> Float[Array, ""]:
    return jnp.mean(jnp.sum(u * v, axis=1) / (jnp.linalg.norm(u, axis=1) * jnp.linalg.norm(v, axis=1)))
