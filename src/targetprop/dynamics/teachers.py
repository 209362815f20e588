"""What the output layer of a network in continuous time is told."""

import abc
from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Float

from ..losses import Loss, Target

Output = Float[Array, "batch n_L"]


class Teacher(eqx.Module):
    """The teaching layer above the output layer, whose activity `g_L` that layer receives as feedback.

    Without a teacher the network is free. In the circuits with `echo`, the free output is fed back to itself, `g_L = h_L`,
    in the others `g_L = 0`. A teacher is described by how `g_L` exceeds that of the free network.
    """

    echo: ClassVar[bool]

    @abc.abstractmethod
    def push(self, h: Output, d: Output) -> Output:
        """`g_L` of the network whose output has moved from `h` to `h + d`, minus that of the free network at `h`, and minus
        `d` where the output is fed back to itself."""


class Held(Teacher):
    """`g_L = h_L + push`: a target that keeps its distance to the output. With `push = -stepsize * e_L` taken at the free
    output it is equation (6.10) of Meulemans 2019 to first order; with 0 it is the free network."""

    displacement: Output

    echo: ClassVar[bool] = True

    def push(self, h, d):
        return self.displacement


class Following(Teacher):
    """`g_L = h_L - stepsize * e_L` with the error `e_L` of the output as it moves (Meulemans 2019, equations 6.10 and
    6.11)."""

    loss: Loss
    target: Target
    stepsize: Any

    echo: ClassVar[bool] = True

    def push(self, h, d):
        return -self.stepsize * self.loss.error(h + d, self.target)


class Clamped(Teacher):
    """`g_L = target`, fixed (Meulemans 2019, equation 6.3), in a circuit that feeds the free output back to itself."""

    target: Output

    echo: ClassVar[bool] = False

    def push(self, h, d):
        return self.target - h


class Injected(Teacher):
    """`g_L = current`, on top of what the layer below sends (the `t_2` of Ahmad et al. 2020, equation 24); 0 is the free
    network."""

    current: Output

    echo: ClassVar[bool] = False

    def push(self, h, d):
        return self.current
