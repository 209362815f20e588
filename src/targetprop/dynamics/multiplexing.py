"""Neurons that send two signals on one axon: an event rate up, a burst probability down.

    tau da^b_i/dt = -a^b_i + W_i h_{i-1} + b_i       h_i = s_i(a^b_i)       i = 1 .. L
    tau da^a_i/dt = -a^a_i + Q_i p_{i+1} + c_i       p_i = t_i(a^a_i)       i = 1 .. L-1

The voltage `a^b_i` of the basal dendrites makes the event rate `h_i`. The voltage `a^a_i` of the
apical dendrites makes the burst probability `p_i`, which the thesis writes `ĥ_i`. In the free
phase `p_L = h_L`. In the learning phase `p_L` is the output target.

The channels meet only at the output. So each channel has its equilibrium in closed form: the
event rates are those of the forward pass, and the burst probabilities are the chain of the `g_i`
down from `p_L`.

All quantities are displacements. So a target close to the output reaches the lowest layer in
float32. Source: Meulemans 2019, section 6.9, equations 6.43 to 6.50.
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
from ..networks.invertible import DenseOnFirstUnits
from ..networks.layers import Activity, Dense, Layer, LayerLike, Point, difference, evaluate
from ..networks.network import Network, Trace
from ._base import Displacements, Dynamics, norms
from .targets import OutputTarget, SoftTarget


def free_bursts(maps: Sequence[Layer], output: Activity) -> list[Point]:
    """Where the feedback mappings are evaluated in the free phase, at its equilibrium.

    **Arguments:**

    - `maps`: the feedback mappings `g_1 .. g_{L-1}`.
    - `output`: `p_L = h_L`, of shape `(batch, n_L)`.

    **Returns:** the points of `g_1 .. g_{L-1}`: that of `g_i` at `p_{i+1}`, with
    `p_i = g_i(p_{i+1})` (Meulemans 2019, equation 6.50).
    """
    points: list[Point] = []
    for g in reversed(maps):
        points.append(g.at(points[-1].h if points else output))
    return points[::-1]


class Compartment(eqx.Module):
    """The basal or the apical dendrites of a layer, at time 0.

    **Arguments:**

    - `synapses`: makes a current of the activity that arrives.
    - `activation`: makes the layer's output of the voltage.
    - `point`: where `synapses` is evaluated.
    - `voltage`: the voltage, of shape `(batch, n_i)`.
    """

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

    def current_change(self, dx: Activity) -> Activity:
        """How far the current changes with the activity that arrives."""
        return difference(self.synapses, self.point, dx)

    def output_change(self, da: Activity) -> Activity:
        """How far the output changes with the voltage."""
        return self.activation.difference(self.voltage, da)


def _compartment(layer: LayerLike, x: Activity, silent: bool) -> Compartment:
    """The compartment that computes `layer`, with the input `x`.

    It is at its equilibrium or, if `silent`, at voltage 0. If the layer is not made of a dense
    one, its output itself follows with the time constant `tau`.
    """
    synapses, activation = layer, Identity()
    if isinstance(layer, Dense):
        synapses, activation = dataclasses.replace(layer, activation=Identity()), layer.activation
    elif isinstance(layer, DenseFeedback | DenseOnFirstUnits):
        linear = dataclasses.replace(layer.dense, activation=Identity())
        synapses, activation = dataclasses.replace(layer, dense=linear), layer.dense.activation
    point = evaluate(synapses, x)
    return Compartment(synapses, activation, point, jnp.zeros_like(point.h) if silent else point.h)


class Channels(NamedTuple):
    """Both signals of all layers, or changes of them.

    **Arguments:**

    - `event_rates`: `h_1 .. h_L`.
    - `burst_probabilities`: `p_1 .. p_L`.
    """

    event_rates: Displacements
    burst_probabilities: Displacements


class Multiplex(eqx.Module):
    """A network of neurons with two channels.

    **Arguments:**

    - `network`: the feedforward mappings `f_1 .. f_L`.
    - `maps`: the feedback mappings. `maps[i - 1]` is `g_i`, from layer `i + 1` down to layer `i`.
    """

    network: Network
    maps: Sequence[Layer]

    def free(self, x: Activity) -> "TwoChannels":
        """The free phase with the inputs `x`. It begins with all voltages at 0."""
        return self._from(x, silent=True, target=None)

    def with_target(self, trace: Trace, target: OutputTarget) -> "TwoChannels":
        """The learning phase. It begins at the equilibrium of the free phase.

        **Arguments:**

        - `trace`: the forward pass.
        - `target`: a soft, moving or hard target.
        """
        return self._from(trace.h[0], silent=False, target=target)

    def _from(self, x, silent, target):
        basal: list[Compartment] = []
        for layer in self.network.layers:
            basal.append(_compartment(layer, basal[-1].output if basal else x, silent))
        output = basal[-1].output
        apical: list[Compartment] = []
        for g in reversed(self.maps):
            apical.append(_compartment(g, apical[-1].output if apical else output, silent))
        return TwoChannels(tuple(basal), tuple(reversed(apical)), target or SoftTarget(jnp.zeros_like(output)))


class TwoChannels(Dynamics):
    """The dynamics of both channels.

    The displacements are those of the voltages `a^b_1 .. a^b_L, a^a_1 .. a^a_{L-1}`.

    **Arguments:**

    - `basal`: the basal dendrites of the layers 1 .. L at time 0.
    - `apical`: the apical dendrites of the layers 1 .. L-1 at time 0.
    - `target`: what sets the burst probability of the output layer.
    """

    basal: tuple[Compartment, ...]
    apical: tuple[Compartment, ...]
    target: OutputTarget

    @property
    def start(self) -> Displacements:
        return tuple(jnp.zeros_like(part.voltage) for part in (*self.basal, *self.apical))

    def velocity(self, d: Displacements) -> Displacements:
        rates, bursts = self.changes(d)
        arriving = (jnp.zeros_like(self.basal[0].point.x), *rates[:-1], *bursts[1:])
        parts = zip((*self.basal, *self.apical), arriving, d, strict=True)
        return tuple(part.imbalance + part.current_change(dx) - own for part, dx, own in parts)

    def sweep(self, own: Displacements) -> tuple[Displacements, Displacements]:
        """The equilibrium itself, twice, whatever `own` is."""
        d = self.rest()
        return d, d

    def sizes(self, d: Displacements) -> Float[Array, "parts batch"]:
        return norms(d)

    def rest(self) -> Displacements:
        """The equilibrium, in closed form (Meulemans 2019, equations 6.47 to 6.50).

        It takes one pass up through the forward mappings, then one down through the feedback
        mappings.
        """
        up: list[Activity] = []
        arriving = jnp.zeros_like(self.basal[0].point.x)
        for part in self.basal:
            up.append(part.imbalance + part.current_change(arriving))
            arriving = part.output_change(up[-1])
        down: list[Activity] = []
        arriving = self._target_change(arriving)
        for part in reversed(self.apical):
            down.append(part.imbalance + part.current_change(arriving))
            arriving = part.output_change(down[-1])
        return (*up, *reversed(down))

    def changes(self, d: Displacements) -> Channels:
        """How far both signals differ from those at time 0.

        At the equilibrium of the learning phase, the changes of the burst probabilities are the
        target updates (Meulemans 2019, equation 6.58).
        """
        depth = len(self.basal)
        rates = tuple(part.output_change(da) for part, da in zip(self.basal, d[:depth], strict=True))
        bursts = tuple(part.output_change(da) for part, da in zip(self.apical, d[depth:], strict=True))
        return Channels(rates, (*bursts, self._target_change(rates[-1])))

    def signals(self, d: Displacements) -> Channels:
        """Both signals."""
        rates = tuple(part.output for part in self.basal)
        start = Channels(rates, (*(part.output for part in self.apical), rates[-1]))
        return jax.tree.map(jnp.add, start, self.changes(d))

    def _target_change(self, output: Activity) -> Activity:
        """`p_L` minus `h_L` at time 0, if `h_L` has changed by `output`."""
        return self.target.nudge(self.basal[-1].output, output) + (output if self.target.echo else 0.0)
