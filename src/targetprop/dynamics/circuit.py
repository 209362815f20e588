"""Networks in continuous time whose neurons mix feedforward and feedback input.

    tau dh_i/dt = -h_i + forward f_i(h_{i-1}) + backward g_i(h_{i+1}),     i = 1 .. L-1
    tau dh_L/dt = -h_L + forward f_L(h_{L-1}) + target g_L

With `forward = 1 - mu` and `backward = target = mu` these are pyramidal neurons with segregated
dendrites (Meulemans 2019, equation 6.1). With `forward = 1`, `backward = nu` and `target = 1`
this is the circuit of Ahmad et al. 2020 (equation 24).

All quantities are displacements `d` from activities `h` at which `tau dh_i/dt` of the free
network, the `imbalance`, is known. The signal of a target decays by about `mu` per layer. As a
displacement it keeps all its digits down to the lowest layer, in float32 too.
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
from .targets import InjectedCurrent, OutputTarget, SoftTarget


class Gains(eqx.Module):
    """The weights of a neuron's inputs. The feedforward one is `1 - backward + excess`.

    **Arguments:**

    - `backward`: the weight of the feedback.
    - `target`: the weight of the feedback of the output layer, `g_L`.
    - `excess`: by how much the weights of the feedforward input and the feedback exceed 1.
    """

    backward: Any
    target: Any
    excess: Any = 0.0

    @classmethod
    def mixing(cls, mu: Any) -> "Gains":
        """A convex mixture of both inputs (Meulemans 2019, equation 6.1)."""
        return cls(mu, mu)

    @classmethod
    def coupling(cls, nu: Any) -> "Gains":
        """Weak feedback on top of the full feedforward input (Ahmad et al. 2020, equation 24)."""
        return cls(nu, 1.0, nu)

    @property
    def forward(self) -> Any:
        """The weight of the feedforward input."""
        return 1 - self.backward + self.excess


class Circuit(eqx.Module):
    """A network with feedback.

    **Arguments:**

    - `network`: the feedforward mappings `f_1 .. f_L`.
    - `maps`: the feedback mappings. `maps[i - 1]` is `g_i`, from layer `i + 1` down to layer `i`.
    - `gains`: the weights of a neuron's inputs.
    - `returned`: how much of a change that a layer sends up is expected back through its
      feedback: 1 for inverses, 0 if nothing is known. It decides how fast sweeps converge, and
      does not change the equilibrium.
    """

    network: Network
    maps: Sequence[Layer]
    gains: Gains
    returned: float = eqx.field(static=True, default=1.0)

    def free(self, trace: Trace, echo: bool = True) -> "Motion":
        """The dynamics without a target.

        **Arguments:**

        - `trace`: the forward pass, from which displacements are counted.
        - `echo`: whether the output is fed back to itself.
        """
        gains = self.gains
        above = [g.at(h) for g, h in zip(self.maps, trace.h[2:], strict=True)]
        hidden = [gains.backward * (point.h - h) + gains.excess * h for h, point in zip(trace.h[1:-1], above, strict=True)]
        last = (gains.excess - gains.backward + (gains.target if echo else 0.0)) * trace.output
        nothing = jnp.zeros_like(trace.output)
        target = SoftTarget(nothing) if echo else InjectedCurrent(nothing)
        return Motion(self, trace.h[1:], trace.points, tuple(above), (*hidden, last), trace.h[1:], target)

    def with_target(self, rest: Trace, target: OutputTarget) -> "Motion":
        """The dynamics with a target.

        **Arguments:**

        - `rest`: the equilibrium of the free network, from which displacements are counted.
        - `target`: what the output layer receives.
        """
        h = rest.h[1:]
        above = tuple(g.at(over) for g, over in zip(self.maps, h[1:], strict=True))
        nothing = jax.tree.map(jnp.zeros_like, h)
        return Motion(self, h, rest.points, above, nothing, nothing, target)

    def at_rest(self, origin: Trace, d: Displacements) -> Trace:
        """The trace at an equilibrium.

        **Arguments:**

        - `origin`: the trace from which displacements are counted.
        - `d`: the displacements `d_1 .. d_L` of the equilibrium.

        **Returns:** the trace at the displaced hidden activities. Its output is what the output
        layer computes from them, without a target.
        """
        moved = (h + dh for h, dh in zip(origin.h[1:-1], d[:-1], strict=True))
        return self.network.trace_at((origin.h[0], *moved))


class Motion(Dynamics):
    """The dynamics of a circuit, in displacements `d_1 .. d_L` from the activities `h`.

    **Arguments:**

    - `circuit`: the network, its feedback and the gains.
    - `h`: the activities `h_1 .. h_L` at time 0.
    - `points`: where the layers are evaluated at time 0. `points[i - 1]` is that of `f_i`.
    - `above`: the same for the feedback mappings. `above[i - 1]` is that of `g_i`.
    - `imbalance`: `tau dh_i/dt` of the free network at `h`.
    - `reference`: what is added to `d` when sizes are compared.
    - `target`: what the output layer receives.
    """

    circuit: Circuit
    h: Displacements
    points: tuple[Point, ...]
    above: tuple[Point, ...]
    imbalance: Displacements
    reference: Displacements
    target: OutputTarget

    @property
    def start(self) -> Displacements:
        return jax.tree.map(jnp.zeros_like, self.h)

    def velocity(self, d: Displacements) -> Displacements:
        """`tau dd_i/dt`, of the shapes of `d`."""
        return self.balance(d, self.feedforward_change(d), [self.feedback_change(d, i) for i in range(len(d) - 1)])

    def balance(self, d: Displacements, feedforward: Sequence[Activity], feedback: Sequence[Activity]) -> Displacements:
        """`tau dd_i/dt` for given changes of the inputs.

        **Arguments:**

        - `d`: the displacements.
        - `feedforward`: how far `f_i` has changed, for the layers 1 .. L.
        - `feedback`: how far `g_i` has changed, for the layers 1 .. L-1.
        """
        gains = self.circuit.gains
        above = (*(gains.backward * down for down in feedback), self._target_input(d[-1]))
        parts = zip(self.imbalance, feedforward, above, d, strict=True)
        return tuple(lacking + gains.forward * up + down - own for lacking, up, down, own in parts)

    def local_error(self, d: Displacements, feedforward: Sequence[Activity]) -> Displacements:
        """How far the activity of each layer is from its feedforward prediction.

        **Arguments:**

        - `d`: the displacements.
        - `feedforward`: how far `f_i` has changed, for the layers 1 .. L.

        **Returns:** `h_i + d_i - f_i(h_{i-1} + d_{i-1})` (Meulemans 2019, equation 6.17).
        """
        own = zip(self.h, self.points, d, feedforward, strict=True)
        return tuple((h - point.h) + (moved - up) for h, point, moved, up in own)

    def _target_input(self, d):
        echoed = d if self.target.echo else 0.0
        return self.circuit.gains.target * (echoed + self.target.nudge(self.h[-1], d))

    def feedforward_change(self, d: Displacements) -> Displacements:
        """`f_i(h_{i-1} + d_{i-1}) - f_i(h_{i-1})` for the layers 1 .. L, at a fixed input."""
        layers = zip(self.circuit.network.layers[1:], self.points[1:], d[:-1], strict=True)
        return (jnp.zeros_like(self.h[0]), *(difference(*each) for each in layers))

    def feedback_change(self, d: Sequence[Activity], i: int) -> Activity:
        """`g(h + d) - g(h)` of the mapping with index `i`, counted from 0."""
        return difference(self.circuit.maps[i], self.above[i], d[i + 1])

    def sweep(self, own: Displacements) -> tuple[Displacements, Displacements]:
        """One pass up through the layers and one down.

        Displacements are written as `d_i = phi_i forward [f_i(h_{i-1} + d_{i-1}) - f_i(h_{i-1})]
        + own_i`, with `phi_i = 1 / (1 - returned forward backward phi_{i+1})`. So a change that
        a layer sends up and that comes back to it is not counted again:

            own_i = phi_i (imbalance_i + backward [g_i(h_{i+1} + d_{i+1}) - g_i(h_{i+1})
                    - returned forward phi_{i+1} d_i])

        A linear network with exact inverses is at its equilibrium after one sweep, others after
        a few.

        **Arguments:**

        - `own`: what each layer adds itself to its displacement.

        **Returns:** better values of `own`, and the displacements `d` that follow from them.
        """
        gains, shares, layers = self.circuit.gains, self._shares(), self.circuit.network.layers
        rises = [jnp.zeros_like(self.h[0])]
        d = [own[0]]
        for i in range(1, len(own)):
            rises.append(shares[i] * gains.forward * difference(layers[i], self.points[i], d[-1]))
            d.append(rises[-1] + own[i])
        better = [shares[-1] * (self.imbalance[-1] + gains.target * self.target.nudge(self.h[-1], d[-1]))]
        d[-1] = rises[-1] + better[0]
        for i in range(len(d) - 2, -1, -1):
            back = self.feedback_change(d, i) - self.circuit.returned * gains.forward * shares[i + 1] * d[i]
            better.append(shares[i] * (self.imbalance[i] + gains.backward * back))
            d[i] = rises[i] + better[-1]
        return tuple(reversed(better)), tuple(d)

    def _shares(self) -> list[Any]:
        """`phi_1 .. phi_L`."""
        gains = self.circuit.gains
        shares = [1 / (1 - gains.target) if self.target.echo else 1.0]
        for _ in self.above:
            shares.append(1 / (1 - self.circuit.returned * gains.forward * gains.backward * shares[-1]))
        return shares[::-1]

    def sizes(self, d: Displacements) -> Float[Array, "L batch"]:
        """The size that the velocity of each layer is compared with, per sample.

        It is the size of the activity for a free network, and that of the displacement alone
        for a network with a target.
        """
        return norms(tuple(x + dx for x, dx in zip(self.reference, d, strict=True)))


def scaled_up(signals: Displacements, mu: Any) -> Displacements:
    """Undo the decay of the signal of a target.

    **Arguments:**

    - `signals`: one per layer 1 .. L, each of shape `(batch, n_i)`.
    - `mu`: the weight of the feedback in the mixture.

    **Returns:** the signals, that of layer `i` divided by `rho^(L+1-i)` with
    `rho = mu / (1 - mu)`.

    Source: Meulemans 2019, equation 6.15.
    """
    rho = mu / (1 - mu)
    return tuple(signal / rho ** (len(signals) - i) for i, signal in enumerate(signals))
