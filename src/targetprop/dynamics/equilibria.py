"""The equilibrium of a network in continuous time, by sweeps, by Newton, or by integration."""

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from .._array_checks import CheckedModule
from .._linear_algebra import solve
from ..errors import check_count, check_positive
from ._base import Displacements, Dynamics, norms
from ._engine import IntegrationMethod, Problem, RungeKutta, explicit_solver, until
from .trajectories import typical_sizes


class Equilibrium(eqx.Module):
    """Where a search ended.

    **Arguments:**

    - `d`: the displacements.
    - `residual`: the velocity of each layer relative to its size, per sample.
    - `reached`: whether the residuals of a sample are within the tolerance.
    """

    d: Displacements
    residual: Float[Array, "L batch"]
    reached: Bool[Array, " batch"]

    @property
    def displacements(self) -> Displacements:
        """`d`, with `nan` for the samples that are not at an equilibrium."""
        return tuple(jax.vmap(lambda x, reached: jnp.where(reached, x, jnp.nan))(x, self.reached) for x in self.d)


class EquilibriumSolver(CheckedModule):
    """Finds the equilibrium of a system.

    An equilibrium is where no layer of a sample moves faster than `tolerance` times its size in
    the time `tau`. `Sweeps` and `Newton` find stable and unstable ones, `Integration` only
    stable ones.
    """

    tolerance: eqx.AbstractVar[float]
    steps: eqx.AbstractVar[int]

    @abc.abstractmethod
    def approach(self, motion: Dynamics) -> Displacements:
        """The displacements at which the search ends, whether an equilibrium or not."""

    @abc.abstractmethod
    def advice(self) -> str:
        """What to change if the search does not end at an equilibrium."""

    def find(self, motion: Dynamics) -> Equilibrium:
        """Search for the equilibrium of a system, and check the result."""
        d = self.approach(motion)
        residual = _residual(motion, d)
        return Equilibrium(d, residual, jnp.all(residual <= self.tolerance, axis=0))

    def __check_init__(self):
        check_positive(self, "tolerance")
        check_count(self, "steps")


class Sweeps(EquilibriumSolver):
    """Sweeps up and down the layers (`Dynamics.sweep`).

    They end when no layer moves by more than a tenth of `tolerance`. This is the fast method: a
    few products per layer. It converges if the feedback nearly inverts the layers.

    **Arguments:**

    - `tolerance`: the largest velocity at an equilibrium, relative to the size of what moves.
    - `steps`: the largest number of sweeps.
    """

    word: ClassVar[str] = "sweeps"

    tolerance: float = 1e-4
    steps: int = eqx.field(static=True, default=50)

    def approach(self, motion):
        def going(carry):
            _, d, moved, count = carry
            return jnp.any(moved > self.tolerance / 10 * motion.sizes(d)) & (count < self.steps)

        def advance(carry):
            own, d, _, count = carry
            own, better = motion.sweep(own)
            return own, better, norms(jax.tree.map(jnp.subtract, better, d)), count + 1

        start = motion.start
        infinite = jnp.full_like(motion.sizes(start), jnp.inf)
        return lax.while_loop(going, advance, (start, start, infinite, 0))[1]

    def advice(self):
        return "use a smaller mu, train the feedback first, or search with Newton() or with more steps"


class Newton(EquilibriumSolver):
    """Newton's method for all layers of a sample at once.

    A step costs the Jacobian of the whole circuit and its factorization. Use it for small
    networks, and for feedback that is far from an inverse.

    **Arguments:**

    - `tolerance`: the largest velocity at an equilibrium, relative to the size of what moves.
    - `steps`: the largest number of Newton steps.
    """

    word: ClassVar[str] = "newton"

    tolerance: float = 1e-4
    steps: int = eqx.field(static=True, default=20)

    def approach(self, motion):
        def going(carry):
            d, count = carry
            return jnp.any(_residual(motion, d) > self.tolerance / 10) & (count < self.steps)

        def advance(carry):
            d, count = carry
            step = solve(jacobian(motion, d), _rows(motion.velocity(d)))
            return jax.tree.map(jnp.subtract, d, _layers(step, d)), count + 1

        return lax.while_loop(going, advance, (motion.sweep(motion.start)[1], 0))[0]

    def advice(self):
        return "there may be no equilibrium: use a smaller mu, or train the feedback first"


class Integration(EquilibriumSolver):
    """The differential equation itself, integrated with adaptive steps until it is at rest.

    It follows the model to the letter, and costs many times what the other solvers do.

    **Arguments:**

    - `tolerance`: the largest velocity at an equilibrium, relative to the size of what moves.
    - `steps`: the largest number of integration steps.
    - `solver`: a Runge-Kutta method of Diffrax, by default `diffrax.Tsit5()`.
    """

    word: ClassVar[str] = "integration"

    tolerance: float = 1e-4
    steps: int = eqx.field(static=True, default=1000)
    solver: RungeKutta = eqx.field(static=True, default_factory=explicit_solver)

    def approach(self, motion):
        problem = Problem(motion.velocity, motion.start, typical_sizes(motion))

        def at_rest(d):
            return jnp.all(_residual(motion, d) <= 0.9 * self.tolerance)

        return until(problem, at_rest, IntegrationMethod(self.solver, self.tolerance / 100, self.steps))[0]

    def advice(self):
        return "it may rest nowhere: use a smaller mu, train the feedback first, or allow more steps"


def jacobian(motion: Dynamics, d: Displacements) -> Float[Array, "batch n n"]:
    """The Jacobian of a system (Meulemans 2019, equation 6.40).

    **Arguments:**

    - `motion`: the system.
    - `d`: the displacements at which the Jacobian is taken.

    **Returns:** `tau ∂(dd/dt)/∂d` per sample, of shape `(batch, n, n)`. Its rows and columns are
    the units of the layers 1 .. L, one layer after the other.
    """
    at = _rows(d)

    def moved(shift):
        return _rows(motion.velocity(_layers(at + shift, d)))

    return jax.jacfwd(moved)(jnp.zeros_like(at[0]))


def _rows(d: Displacements) -> Float[Array, "batch n"]:
    return jnp.concatenate([x.reshape(x.shape[0], -1) for x in d], axis=1)


def _layers(rows: Float[Array, "batch n"], like: tuple[Float[Array, "..."], ...]) -> Displacements:
    ends = np.cumsum([x[0].size for x in like])[:-1]
    return tuple(part.reshape(-1, *x.shape[1:]) for part, x in zip(jnp.split(rows, ends, axis=1), like, strict=True))


def _residual(motion: Dynamics, d: Displacements) -> Float[Array, "L batch"]:
    speed, size = norms(motion.velocity(d)), motion.sizes(d)
    return jnp.where(speed == 0, 0.0, speed / size)  # infinite if it is about to leave, however slowly
