"""Neurons that send two signals on one axon: an event rate upwards, a burst probability downwards (Meulemans 2019, section
6.9).

    tau da^b_i/dt = -a^b_i + W_i h_{i-1} + b_i       h_i = s_i(a^b_i)       i = 1 .. L
    tau da^a_i/dt = -a^a_i + Q_i p_{i+1} + c_i       p_i = t_i(a^a_i)       i = 1 .. L-1,    p_L given by the teacher

The voltage `a^b_i` of the basal dendrites makes the event rate `h_i`, that of the apical ones, `a^a_i`, the burst
probability `p_i`, the thesis's `ĥ_i` (equations 6.43 to 6.46). The channels meet at the output alone, so each comes to rest
once what drives it has: the event rates at the forward pass, the burst probabilities at the chain of the `g_i` down from
`p_L`. In the free phase `p_L = h_L`; in the learning phase it is the output target.

As everywhere, what is computed are displacements, so a target next to the output reaches the lowest layer in float32.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..feedback.maps import DenseFeedback
from ..networks.activations import Activation, Identity
from ..networks.invertible import Leading
from ..networks.layers import Activity, Dense, Layer, LayerLike, Point, difference, evaluate
from ..networks.network import Network, Trace
from ._base import Displacements, Dynamics, norms
from .teachers import Held, Teacher


def free_bursts(maps: Sequence[Layer], output: Activity) -> list[Point]:
    """Where `g_1 .. g_{L-1}` are evaluated in the free phase, at rest: `g_i` at `p_{i+1}`, with `p_L = h_L`, the `output`,
    and `p_i = g_i(p_{i+1})` (Meulemans 2019, equation 6.50)."""
    points: list[Point] = []
    for g in reversed(maps):
        points.append(g.at(points[-1].h if points else output))
    return points[::-1]


class Compartment(eqx.Module):
    """The basal or the apical dendrites of a layer, where they are: `synapses` make a current of the activity that arrives,
    `point` is where they were evaluated, `activation` makes the layer's output of the `voltage`."""

    synapses: LayerLike
    activation: Activation
    point: Point
    voltage: Activity

    @property
    def output(self) -> Activity:
        """`s(a)`."""
        return self.activation(self.voltage)

    @property
    def imbalance(self) -> Activity:
        """`tau da/dt`."""
        return self.point.h - self.voltage

    def current(self, dx: Activity) -> Activity:
        """How the current changes with what arrives."""
        return difference(self.synapses, self.point, dx)

    def moved(self, da: Activity) -> Activity:
        """How the output changes with the voltage."""
        return self.activation.difference(self.voltage, da)


def _compartment(layer: LayerLike, x: Activity, silent: bool) -> Compartment:
    """The compartment that is `layer` at rest: at rest on the input `x` or, `silent`, at voltage 0 while `x` arrives. Of a
    layer that is not made of a dense one the output itself is what follows with the time constant `tau`."""
    synapses, activation = layer, Identity()
    if isinstance(layer, Dense):
        synapses, activation = dataclasses.replace(layer, activation=Identity()), layer.activation
    elif isinstance(layer, DenseFeedback | Leading):
        linear = dataclasses.replace(layer.dense, activation=Identity())
        synapses, activation = dataclasses.replace(layer, dense=linear), layer.dense.activation
    point = evaluate(synapses, x)
    return Compartment(synapses, activation, point, jnp.zeros_like(point.h) if silent else point.h)


class Channels(NamedTuple):
    """Both signals of all layers, or changes of them: `event_rates` are `h_1 .. h_L`, `burst_probabilities` `p_1 .. p_L`."""

    event_rates: Displacements
    burst_probabilities: Displacements


class Multiplex(eqx.Module):
    """A network of neurons with two channels: `maps[i - 1]` is `g_i`, from layer `i + 1` down to layer `i`."""

    network: Network
    maps: Sequence[Layer]

    def free(self, x: Activity) -> "TwoChannels":
        """The free phase from silence, where all voltages are 0, with the inputs `x`."""
        return self._from(x, silent=True, teacher=None)

    def taught(self, trace: Trace, teacher: Teacher) -> "TwoChannels":
        """The learning phase from where the free phase of the forward pass `trace` rests. The output target is that of a
        `Held`, `Following` or `Clamped` teacher."""
        return self._from(trace.h[0], silent=False, teacher=teacher)

    def _from(self, x, silent, teacher):
        basal: list[Compartment] = []
        for layer in self.network.layers:
            basal.append(_compartment(layer, basal[-1].output if basal else x, silent))
        output = basal[-1].output
        apical: list[Compartment] = []
        for g in reversed(self.maps):
            apical.append(_compartment(g, apical[-1].output if apical else output, silent))
        return TwoChannels(tuple(basal), tuple(reversed(apical)), teacher or Held(jnp.zeros_like(output)))


class TwoChannels(Dynamics):
    """The motion of both channels from where `basal[i - 1]` and `apical[i - 1]`, the compartments of layer `i`, are. Its
    displacements are those of the voltages `a^b_1 .. a^b_L, a^a_1 .. a^a_{L-1}`."""

    basal: tuple[Compartment, ...]
    apical: tuple[Compartment, ...]
    teacher: Teacher

    @property
    def start(self) -> Displacements:
        return tuple(jnp.zeros_like(part.voltage) for part in (*self.basal, *self.apical))

    def velocity(self, d: Displacements) -> Displacements:
        rates, bursts = self.changes(d)
        arriving = (jnp.zeros_like(self.basal[0].point.x), *rates[:-1], *bursts[1:])
        parts = zip((*self.basal, *self.apical), arriving, d, strict=True)
        return tuple(part.imbalance + part.current(dx) - own for part, dx, own in parts)

    def sweep(self, own: Displacements) -> tuple[Displacements, Displacements]:
        """The rest itself, twice, whatever `own` is."""
        d = self.rest()
        return d, d

    def sizes(self, d: Displacements) -> Float[Array, "parts batch"]:
        return norms(d)

    def rest(self) -> Displacements:
        """Where the motion ends, exactly: up through the forward mappings, then down through the backward ones (Meulemans
        2019, equations 6.47 to 6.50)."""
        up: list[Activity] = []
        arriving = jnp.zeros_like(self.basal[0].point.x)
        for part in self.basal:
            up.append(part.imbalance + part.current(arriving))
            arriving = part.moved(up[-1])
        down: list[Activity] = []
        arriving = self._target(arriving)
        for part in reversed(self.apical):
            down.append(part.imbalance + part.current(arriving))
            arriving = part.moved(down[-1])
        return (*up, *reversed(down))

    def changes(self, d: Displacements) -> Channels:
        """How both signals differ from those at the start. In the learning phase, at rest, those of the burst probabilities
        are the target updates (Meulemans 2019, equation 6.58)."""
        depth = len(self.basal)
        rates = tuple(part.moved(da) for part, da in zip(self.basal, d[:depth], strict=True))
        bursts = tuple(part.moved(da) for part, da in zip(self.apical, d[depth:], strict=True))
        return Channels(rates, (*bursts, self._target(rates[-1])))

    def signals(self, d: Displacements) -> Channels:
        """Both signals themselves."""
        rates = tuple(part.output for part in self.basal)
        start = Channels(rates, (*(part.output for part in self.apical), rates[-1]))
        return jax.tree.map(jnp.add, start, self.changes(d))

    def _target(self, risen: Activity) -> Activity:
        """`p_L` less `h_L` at the start, where `h_L` has risen."""
        return self.teacher.push(self.basal[-1].output, risen) + (risen if self.teacher.echo else 0.0)
