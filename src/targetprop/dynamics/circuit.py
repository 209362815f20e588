"""Networks in continuous time whose neurons mix what comes from below with what comes from above.

    tau dh_i/dt = -h_i + forward f_i(h_{i-1}) + backward g_i(h_{i+1}),     i = 1 .. L-1
    tau dh_L/dt = -h_L + forward f_L(h_{L-1}) + teaching g_L

With `forward = 1 - mu`, `backward = teaching = mu` these are pyramidal neurons with segregated dendrites (Meulemans 2019,
equation 6.1); with `forward = 1`, `backward = nu`, `teaching = 1` the circuit of Ahmad et al. 2020 (equation 24).

Everything is a displacement `d` from activities `h` at which what the circuit lacks to rest, its `imbalance`, is known. So a
teaching signal that decays by `mu` from layer to layer reaches the lowest one with all its digits, in float32 too.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks.layers import Activity, Layer, Point, difference
from ..networks.network import Network, Trace
from ._base import Displacements, Dynamics, norms
from .teachers import Held, Injected, Teacher


class Gains(eqx.Module):
    """How strongly a neuron takes what comes from above, `backward`, from the teacher, `teaching`, and from below,
    `forward = 1 - backward + excess`."""

    backward: Any
    teaching: Any
    excess: Any = 0.0

    @classmethod
    def mixing(cls, mu: Any) -> "Gains":
        """A convex mixture of both dendrites (Meulemans 2019, equation 6.1)."""
        return cls(mu, mu)

    @classmethod
    def coupling(cls, nu: Any) -> "Gains":
        """Weak feedback on top of the full input (Ahmad et al. 2020, equation 24)."""
        return cls(nu, 1.0, nu)

    @property
    def forward(self) -> Any:
        return 1 - self.backward + self.excess


class Circuit(eqx.Module):
    """A network with feedback: `maps[i - 1]` is `g_i`, from layer `i + 1` down to layer `i`. `returned` is the share of a
    change that a layer sends up which its feedback brings back: 1 for inverses, 0 where nothing is known. It decides how
    fast sweeps converge, not where to."""

    network: Network
    maps: Sequence[Layer]
    gains: Gains
    returned: float = eqx.field(static=True, default=1.0)

    def free(self, trace: Trace, echo: bool = True) -> "Motion":
        """The motion without a teacher, as displacement from the forward pass `trace`. With `echo` the output is fed back
        to itself."""
        gains = self.gains
        above = [g.at(h) for g, h in zip(self.maps, trace.h[2:], strict=True)]
        hidden = [gains.backward * (point.h - h) + gains.excess * h for h, point in zip(trace.h[1:-1], above, strict=True)]
        last = (gains.excess - gains.backward + (gains.teaching if echo else 0.0)) * trace.output
        nothing = jnp.zeros_like(trace.output)
        teacher = Held(nothing) if echo else Injected(nothing)
        return Motion(self, trace.h[1:], trace.points, tuple(above), (*hidden, last), trace.h[1:], teacher)

    def taught(self, rest: Trace, teacher: Teacher) -> "Motion":
        """The motion under a teacher, as displacement from `rest`, where the free network stays."""
        h = rest.h[1:]
        above = tuple(g.at(over) for g, over in zip(self.maps, h[1:], strict=True))
        nothing = jax.tree.map(jnp.zeros_like, h)
        return Motion(self, h, rest.points, above, nothing, nothing, teacher)

    def at_rest(self, origin: Trace, d: Displacements) -> Trace:
        """The trace of the activities that lie by `d_1 .. d_L` from those of `origin`; its output is what the output layer
        gives there, without a teacher."""
        moved = (h + dh for h, dh in zip(origin.h[1:-1], d[:-1], strict=True))
        return self.network.trace_at((origin.h[0], *moved))


class Motion(Dynamics):
    """A circuit in displacements `d_1 .. d_L` from the activities `h`. `points[i - 1]` is where `f_i` was evaluated, at
    `h_{i-1}`, and `above[i - 1]` where `g_i` was, at `h_{i+1}`; `imbalance` is `tau dh_i/dt` of the free network at `h`;
    `reference` is added to `d` where sizes are compared."""

    circuit: Circuit
    h: Displacements
    points: tuple[Point, ...]
    above: tuple[Point, ...]
    imbalance: Displacements
    reference: Displacements
    teacher: Teacher

    @property
    def start(self) -> Displacements:
        return jax.tree.map(jnp.zeros_like, self.h)

    def velocity(self, d: Displacements) -> Displacements:
        """`tau dd_i/dt`, of the shapes of `d`."""
        return self.balance(d, self.risen(d), [self.fallen(d, i) for i in range(len(d) - 1)])

    def balance(self, d: Displacements, risen: Sequence[Activity], fallen: Sequence[Activity]) -> Displacements:
        """`tau dd_i/dt` where what comes from below has changed by `risen`, layers 1 .. L, and what comes from above by
        `fallen`, layers 1 .. L-1."""
        gains = self.circuit.gains
        above = (*(gains.backward * down for down in fallen), self._taught(d[-1]))
        parts = zip(self.imbalance, risen, above, d, strict=True)
        return tuple(lacking + gains.forward * up + down - own for lacking, up, down, own in parts)

    def unpredicted(self, d: Displacements, risen: Sequence[Activity]) -> Displacements:
        """`h_i + d_i` less what comes from below, which has changed by `risen` (Meulemans 2019, equation 6.17)."""
        own = zip(self.h, self.points, d, risen, strict=True)
        return tuple((h - point.h) + (moved - up) for h, point, moved, up in own)

    def _taught(self, d):
        echoed = d if self.teacher.echo else 0.0
        return self.circuit.gains.teaching * (echoed + self.teacher.push(self.h[-1], d))

    def risen(self, d: Displacements) -> Displacements:
        """`f_i(h_{i-1} + d_{i-1}) - f_i(h_{i-1})` for the layers 1 .. L; the input stays."""
        layers = zip(self.circuit.network.layers[1:], self.points[1:], d[:-1], strict=True)
        return (jnp.zeros_like(self.h[0]), *(difference(*each) for each in layers))

    def fallen(self, d: Sequence[Activity], i: int) -> Activity:
        """`g(h + d) - g(h)` of the mapping with index `i`, from 0."""
        return difference(self.circuit.maps[i], self.above[i], d[i + 1])

    def sweep(self, own: Displacements) -> tuple[Displacements, Displacements]:
        """One way up and one down, from the layers' own displacements to better ones, and the displacements `d` they make.

        With `d_i = phi_i forward [f_i(h_{i-1} + d_{i-1}) - f_i(h_{i-1})] + own_i`, where `phi_i = 1 / (1 - returned forward
        backward phi_{i+1})`, what rose from a layer and is brought back to it no longer counts:

            own_i = phi_i (imbalance_i + backward [g_i(h_{i+1} + d_{i+1}) - g_i(h_{i+1}) - returned forward phi_{i+1} d_i])

        A linear network with exact inverses is at rest after one sweep, others after a few.
        """
        gains, shares, layers = self.circuit.gains, self._shares(), self.circuit.network.layers
        rises = [jnp.zeros_like(self.h[0])]
        d = [own[0]]
        for i in range(1, len(own)):
            rises.append(shares[i] * gains.forward * difference(layers[i], self.points[i], d[-1]))
            d.append(rises[-1] + own[i])
        better = [shares[-1] * (self.imbalance[-1] + gains.teaching * self.teacher.push(self.h[-1], d[-1]))]
        d[-1] = rises[-1] + better[0]
        for i in range(len(d) - 2, -1, -1):
            back = self.fallen(d, i) - self.circuit.returned * gains.forward * shares[i + 1] * d[i]
            better.append(shares[i] * (self.imbalance[i] + gains.backward * back))
            d[i] = rises[i] + better[-1]
        return tuple(reversed(better)), tuple(d)

    def _shares(self) -> list[Any]:
        """`phi_1 .. phi_L`."""
        gains = self.circuit.gains
        shares = [1 / (1 - gains.teaching) if self.teacher.echo else 1.0]
        for _ in self.above:
            shares.append(1 / (1 - self.circuit.returned * gains.forward * gains.backward * shares[-1]))
        return shares[::-1]

    def sizes(self, d: Displacements) -> Float[Array, "L batch"]:
        """What the velocity of each layer is small or large beside, per sample: the size of the activity where the free
        network is sought, of the displacement alone where a taught one is."""
        return norms(tuple(x + dx for x, dx in zip(self.reference, d, strict=True)))


def scaled_up(signals: Displacements, mu: Any) -> Displacements:
    """The signals of the layers 1 .. L, divided by the `rho^(L+1-i)` by which that of layer `i` has decayed, with
    `rho = mu / (1 - mu)` (Meulemans 2019, equation 6.15)."""
    rho = mu / (1 - mu)
    return tuple(signal / rho ** (len(signals) - i) for i, signal in enumerate(signals))
