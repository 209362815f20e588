"""What the output layer of a network in continuous time receives as its feedback."""

import abc
from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Float

from ..losses import Loss, Target

Output = Float[Array, "batch n_L"]


class OutputTarget(eqx.Module):
    """The feedback `g_L` of the output layer when there is a target.

    Without a target the network is *free*. In circuits with `echo`, the free output is fed back
    to itself, `g_L = h_L`. In circuits without, `g_L = 0`. A target is described by how far its
    `g_L` differs from that of the free network.
    """

    echo: ClassVar[bool]

    @abc.abstractmethod
    def nudge(self, h: Output, d: Output) -> Output:
        """How far `g_L` differs from its value in the free network.

        **Arguments:**

        - `h`: the output of the free network, of shape `(batch, n_L)`.
        - `d`: how far the output has moved from there, of the same shape.

        **Returns:** `g_L` at the output `h + d`, minus `g_L` of the free network at `h`. With
        `echo`, also minus `d`.
        """


class SoftTarget(OutputTarget):
    """`g_L = h_L + displacement`: a target at a fixed distance from the output, which moves.

    With `displacement = -stepsize * e_L`, taken at the free output, this is equation (6.10) of
    Meulemans 2019 to first order. With a displacement of 0 it is the free network.
    """

    displacement: Output

    echo: ClassVar[bool] = True

    def nudge(self, h, d):
        return self.displacement


class MovingTarget(OutputTarget):
    """`g_L = h_L - stepsize * e_L`, with the error `e_L` of the output as it moves.

    Source: Meulemans 2019, equations 6.10 and 6.11.
    """

    loss: Loss
    target: Target
    stepsize: Any

    echo: ClassVar[bool] = True

    def nudge(self, h, d):
        return -self.stepsize * self.loss.error(h + d, self.target)


class HardTarget(OutputTarget):
    """`g_L = target`, a fixed value, in a circuit whose free output is fed back to itself.

    Source: Meulemans 2019, equation 6.3.
    """

    target: Output

    echo: ClassVar[bool] = False

    def nudge(self, h, d):
        return self.target - h


class InjectedCurrent(OutputTarget):
    """`g_L = current`: a current into the output layer, beside its feedforward input.

    With a current of 0 it is the free network. Source: Ahmad et al. 2020, equation 24, `t_2`.
    """

    current: Output

    echo: ClassVar[bool] = False

    def nudge(self, h, d):
        return self.current
