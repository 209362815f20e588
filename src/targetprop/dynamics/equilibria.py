"""Where a network in continuous time comes to rest: by integration, by sweeps up and down the layers, by Newton."""

import abc
from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from .._linear_algebra import solve
from ..errors import ConfigError, check_positive
from ._base import Displacements, Dynamics, norms

Course = tuple[Float[Array, "..."], ...]  # displacements with a leading axis of times


class Equilibrium(eqx.Module):
    """Where a motion was left: its displacements, the velocity of each layer relative to its size, per sample, and whether
    that is within the tolerance."""

    d: Displacements
    residual: Float[Array, "L batch"]
    reached: Bool[Array, " batch"]

    @property
    def displacements(self) -> Displacements:
        """`d`, and `nan` for the samples that have not come to rest."""
        return tuple(jax.vmap(lambda x, reached: jnp.where(reached, x, jnp.nan))(x, self.reached) for x in self.d)


class EquilibriumSolver(eqx.Module):
    """Finds where a motion comes to rest, to a velocity of `tolerance` times the size of what moves, in every layer and for
    every sample. `Sweeps` and `Newton` find points that stay where they are, be they stable or not; `Integration` comes to
    stable ones alone."""

    tolerance: eqx.AbstractVar[float]
    steps: eqx.AbstractVar[int]

    @abc.abstractmethod
    def approach(self, motion: Dynamics) -> Displacements:
        """The displacements at which the search ends, be it at rest or not."""

    @abc.abstractmethod
    def advice(self) -> str:
        """What to change where the search does not end at rest."""

    def find(self, motion: Dynamics) -> Equilibrium:
        """Where the motion comes to rest, if it does."""
        d = self.approach(motion)
        residual = _residual(motion, d)
        return Equilibrium(d, residual, jnp.all(residual <= self.tolerance, axis=0))

    def __check_init__(self):
        check_positive(self, "tolerance")
        if self.steps < 1:
            raise ConfigError(f"No equilibrium is found in {self.steps} steps: use 1 or more.")


class Sweeps(EquilibriumSolver):
    """Sweeps up and down the layers (`Motion.sweep`), at most `steps` of them, until no layer moves by more than a tenth of
    `tolerance`. The fast path: a few products per layer, for feedback that nearly inverts the layers."""

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
    """Newton's method on all layers of a sample at once, at most `steps` times. A step costs the Jacobian of the whole
    circuit and its factorization: for small networks, and for feedback that is far from an inverse."""

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
    """The differential equation itself, followed with adaptive steps, at most `steps` of them, until it rests. `solver` is
    any Runge-Kutta method of Diffrax. For fidelity: it costs many times what the others do."""

    word: ClassVar[str] = "integration"

    tolerance: float = 1e-4
    steps: int = eqx.field(static=True, default=1000)
    solver: diffrax.AbstractSolver = eqx.field(static=True, default=diffrax.Tsit5())

    def approach(self, motion):
        scale = typical_sizes(motion)

        def still(t, u, args, **options):
            return jnp.all(_residual(motion, _times(u, scale)) <= 0.9 * self.tolerance)

        event, precise = diffrax.Event(still), self.tolerance / 100
        solution = integrate(motion, scale, self.solver, precise, jnp.inf, event=event, max_steps=self.steps, throw=False)
        assert solution.ys is not None
        return jax.tree.map(lambda u: u[0], _times(solution.ys, scale))

    def advice(self):
        return "it may rest nowhere: use a smaller mu, train the feedback first, or allow more steps"


def trajectory(
    motion: Dynamics,
    times: Float[Array, " times"],
    solver: diffrax.AbstractSolver | None = None,
    tolerance: Any = 1e-5,
    **options: Any,
) -> Course:
    """The displacements at `times`, in units of `tau`, of a motion that begins at rest at time 0: arrays with a leading axis
    `times`. `tolerance` is the error per step, relative to the layer's displacement; `options` go to Diffrax. Raises what
    Diffrax raises where the motion runs off; with `throw=False` what was not reached is infinite."""
    scale = typical_sizes(motion)
    saveat = diffrax.SaveAt(ts=times)
    solution = integrate(motion, scale, solver or diffrax.Tsit5(), tolerance, times[-1], saveat=saveat, **options)
    assert solution.ys is not None
    return _times(solution.ys, scale)


def integrate(motion: Any, scale: Any, solver: diffrax.AbstractSolver, tolerance: Any, end: Any, **options: Any) -> Any:
    """Diffrax's solution of `motion`, from its `start` to the time `end` with its `velocity`, in units of `scale`, so that
    every layer counts alike. State, velocity and `scale` are pytrees of one structure; `options` go to Diffrax."""

    def field(t, u, args):
        return jax.tree.map(jnp.divide, motion.velocity(_times(u, scale)), scale)

    dtype = jax.tree.leaves(motion.start)[0].dtype
    precise = jnp.maximum(tolerance, 100 * float(jnp.finfo(dtype).eps))
    return diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        solver,
        t0=jnp.zeros((), dtype),
        t1=jnp.asarray(end, dtype),
        dt0=None,
        y0=motion.start,
        stepsize_controller=diffrax.PIDController(rtol=precise, atol=precise),
        adjoint=diffrax.ForwardMode(),
        **options,
    )


def typical_sizes(motion: Dynamics) -> Displacements:
    """The root mean square of each layer's displacement after one sweep, per sample, to be multiplied by."""
    _, d = motion.sweep(motion.start)
    sizes = (norm / x[0].size ** 0.5 for norm, x in zip(norms(d), d, strict=True))
    positive = [jnp.where(size > 0, size, 1.0) for size in sizes]
    return tuple(size.reshape(-1, *[1] * (x.ndim - 1)) for size, x in zip(positive, d, strict=True))


def _times(u: Any, scale: Any) -> Any:
    return jax.tree.map(jnp.multiply, u, scale)


def jacobian(motion: Dynamics, d: Displacements) -> Float[Array, "batch n n"]:
    """`tau ∂(dd/dt)/∂d` per sample, with the layers one after the other, `n` units in all (Meulemans 2019, equation
    6.40)."""
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
    return jnp.where(speed == 0, 0.0, speed / size)  # infinite for what is about to leave, however slowly
