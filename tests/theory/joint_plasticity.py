"""Weights that learn continuously, together with the activities: one equation for both.

    tau dh_i/dt = -h_i + forward f_i(h_{i-1}) + backward g_i(h_{i+1})
        dW_i/dt = eta_i D_i dh_i h_{i-1}^T    eta_i = eta rho^-(L+1-i),  rho = mu / (1 - mu)
        dQ_i/dt = -eta^inv d/dQ_i ( ||g_i(h_{i+1}) - h_i||^2 + penalty )

In a single phase `dh_i = h_i - f_i(h_{i-1})` (Meulemans 2019, equations 6.17 and 6.26). In two
phases the second line holds in the learning phase only, with `dh_i = h_i - h^f_i` (6.35), and the
third in the free phase only (6.37). All sums over samples are means over the batch. What moves
are displacements of the activities and changes of the weights, so float32 keeps the digits of
both.
"""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from targetprop.dynamics._base import Displacements
from targetprop.dynamics._engine import IntegrationMethod, Problem, at_times, explicit_solver
from targetprop.dynamics.circuit import Circuit, Motion, scaled_up
from targetprop.dynamics.targets import OutputTarget
from targetprop.dynamics.trajectories import typical_sizes
from targetprop.errors import ConfigError
from targetprop.feedback.learners import ActivityReconstruction
from targetprop.feedback.maps import DenseFeedback, InverseFeedback
from targetprop.networks.layers import Activity, Dense, Point, parameters
from targetprop.networks.network import Network


class Rates(NamedTuple):
    """Learning rates per time constant `tau`.

    - `forward`: `eta`, the rate of the output layer before it is divided by `rho`.
    - `backward`: `eta^inv`, half of the thesis's.
    """

    forward: Any
    backward: Any


class Changes(NamedTuple):
    """How far everything has moved.

    - `d`: the activities of the layers 1 .. L.
    - `network`, `maps`: the parameters of the network and of its feedback mappings, in the
      structure of `parameters(...)`.
    """

    d: Displacements
    network: Any
    maps: Any


class Outcome(NamedTuple):
    """The result of presenting a minibatch.

    - `network`, `maps`: the network and its feedback mappings at the end.
    - `course`: for each phase the changes at the given times, on a leading axis.
    """

    network: Network
    maps: Sequence[Any]
    course: tuple[Changes, ...]


class _Plastic(eqx.Module):
    """A motion during which the weights learn, as changes from what they are in it."""

    motion: Motion
    learner: ActivityReconstruction
    rates: Rates

    reconstructs: ClassVar[bool]  # whether the mappings learn

    @abc.abstractmethod
    def signals(self, d: Displacements, feedforward: Sequence[Activity]) -> Displacements | None:
        """What each layer learns from, unscaled; `None` if the forward weights are fixed."""

    @property
    def start(self) -> Changes:
        circuit = self.motion.circuit
        return Changes(
            self.motion.start, *jax.tree.map(jnp.zeros_like, (parameters(circuit.network), parameters(circuit.maps)))
        )

    def velocity(self, changes: Changes) -> Changes:
        circuit, d = self.motion.circuit, changes.d
        below = (jnp.zeros_like(self.motion.points[0].x), *d[:-1])
        layers = zip(circuit.network.layers, changes.network.layers, self.motion.points, below, strict=True)
        maps = zip(circuit.maps, changes.maps, self.motion.above, d[1:], strict=True)
        feedforward, feedback = [_moved(*each) for each in layers], [_moved_back(*each) for each in maps]
        h = [point.x + dx for point, dx in zip(self.motion.points, below, strict=True)]
        h.append(self.motion.h[-1] + d[-1])
        balance = self.motion.balance(d, feedforward, feedback)
        return Changes(balance, self._forward(changes, h, d, feedforward), self._backward(changes, h))

    def _forward(self, changes, h, d, feedforward):
        signals = self.signals(d, feedforward)
        if signals is None:
            return jax.tree.map(jnp.zeros_like, changes.network)
        circuit = self.motion.circuit
        pullbacks = eqx.apply_updates(circuit.network, changes.network).trace_at(h[:-1]).pullbacks
        rate = self.rates.forward / h[0].shape[0]
        updates = scaled_up(signals, circuit.gains.backward)
        layers = tuple(pullback(rate * dh)[0] for pullback, dh in zip(pullbacks, updates, strict=True))
        return eqx.tree_at(lambda tree: tree.layers, changes.network, layers)

    def _backward(self, changes, h):
        maps = eqx.apply_updates(self.motion.circuit.maps, changes.maps)
        if not self.reconstructs or not maps:
            return jax.tree.map(jnp.zeros_like, changes.maps)
        learned = self.learner.reconstruct(maps, h[2:], h[1:-1])
        return jax.tree.map(lambda gradient: -self.rates.backward * gradient, learned.gradients)

    def follow(self, times: Float[Array, " times"], tolerance: Any, steps: int) -> Changes:
        """The changes at `times`, on a leading axis."""
        problem = Problem(self.velocity, self.start, self._scale(tolerance))
        return at_times(problem, times, IntegrationMethod(explicit_solver(), tolerance, steps))

    def _scale(self, tolerance):
        """The size of each part after about the time `tau`."""
        _, d = self.motion.sweep(self.motion.start)
        learned = self.velocity(self.start._replace(d=d))
        # a reconstruction error is a difference of activities, with their rounding, which no step
        # should follow
        known = sum(jnp.mean(h**2) for h in self.motion.h) * jnp.finfo(d[0].dtype).eps / tolerance
        maps = jax.tree.map(lambda size: jnp.maximum(size, self.rates.backward * known), _rms(learned.maps))
        pushed = self.velocity(learned._replace(d=self.motion.start)).d
        sizes = typical_sizes(eqx.tree_at(lambda motion: motion.imbalance, self.motion, pushed))
        return Changes(sizes, _rms(learned.network), maps)


class _SinglePhase(_Plastic):
    """Both kinds of weights learn (Meulemans 2019, equations 6.17 and 6.26)."""

    reconstructs: ClassVar[bool] = True

    def signals(self, d, feedforward):
        return self.motion.local_error(d, feedforward)


class _FreePhase(_Plastic):
    """The backward weights learn (Meulemans 2019, equation 6.37)."""

    reconstructs: ClassVar[bool] = True

    def signals(self, d, feedforward):
        return None


class _LearningPhase(_Plastic):
    """The forward weights learn (Meulemans 2019, equation 6.35).

    The motion begins at `h^f`, which each neuron remembers by a slow signal of its own.
    """

    reconstructs: ClassVar[bool] = False

    def signals(self, d, feedforward):
        return d


def learn_in_a_single_phase(
    motion: Motion,
    learner: ActivityReconstruction,
    rates: Rates,
    times: Float[Array, " times"],
    *,
    tolerance: Any = 1e-5,
    steps: int = 100_000,
) -> Outcome:
    """Activities, forward and backward weights move together, for one minibatch.

    For circuits of `Gains.mixing`.

    **Arguments:**

    - `motion`: the circuit with its target (`Circuit.with_target`).
    - `learner`: how the mappings of the circuit learn, with their penalty.
    - `rates`: the learning rates.
    - `times`: ascending, in units of `tau`. The last one is the end.
    - `tolerance`: the error per step, relative to what moves.
    - `steps`: the largest number of steps.

    **Raises:** `ConfigError` for layers that are not dense or mappings that do not learn, and
    what Diffrax raises if the motion diverges.
    """
    _check(motion.circuit)
    course = _SinglePhase(motion, learner, rates).follow(times, tolerance, steps)
    return Outcome(*_ended(motion.circuit, course), (course,))


class PhaseTimes(NamedTuple):
    """The times of two phases, each ascending, in units of `tau`, and counted from its start.

    - `free`: the times of the free phase. The last one is its end.
    - `learning`: the times of the learning phase.
    """

    free: Float[Array, " times"]
    learning: Float[Array, " times"]


def learn_in_two_phases(
    motion: Motion,
    target: OutputTarget,
    learner: ActivityReconstruction,
    rates: Rates,
    times: PhaseTimes,
    *,
    tolerance: Any = 1e-5,
) -> Outcome:
    """First activities and backward weights move, then activities and forward weights.

    What is not at rest at the end of the free phase goes on moving in the learning phase, and the
    weights learn it. If `motion` begins at the free equilibrium (`Circuit.with_target`, with a
    `SoftTarget` of zeros), only the lag of the activities behind the backward weights is left. It
    is of the order of `mu * rates.backward`, beside the signal's `rho^(L+1-i)`.

    **Arguments:**

    - `motion`: the free circuit (`Circuit.free`).
    - `target`: what the output layer receives in the learning phase.
    - `times`: the times of both phases.
    - the others as in `learn_in_a_single_phase`.

    **Returns:** an outcome with two courses.
    """
    _check(motion.circuit)
    phase, steps = _FreePhase(motion, learner, rates), 100_000
    first = phase.follow(times.free, tolerance, steps)
    end = jax.tree.map(lambda x: x[-1], first)
    network, maps = _ended(motion.circuit, first)
    h = tuple(h + d for h, d in zip(motion.h, end.d, strict=True))
    points = network.trace_at((motion.points[0].x, *h[:-1])).points
    above = tuple(g.at(over) for g, over in zip(maps, h[1:], strict=True))
    circuit = eqx.tree_at(lambda c: c.maps, motion.circuit, maps)
    nothing = jax.tree.map(jnp.zeros_like, h)
    learning = Motion(circuit, h, points, above, phase.velocity(end).d, nothing, target)
    second = _LearningPhase(learning, learner, rates).follow(times.learning, tolerance, steps)
    return Outcome(*_ended(circuit, second), (first, second))


def _ended(circuit: Circuit, course: Changes) -> tuple[Network, Sequence[Any]]:
    moved = jax.tree.map(lambda x: x[-1], (course.network, course.maps))
    return eqx.apply_updates(circuit.network, moved[0]), eqx.apply_updates(circuit.maps, moved[1])


def _check(circuit: Circuit) -> None:
    for i, layer in enumerate(circuit.network.layers, start=1):
        if not isinstance(layer, Dense):
            raise ConfigError(
                f"Weights learn together with the activities in dense layers, but layer {i} is a {type(layer).__name__}: "
                "use a dense one, or train at the equilibrium."
            )
    for i, g in enumerate(circuit.maps, start=1):
        if not isinstance(g, DenseFeedback | InverseFeedback):
            raise ConfigError(
                f"Weights learn together with the activities in mappings of their own, but that to layer {i} is of "
                f"type {type(g).__name__}: use Layerwise or LearnedInverses, or train at the equilibrium."
            )


def _moved(layer: Any, change: Any, point: Point, dx: Activity) -> Activity:
    """How the output of a dense layer moves with its input and the change of its parameters."""
    return layer.activation.difference(point.a, _current(layer, change, point.x, dx))


def _current(layer: Dense, change: Any, x: Activity, dx: Activity) -> Activity:
    """`(W + dW) (x + dx) + db - W x`."""
    x, dx = (each.reshape(each.shape[0], -1) for each in (x, dx))
    da = dx @ (layer.weight + change.weight).T + x @ change.weight.T
    return da if change.bias is None else da + change.bias


def _moved_back(g: Any, change: Any, point: Point, dx: Activity) -> Activity:
    """How what a feedback mapping gives moves with its input and the change of its parameters."""
    if isinstance(g, DenseFeedback):
        moved = _moved(g.dense, change.dense, point, dx)
    else:
        s = g.activation
        moved = _current(g.linear, change.linear, s.inverse(point.x), s.inverse_difference(point.x, dx))
    return moved.reshape(-1, *g.outputs)


def _rms(tree: Any) -> Any:
    """The root mean square of each array, 1 where that is 0."""
    sizes = jax.tree.map(lambda x: jnp.sqrt(jnp.mean(x**2)), tree)
    return jax.tree.map(lambda size: jnp.where(size > 0, size, 1.0), sizes)
