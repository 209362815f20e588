"""The only module that integrates differential equations, with Diffrax.

Flows and circuits both use it. Diffrax is imported when an equation is first integrated, or when
a solver object is made, so `import targetprop` does not load it.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

if TYPE_CHECKING:
    from diffrax import AbstractSolver as RungeKutta
else:
    RungeKutta = Any

Tree = Any
"""A pytree of arrays."""


class Problem(NamedTuple):
    """The initial value problem `dd/dt = velocity(d)`, `d(0) = scale * start`.

    It is integrated in units of `scale`, so that every part counts alike in the error of a step.

    **Arguments:**

    - `velocity`: the right-hand side, in units of the time constant.
    - `start`: the value at time 0 in units of `scale`, a pytree of arrays.
    - `scale`: the typical sizes of `d`, positive, a pytree of the same structure whose arrays
      broadcast against those of `start`.
    """

    velocity: Callable[[Tree], Tree]
    start: Tree
    scale: Tree


class IntegrationMethod(NamedTuple):
    """How a problem is integrated.

    **Arguments:**

    - `solver`: a Runge-Kutta method of Diffrax.
    - `tolerance`: the error allowed per step, relative to the `scale` of the problem. It is never
      below 100 times the machine precision.
    - `steps`: the largest number of steps.
    """

    solver: RungeKutta
    tolerance: Any
    steps: int = 4096


@functools.cache
def explicit_solver() -> RungeKutta:
    """The default for circuits: `diffrax.Tsit5()`."""
    import diffrax

    return diffrax.Tsit5()


@functools.cache
def implicit_solver() -> RungeKutta:
    """The default for flows, which may be stiff: `diffrax.Kvaerno5()`."""
    import diffrax

    return diffrax.Kvaerno5()


def at_times(problem: Problem, times: Float[Array, " times"], method: IntegrationMethod, *, throw: bool = True) -> Tree:
    """Integrate a problem to the last of some times.

    **Arguments:**

    - `problem`, `method`: what is integrated, and how.
    - `times`: the times to return, ascending, in units of the time constant. Shape `(times,)`.
    - `throw`: raise an error if the solution diverges or needs too many steps. Otherwise the
      values at the times that were not reached are infinite.

    **Returns:** the solution at `times`: arrays with a leading axis of length `times`.

    **Raises:** `RuntimeError`, from Diffrax, if `throw` is set.
    """
    import diffrax

    solution = _solve(problem, method, times[-1], saveat=diffrax.SaveAt(ts=times), throw=throw)
    return _multiplied(solution.ys, problem.scale)


def until(
    problem: Problem, reached: Callable[[Tree], Bool[Array, ""]], method: IntegrationMethod
) -> tuple[Tree, Bool[Array, ""]]:
    """Integrate a problem until a condition holds, or the steps are used up.

    **Arguments:**

    - `problem`, `method`: what is integrated, and how.
    - `reached`: whether a value of `d` ends the integration. It is asked after each step.

    **Returns:** the last value of `d`, and whether the condition holds there.
    """
    import diffrax

    def condition(t, u, args, **options):
        return reached(_multiplied(u, problem.scale))

    solution = _solve(problem, method, jnp.inf, event=diffrax.Event(condition), throw=False)
    end = jax.tree.map(lambda u: u[0], _multiplied(solution.ys, problem.scale))
    return end, solution.result == diffrax.RESULTS.event_occurred


def _solve(problem: Problem, method: IntegrationMethod, end: Any, **options: Any) -> Any:
    import diffrax

    def velocity(t, u, args):
        return jax.tree.map(jnp.divide, problem.velocity(_multiplied(u, problem.scale)), problem.scale)

    dtype = jax.tree.leaves(problem.start)[0].dtype
    precise = jnp.maximum(method.tolerance, 100 * float(jnp.finfo(dtype).eps))
    return diffrax.diffeqsolve(
        diffrax.ODETerm(velocity),
        method.solver,
        t0=jnp.zeros((), dtype),
        t1=jnp.asarray(end, dtype),
        dt0=None,
        y0=problem.start,
        stepsize_controller=diffrax.PIDController(rtol=precise, atol=precise),
        adjoint=diffrax.ForwardMode(),
        max_steps=method.steps,
        **options,
    )


def _multiplied(u: Tree, scale: Tree) -> Tree:
    return jax.tree.map(jnp.multiply, u, scale)
