"""How far, and how, the flow of a gradient target is followed."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from .._array_checks import CheckedModule
from .._checks import check_given
from .._linear_algebra import one_by_one
from ..errors import ConfigError, check_count, check_positive
from ..networks.layers import Activity
from ._engine import IntegrationMethod, Problem, RungeKutta, implicit_solver, until
from .gradient_flow import Flow


class Integrator(CheckedModule):
    """Follows a flow from its start to a target."""

    @abc.abstractmethod
    def displacement(self, flow: Flow, start: Activity, layer: int) -> Activity:
        """How far the target is from the activity, `y - h`.

        **Arguments:**

        - `flow`: the flow of the activity.
        - `start`: the displacement at time 0, of shape `(batch, n_i)`.
        - `layer`: the hidden layer that the activity belongs to, counted from 1.
        """

    @abc.abstractmethod
    def time(self, layer: int) -> Any:
        """How long the flow of a hidden layer is followed.

        **Raises:** `ConfigError` if the duration is not finite.
        """

    @abc.abstractmethod
    def advice(self, flow: Flow, start: Activity, layer: int) -> str | None:
        """What is wrong with the target of a layer, and what to change.

        **Arguments:** those of `displacement`, with concrete numbers.

        **Returns:** a message, or `None` if the target is sound.
        """


class Euler(Integrator):
    """Explicit Euler steps (Farias and Maziero 2018, Appendix B).

    The first derivative is taken at the activity of the forward pass, the others at the present
    target. With `AtZero` this is Appendix D and the published code: they start at zero, with the
    derivative of the forward pass.

    **Arguments:**

    - `tau`: the size of a step.
    - `steps`: the number of steps, the paper's `T`.
    """

    word: ClassVar[str] = "euler"

    tau: float = 0.1
    steps: int = eqx.field(static=True, default=10)

    def __check_init__(self):
        check_positive(self, "tau")
        check_count(self, "steps")

    def displacement(self, flow: Flow, start: Activity, layer: int) -> Activity:
        first = start + self.tau * flow.first_velocity()
        return lax.fori_loop(1, self.steps, lambda _, d: d + self.tau * flow.velocity(d), first)

    def time(self, layer: int) -> Any:
        return self.tau * self.steps

    def advice(self, flow: Flow, start: Activity, layer: int) -> str | None:
        reached = self.displacement(flow, start, layer)
        raised = np.asarray(flow.value(reached)) > np.asarray(flow.value(start))
        if not np.isfinite(np.asarray(reached)).all():
            what = "is not finite"
        elif self.steps > 1 and raised.any():
            what = (
                f"raises the cost of layer {layer + 1}, instead of lowering it, in {raised.sum()} of {len(raised)} samples"
            )
        else:
            return None
        return (
            f"the target of layer {layer} {what}, after {self.steps} Euler steps of tau = {float(self.tau):.3g}: "
            "use a smaller tau for this layer"
        )


class Rest(eqx.Module):
    """Where a flow ended.

    **Arguments:**

    - `displacement`: the displacement there.
    - `velocity`: the velocity there, relative to that at the start.
    - `reached`: whether the flow is at rest.
    """

    displacement: Float[Array, "..."]
    velocity: Float[Array, "..."]
    reached: Bool[Array, "..."]


class SteadyState(Integrator):
    """The limit of a flow at infinite time.

    The flow of each sample is integrated with adaptive steps, until its velocity is `tolerance`
    times that at its start. If the target above is out of reach, as a target of 1 is for a
    sigmoid, the flow has no limit and ends where it is slow enough. A sample that is not at rest
    after `steps` steps has no target: its displacement is `nan`.

    **Arguments:**

    - `tolerance`: the largest velocity at rest, relative to that at the start.
    - `steps`: the largest number of integration steps.
    - `solver`: a Runge-Kutta method of Diffrax, by default `diffrax.Kvaerno5()`. Use an
      implicit one, as the default, if the singular values of a layer differ widely.
    """

    word: ClassVar[str] = "steady-state"

    tolerance: float = 1e-3
    steps: int = eqx.field(static=True, default=4096)
    solver: RungeKutta = eqx.field(static=True, default_factory=implicit_solver)

    def __check_init__(self):
        check_positive(self, "tolerance")
        check_count(self, "steps")

    def displacement(self, flow: Flow, start: Activity, layer: int) -> Activity:
        rest = self.follow(flow, start)
        return jax.vmap(lambda d, reached: jnp.where(reached, d, jnp.nan))(rest.displacement, rest.reached)

    def time(self, layer: int) -> Any:
        raise ConfigError("A steady state is reached at infinite time: use Euler's method for a finite one.")

    def follow(self, flow: Flow, start: Activity) -> Rest:
        """Follow a flow to its limit. A sample's target does not depend on others in the batch.

        **Arguments:**

        - `flow`: the flow of the activity.
        - `start`: the displacement at time 0, of shape `(batch, n_i)`.
        """
        return one_by_one(lambda *sample: self._follow(flow, *sample), flow.point, flow.above, start)

    def _follow(self, flow: Flow, point, above, start) -> Rest:
        point, above, start = jax.tree.map(lambda leaf: leaf[None], (point, above, start))
        flow = eqx.tree_at(lambda f: (f.point, f.above), flow, (point, above))
        size = jnp.max(jnp.abs(above)) + jnp.max(jnp.abs(start))
        size = jnp.where(size > 0, size, 1.0)
        first = jnp.linalg.norm(flow.velocity(start))

        def at_rest(d):
            return size * jnp.linalg.norm(flow.velocity(d) / size) <= self.tolerance * first

        # explicit steps end at the edge of their stability, where the velocity varies by more
        # than their tolerance
        method = IntegrationMethod(self.solver, self.tolerance / 100, self.steps)
        end, reached = until(Problem(flow.velocity, start / size, size), at_rest, method)
        velocity = jnp.linalg.norm(flow.velocity(end)) / jnp.where(first > 0, first, 1.0)
        return Rest(end[0], velocity, reached)

    def advice(self, flow: Flow, start: Activity, layer: int) -> str | None:
        rest = self.follow(flow, start)
        lost = ~np.asarray(rest.reached)
        if not lost.any():
            return None
        speed = np.max(np.asarray(rest.velocity)[lost])
        return (
            f"the flow of the target of layer {layer} is not at rest after {self.steps} steps in {lost.sum()} of "
            f"{len(lost)} samples, but still at {speed:.2g} of its first velocity; the layer is stiff, or its target is out "
            "of reach: use an implicit solver such as Kvaerno5, a larger tolerance, more steps, or Euler's method"
        )


class PerLayerIntegrator(Integrator):
    """One integrator for each hidden layer, first to last.

    **Raises:** `ConfigError`, when it is used, if there are fewer integrators than hidden layers.
    """

    integrators: tuple[Integrator, ...]

    def __check_init__(self):
        check_given(self, "integrators")

    def displacement(self, flow: Flow, start: Activity, layer: int) -> Activity:
        return self._of(layer).displacement(flow, start, layer)

    def time(self, layer: int) -> Any:
        return self._of(layer).time(layer)

    def advice(self, flow: Flow, start: Activity, layer: int) -> str | None:
        return self._of(layer).advice(flow, start, layer)

    def _of(self, layer: int) -> Integrator:
        if layer > len(self.integrators):
            raise ConfigError(f"There is no integrator for hidden layer {layer}: give one for each hidden layer.")
        return self.integrators[layer - 1]
