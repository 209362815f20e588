"""Weights that learn: slowly along with the activities, or from where, and from when, the activities are.

    tau dh_i/dt = -h_i + forward f_i(h_{i-1}) + backward g_i(h_{i+1})
        dW_i/dt = eta_i D_i dh_i h_{i-1}^T                              eta_i = eta rho^-(L+1-i),  rho = mu / (1 - mu)
        dQ_i/dt = -eta^inv d/dQ_i ( ||g_i(h_{i+1}) - h_i||^2 + penalty )

with `dh_i = h_i - f_i(h_{i-1})` in a single phase (Meulemans 2019, equations 6.17 and 6.26), and in two the second line in
the learning phase alone, with `dh_i = h_i - h^f_i` (6.35), the third in the free phase alone (6.37). All sums over samples
are means over the batch. What moves are displacements of the activities and changes of the weights, so float32 keeps the
digits of both.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import ConfigError
from ..feedback.backward import Backward
from ..feedback.maps import DenseFeedback, InverseFeedback
from ..networks.network import Activity, Dense, Network, Point, parameters
from ._base import Displacements
from .circuit import Circuit, Motion, scaled_up
from .equilibria import integrate, trajectory, typical_sizes
from .teachers import Teacher

Read = Callable[[Displacements], Any]


class Plasticity(eqx.Module):
    """When the weights learn from a motion that has begun."""

    @abc.abstractmethod
    def gather(self, motion: Motion, rest: Displacements, tolerance: Any, read: Read) -> Any:
        """`read(d)`, a pytree of arrays with a row per sample, at the displacements from which the weights learn: the rows
        of one after those of the other. `rest` is where the motion ends, `tolerance` how precisely it is to be followed."""


class AtEquilibrium(Plasticity):
    """Once the network rests."""

    word: ClassVar[str] = "at-equilibrium"

    def gather(self, motion, rest, tolerance, read):
        return read(rest)


class Along(Plasticity):
    """All along the way from one rest to the next, for the time `duration` in units of `tau`. The weights, which are slow,
    stay while a minibatch is presented, and learn from the mean over `samples` times, equally far apart, the last of them
    `duration`: each makes rows of its own. The longer, the nearer to `AtEquilibrium`, by about `tau / duration`."""

    word: ClassVar[str] = "along"

    duration: float = 20.0
    samples: int = eqx.field(static=True, default=20)

    def gather(self, motion, rest, tolerance, read):
        times = self.duration * jnp.arange(1, self.samples + 1, dtype=motion.h[0].dtype) / self.samples
        course = trajectory(motion, times, tolerance=tolerance, throw=False)
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), jax.vmap(read)(course))

    def __check_init__(self):
        if self.samples < 1 or (isinstance(self.duration, float | int) and self.duration <= 0):
            raise ConfigError(
                f"Nothing is learned at {self.samples} times within {self.duration} tau: use 1 sample or more, and a "
                "duration above 0."
            )


class Rates(NamedTuple):
    """Learning rates per time constant `tau`: `forward` is `eta`, that of the output layer before it is divided by `rho`;
    `backward` is `eta^inv`, half of the thesis's."""

    forward: Any
    backward: Any


class State(NamedTuple):
    """How far the activities of the layers 1 .. L, the network's parameters and those of the mappings have moved, the latter
    two in the structure of `parameters(...)`."""

    d: Displacements
    network: Any
    maps: Any


class Learned(NamedTuple):
    """What a presentation leaves: the network and its mappings at the end, and, for each phase, the states at the times that
    were asked for, on a leading axis."""

    network: Network
    maps: Sequence[Any]
    course: tuple[State, ...]


class _Plastic(eqx.Module):
    """A motion along which weights learn, as changes from where they are in it."""

    motion: Motion
    backward: Backward
    rates: Rates

    reconstructs: ClassVar[bool]  # whether the mappings learn

    @abc.abstractmethod
    def signals(self, d: Displacements, risen: Sequence[Activity]) -> Displacements | None:
        """What each layer learns from, before it is scaled; `None` where the forward weights rest."""

    @property
    def start(self) -> State:
        circuit = self.motion.circuit
        return State(
            self.motion.start, *jax.tree.map(jnp.zeros_like, (parameters(circuit.network), parameters(circuit.maps)))
        )

    def velocity(self, state: State) -> State:
        circuit, d = self.motion.circuit, state.d
        below = (jnp.zeros_like(self.motion.points[0].x), *d[:-1])
        layers = zip(circuit.network.layers, state.network.layers, self.motion.points, below, strict=True)
        maps = zip(circuit.maps, state.maps, self.motion.above, d[1:], strict=True)
        risen, fallen = [_moved(*each) for each in layers], [_moved_back(*each) for each in maps]
        h = [point.x + dx for point, dx in zip(self.motion.points, below, strict=True)]
        h.append(self.motion.h[-1] + d[-1])
        balance = self.motion.balance(d, risen, fallen)
        return State(balance, self._forward(state, h, d, risen), self._backward(state, h))

    def _forward(self, state, h, d, risen):
        signals = self.signals(d, risen)
        if signals is None:
            return jax.tree.map(jnp.zeros_like, state.network)
        circuit = self.motion.circuit
        pullbacks = eqx.apply_updates(circuit.network, state.network).trace_at(h[:-1]).pullbacks
        rate = self.rates.forward / h[0].shape[0]
        updates = scaled_up(signals, circuit.gains.backward)
        layers = tuple(pullback(rate * dh)[0] for pullback, dh in zip(pullbacks, updates, strict=True))
        return eqx.tree_at(lambda tree: tree.layers, state.network, layers)

    def _backward(self, state, h):
        maps = eqx.apply_updates(self.motion.circuit.maps, state.maps)
        if not self.reconstructs or not maps:
            return jax.tree.map(jnp.zeros_like, state.maps)
        learned = self.backward.learned(maps, h[2:], h[1:-1])
        assert learned is not None  # they are plastic
        return jax.tree.map(lambda gradient: -self.rates.backward * gradient, learned.gradients)

    def follow(self, times: Float[Array, " times"], tolerance: Any, steps: int) -> State:
        """The states at `times`, on a leading axis."""
        scale = self._scale(tolerance)
        saveat = diffrax.SaveAt(ts=times)
        solution = integrate(self, scale, diffrax.Tsit5(), tolerance, times[-1], saveat=saveat, max_steps=steps)
        assert solution.ys is not None
        return jax.tree.map(jnp.multiply, solution.ys, scale)

    def _scale(self, tolerance):
        """The size of each part after about the time `tau`, to be multiplied by."""
        _, d = self.motion.sweep(self.motion.start)
        learned = self.velocity(self.start._replace(d=d))
        # a reconstruction error is a difference of activities, with their rounding: no step is to follow that
        known = sum(jnp.mean(h**2) for h in self.motion.h) * jnp.finfo(d[0].dtype).eps / tolerance
        maps = jax.tree.map(lambda size: jnp.maximum(size, self.rates.backward * known), _rms(learned.maps))
        pushed = self.velocity(learned._replace(d=self.motion.start)).d
        sizes = typical_sizes(eqx.tree_at(lambda motion: motion.imbalance, self.motion, pushed))
        return State(sizes, _rms(learned.network), maps)


class _SinglePhase(_Plastic):
    """Both kinds of weights learn (Meulemans 2019, equations 6.17 and 6.26)."""

    reconstructs: ClassVar[bool] = True

    def signals(self, d, risen):
        return self.motion.unpredicted(d, risen)


class _FreePhase(_Plastic):
    """The backward weights learn (Meulemans 2019, equation 6.37)."""

    reconstructs: ClassVar[bool] = True

    def signals(self, d, risen):
        return None


class _LearningPhase(_Plastic):
    """The forward weights learn (Meulemans 2019, equation 6.35). The motion begins at `h^f`, which each neuron holds by a
    slow signal of its own."""

    reconstructs: ClassVar[bool] = False

    def signals(self, d, risen):
        return d


def learn_in_a_single_phase(
    motion: Motion,
    backward: Backward,
    rates: Rates,
    times: Float[Array, " times"],
    *,
    tolerance: Any = 1e-5,
    steps: int = 100_000,
) -> Learned:
    """Activities, forward and backward weights, all together, along `motion` (`Circuit.taught`), for one minibatch.

    **Arguments:** `backward`, what the mappings of the circuit are, with their penalty; `times`, in units of `tau` and
    rising, the last of which is the end; `tolerance`, the error per step relative to what moves; `steps`, how many there may
    be. For circuits of `Gains.mixing`. Raises `ConfigError` for layers that are not dense or mappings that are not learned,
    and what Diffrax raises where the motion runs off.
    """
    _check(motion.circuit)
    course = _SinglePhase(motion, backward, rates).follow(times, tolerance, steps)
    return Learned(*_ended(motion.circuit, course), (course,))


def learn_in_two_phases(
    motion: Motion,
    teacher: Teacher,
    backward: Backward,
    rates: Rates,
    free: Float[Array, " times"],
    learning: Float[Array, " times"],
    *,
    tolerance: Any = 1e-5,
    steps: int = 100_000,
) -> Learned:
    """Activities and backward weights along the free `motion` (`Circuit.free`) until the last of the times `free`; from
    there activities and forward weights under the `teacher`, at the times `learning` since. All else as in
    `learn_in_a_single_phase`, but that there are two courses.

    What the free phase has not yet brought to rest goes on moving in the learning phase, and the weights learn it. A
    `motion` that begins at the free rest (`Circuit.taught`, with a `Held` of zeros) leaves nothing but the lag of the
    activities behind the backward weights, of the order of `mu * rates.backward`, beside the signal's `rho^(L+1-i)`.
    """
    _check(motion.circuit)
    phase = _FreePhase(motion, backward, rates)
    first = phase.follow(free, tolerance, steps)
    end = jax.tree.map(lambda x: x[-1], first)
    network, maps = _ended(motion.circuit, first)
    h = tuple(h + d for h, d in zip(motion.h, end.d, strict=True))
    points = network.trace_at((motion.points[0].x, *h[:-1])).points
    above = tuple(g.at(over) for g, over in zip(maps, h[1:], strict=True))
    circuit = eqx.tree_at(lambda c: c.maps, motion.circuit, maps)
    nothing = jax.tree.map(jnp.zeros_like, h)
    taught = Motion(circuit, h, points, above, phase.velocity(end).d, nothing, teacher)
    second = _LearningPhase(taught, backward, rates).follow(learning, tolerance, steps)
    return Learned(*_ended(circuit, second), (first, second))


def _ended(circuit: Circuit, course: State) -> tuple[Network, Sequence[Any]]:
    moved = jax.tree.map(lambda x: x[-1], (course.network, course.maps))
    return eqx.apply_updates(circuit.network, moved[0]), eqx.apply_updates(circuit.maps, moved[1])


def _check(circuit: Circuit) -> None:
    for i, layer in enumerate(circuit.network.layers, start=1):
        if not isinstance(layer, Dense):
            raise ConfigError(
                f"Weights learn along with the activities in dense layers, but layer {i} is a {type(layer).__name__}: use a "
                "dense one, or train at the equilibrium."
            )
    for i, g in enumerate(circuit.maps, start=1):
        if not isinstance(g, DenseFeedback | InverseFeedback):
            raise ConfigError(
                f"Weights learn along with the activities in mappings of their own, but that to layer {i} is of "
                f"type {type(g).__name__}: use TrainedFeedback or ApproximateInverses, or train at the equilibrium."
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
