"""When the weights learn while the activities of a network in continuous time move.

The weights are constant while a minibatch is presented. They learn from the activities at the
equilibrium, or from those on the way there. Meulemans 2019 writes its weight dynamics (equations
6.17, 6.26, 6.35 and 6.37) at the equilibrium.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._array_checks import CheckedModule
from ..errors import check_count, check_positive
from ._base import Displacements
from .circuit import Motion
from .trajectories import trajectory

Read = Callable[[Displacements], Any]
"""Makes a pytree of arrays, with one row per sample, from displacements."""


class Plasticity(CheckedModule):
    """When the weights learn from a moving network."""

    @abc.abstractmethod
    def gather(self, motion: Motion, rest: Displacements, tolerance: Any, read: Read) -> Any:
        """What the weights learn from.

        **Arguments:**

        - `motion`: the dynamics of the network with its target.
        - `rest`: the displacements at its equilibrium.
        - `tolerance`: the error allowed per step if the motion is integrated.
        - `read`: what is needed of the displacements at one time.

        **Returns:** `read(d)` at the times at which the weights learn. Its arrays have one row
        per sample and time, the rows of each time after those of the time before.
        """


class AtEquilibrium(Plasticity):
    """The weights learn once the network is at its equilibrium."""

    word: ClassVar[str] = "at-equilibrium"

    def gather(self, motion, rest, tolerance, read):
        return read(rest)


class ContinuousPlasticity(Plasticity):
    """The weights learn on the way to the equilibrium, from the mean over equally spaced times.

    The longer the duration, the nearer to `AtEquilibrium`: the difference is about
    `tau / duration`.

    **Arguments:**

    - `duration`: how long a minibatch is presented, in units of `tau`.
    - `samples`: the number of times, the last of them `duration`.

    **Raises:** `ConfigError` if one of them is not positive.
    """

    word: ClassVar[str] = "continuous"

    duration: float = 20.0
    samples: int = eqx.field(static=True, default=20)

    def gather(self, motion, rest, tolerance, read):
        times = self.duration * jnp.arange(1, self.samples + 1, dtype=motion.h[0].dtype) / self.samples
        course = trajectory(motion, times, tolerance=tolerance, throw=False)
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), jax.vmap(read)(course))

    def __check_init__(self):
        check_positive(self, "duration")
        check_count(self, "samples")
