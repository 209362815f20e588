"""How a trained network in continuous time comes to rest.

Three things are measured: how fast its layers settle, how large signal and reconstruction errors
are in each of them, and what noise does to the direction of learning.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ...data import load
from ...diagnostics.angles import backprop_gradients, layer_angles
from ...dynamics._base import Displacements, Dynamics, norms
from ...dynamics.multiplexing import Multiplex, free_bursts
from ...dynamics.targets import SoftTarget
from ...dynamics.trajectories import trajectory
from ...experiments.experiment import Experiment, extrapolated
from ...losses import Loss, Target
from ...networks.layers import difference
from ...networks.network import Network, Trace
from ...rules import Dendrites, Minibatch, Rule
from ...rules.contract import output_update
from ...rules.updates import local_gradients
from ...training.ensemble import Ensemble
from ...training.program import inputs
from ...training.recipe import Recipe
from ...training.state import Member

SAMPLES = 32  # of the test set
TIMES = np.linspace(0.0, 20.0, 81)  # in units of tau
MIXTURES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4)
NOISE = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # standard deviations, relative to each layer's activity


@dataclasses.dataclass(frozen=True)
class TrainedSettling(Experiment):
    """Train a recipe, then measure its networks on test samples.

    Metrics:

    - `free`, `taught`: how far each layer is from rest at `TIMES`, relative to the start, without
      and with a target. The median over samples, shape `(times, L)`.
    - `signal`, `reconstruction`: the norms of what each hidden layer learns from, not scaled, for
      each of `MIXTURES`. Shape `(mixtures, hidden)`.
    - `noise`: the angle in degrees between the parameter updates of each hidden layer with `NOISE`
      and those of backpropagation. Shape `(levels, hidden)`.
    """

    recipe: Recipe

    @property
    def steps(self) -> int:
        return self.recipe.schedule.epochs

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        data = load(self.recipe.dataset)
        ensemble = Ensemble([self.recipe] * len(seeds), seeds, data)
        for at in self.recipe.schedule.passes(ensemble.trained_maps > 0):
            ensemble.advance(at, 0, ensemble.steps)
            advance(int(at.ends_epoch and at.joint))
        x, y = (jnp.asarray(rows[:SAMPLES]) for rows in (data.test_x, data.test_y))
        members = [ensemble.member(i) for i in range(len(seeds))]
        return [_rounded(_measure(member, ensemble.task.loss, x, y)) for member in members]

    def seconds(self, seeds: Sequence[int]) -> float:
        schedule = dataclasses.replace(self.recipe.schedule, epochs=1)
        short = dataclasses.replace(self, recipe=self.recipe.replace(schedule=schedule))
        return extrapolated(lambda: short.run(seeds, lambda steps: None), self.steps)


class Subject(NamedTuple):
    """A trained network with a minibatch, its forward pass and its output update."""

    network: Network
    feedback: Any
    forward: Trace
    dh: Float[Array, "batch n_L"]


@eqx.filter_jit
def _measure(member: Member, loss: Loss, x: Array, y: Target) -> dict[str, Array]:
    network, feedback, numbers = member.state.network, member.state.feedback, member.hyperparameters
    forward = network.trace(inputs(network, x))
    subject = Subject(network, feedback, forward, output_update(loss, forward.output, y, numbers.stepsize))
    rule, reference = numbers.rule, backprop_gradients(network, forward, subject.dh)
    if isinstance(rule, Dendrites):
        return _measure_mixture(rule, subject, reference)
    return _measure_channels(rule, subject, reference)


def _measure_mixture(rule: Dendrites, subject: Subject, reference: Network) -> dict[str, Array]:
    network, feedback, forward, dh = subject
    batch = Minibatch(rule.equilibrium(network, feedback, forward), dh)
    motion = rule.with_target(network, feedback, batch).motion
    mixtures = jnp.asarray(MIXTURES, dh.dtype)
    signals, errors = lax.map(lambda mu: _sizes(eqx.tree_at(lambda r: r.mu, rule, mu), subject), mixtures)

    def under_noise(level, key):
        noise = _noise(key, level, motion.h)
        noisy = eqx.tree_at(lambda m: m.imbalance, motion, noise)
        taught = rule.with_target(network, feedback, batch)._replace(motion=noisy, d=rule.solver.find(noisy).displacements)
        trace, _, updates = rule.local_updates(network, taught)
        return layer_angles(local_gradients(network, trace, updates), reference)

    free = rule.circuit(network, feedback, forward).free(forward)
    return {
        "free": _unsettled(free, rule.solver.find(free).d),
        "taught": _unsettled(motion, rule.solver.find(motion).d),
        "signal": signals,
        "reconstruction": errors,
        "noise": _over_noise(under_noise),
    }


def _sizes(rule: Dendrites, subject: Subject) -> tuple[Array, Array]:
    """The norms of what each hidden layer learns from: what the target adds, and what is there
    without it.
    """
    network, feedback, forward, dh = subject
    batch = Minibatch(rule.equilibrium(network, feedback, forward), dh)
    taught = rule.with_target(network, feedback, batch)
    error = rule.signals(taught._replace(d=jax.tree.map(jnp.zeros_like, taught.d)))
    added = jax.tree.map(jnp.subtract, rule.signals(taught), error)
    return jnp.median(norms(added)[:-1], axis=1), jnp.median(norms(error)[:-1], axis=1)


def _measure_channels(rule: Rule, subject: Subject, reference: Network) -> dict[str, Array]:
    network, feedback, forward, dh = subject
    maps = rule.layerwise_maps(network, feedback, forward)
    assert maps is not None
    multiplex, points = Multiplex(network, maps), free_bursts(maps, forward.output)
    free, taught = multiplex.free(forward.h[0]), multiplex.with_target(forward, SoftTarget(dh))
    updates = rule.target_updates(network, feedback, Minibatch(forward, dh))
    errors = tuple(point.h - h for point, h in zip(points, forward.h[1:-1], strict=True))

    def under_noise(level, key):
        noise = _noise(key, level, tuple(point.h for point in points))
        noisy = [dh]
        for g, point, wrong in zip(reversed(maps), reversed(points), reversed(noise), strict=True):
            noisy.append(difference(g, point, noisy[-1]) + wrong)
        return layer_angles(local_gradients(network, forward, noisy[::-1]), reference)

    size, error = (jnp.median(norms(part), axis=1) for part in (updates[:-1], errors))
    return {
        "free": _unsettled(free, free.rest()),
        "taught": _unsettled(taught, taught.rest())[:, network.depth :],
        "signal": size[None],
        "reconstruction": error[None],
        "noise": _over_noise(under_noise),
    }


def _unsettled(motion: Dynamics, rest: Displacements) -> Float[Array, "times parts"]:
    """How far each part is from `rest` at `TIMES`, relative to the start, the median over samples.

    It is `nan` for parts that do not move.
    """
    course = trajectory(motion, jnp.asarray(TIMES, rest[0].dtype))
    way = norms(rest)
    left = jnp.stack([norms(tuple(x[k] - end for x, end in zip(course, rest, strict=True))) for k in range(len(TIMES))])
    return jnp.median(left / jnp.where(way > 0, way, jnp.nan), axis=2)


def _noise(key: Array, level: Any, like: Displacements) -> Displacements:
    """The difference of the noise in two phases.

    In each, the noise of a layer has the standard deviation `level`, relative to its activity.
    """

    def one(i, h):
        draw = jax.random.normal(jax.random.fold_in(key, i), h.shape, h.dtype)
        return 2**0.5 * level * jnp.sqrt(jnp.mean(h**2)) * draw

    return tuple(one(i, h) for i, h in enumerate(like))


def _over_noise(angles: Callable) -> Array:
    keys = jax.random.split(jax.random.key(0), len(NOISE))
    return lax.map(lambda one: angles(*one), (jnp.asarray(NOISE), keys))


def _rounded(found: dict[str, Array]) -> dict[str, Any]:
    def plain(values):
        if isinstance(values, list):
            return [plain(value) for value in values]
        return float(f"{values:.4g}") if np.isfinite(values) else None

    return {name: plain(np.asarray(values, float).tolist()) for name, values in found.items()}
