"""The path of a network in continuous time."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from ._base import Displacements, Dynamics, norms
from ._engine import IntegrationMethod, Problem, at_times, explicit_solver

Trajectory = tuple[Float[Array, "..."], ...]
"""Displacements with a leading axis of times."""


def trajectory(motion: Dynamics, times: Float[Array, " times"], *, tolerance: Any = 1e-5, throw: bool = True) -> Trajectory:
    """Follow a system from time 0.

    **Arguments:**

    - `motion`: the system.
    - `times`: the times to return, ascending, in units of `tau`. Shape `(times,)`.
    - `tolerance`: the error per step, relative to the displacement of each part.
    - `throw`: raise an error if the solution diverges. Otherwise the displacements at the times
      that were not reached are infinite.

    **Returns:** the displacements at `times`: arrays with a leading axis of length `times`.

    **Raises:** `RuntimeError`, from Diffrax, if `throw` is set.
    """
    problem = Problem(motion.velocity, motion.start, typical_sizes(motion))
    return at_times(problem, times, IntegrationMethod(explicit_solver(), tolerance), throw=throw)


def typical_sizes(motion: Dynamics) -> Displacements:
    """The root mean square of each part's displacement after one sweep, per sample.

    **Returns:** arrays that broadcast against the displacements. A size of 0 is replaced by 1.
    """
    _, d = motion.sweep(motion.start)
    sizes = (norm / x[0].size ** 0.5 for norm, x in zip(norms(d), d, strict=True))
    positive = [jnp.where(size > 0, size, 1.0) for size in sizes]
    return tuple(size.reshape(-1, *[1] * (x.ndim - 1)) for size, x in zip(positive, d, strict=True))
