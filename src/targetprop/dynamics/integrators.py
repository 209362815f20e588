"""How far, and how, the flow of a gradient target is followed."""

import abc
from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from .._linear_algebra import one_by_one
from ..errors import ConfigError, check_positive
from .gradient_flow import Activity, Flow


class Integrator(eqx.Module):
    """Follows a flow from its start to a target."""

    @abc.abstractmethod
    def displacement(self, flow: Flow, start: Activity, layer: int) -> Activity:
        """`y - h` where the flow of hidden layer `layer` (1 is the first) is left, begun at the displacement `start`."""

    @abc.abstractmethod
    def time(self, layer: int) -> Any:
        """How long the flow of a layer is followed. Raises `ConfigError` where there is no end."""

    @abc.abstractmethod
    def complaint(self, flow: Flow, start: Activity, layer: int) -> str | None:
        """What is wrong with the target of a layer, and what to change; `None` for a sound one. For concrete numbers."""


class Euler(Integrator):
    """`steps` (the paper's T) steps of explicit Euler of size `tau` (Farias and Maziero 2018, Appendix B).

    The first derivative is taken at the activity of the forward pass, the others where the flow has come to. From `AtZero`
    this is what Appendix D and the published code do: they start at zero, with the derivative of the forward pass.
    """

    word: ClassVar[str] = "euler"

    tau: float = 0.1
    steps: int = eqx.field(static=True, default=10)

    def __check_init__(self):
        check_positive(self, "tau")
        if self.steps < 1:
            raise ConfigError(f"Euler's method with {self.steps} steps reaches no target: use 1 or more.")

    def displacement(self, flow: Flow, start: Activity, layer: int) -> Activity:
        first = start + self.tau * flow.first_velocity()
        return lax.fori_loop(1, self.steps, lambda _, d: d + self.tau * flow.velocity(d), first)

    def time(self, layer: int) -> Any:
        return self.tau * self.steps

    def complaint(self, flow: Flow, start: Activity, layer: int) -> str | None:
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
    """Where a flow was left: its displacement, its velocity relative to that at the start, and whether it is at rest."""

    displacement: Float[Array, "..."]
    velocity: Float[Array, "..."]
    reached: Bool[Array, "..."]


class SteadyState(Integrator):
    """The target of infinite time: the flow is followed with adaptive steps until its velocity, per sample, is `tolerance`
    times that at its start.

    Distances count relative to the target update above, so small errors are followed as precisely as large ones. Where
    the target above is out of reach, as a target of 1 is for a sigmoid, the flow has no limit and is left where it creeps.
    A sample that is not at rest after `steps` steps has no target: its displacement is `nan`, and `complaint` says why.
    `solver` is any Runge-Kutta method of Diffrax. An implicit one, as the default, bears singular values that differ widely.
    """

    word: ClassVar[str] = "steady-state"

    tolerance: float = 1e-3
    steps: int = eqx.field(static=True, default=4096)
    solver: diffrax.AbstractSolver = eqx.field(static=True, default=diffrax.Kvaerno5())

    def __check_init__(self):
        check_positive(self, "tolerance", "steps")

    def displacement(self, flow: Flow, start: Activity, layer: int) -> Activity:
        rest = self.follow(flow, start)
        return jax.vmap(lambda d, reached: jnp.where(reached, d, jnp.nan))(rest.displacement, rest.reached)

    def time(self, layer: int) -> Any:
        raise ConfigError("A flow that is followed to its end has no time: use Euler's method.")

    def follow(self, flow: Flow, start: Activity) -> Rest:
        """Follow each sample for itself: its target does not depend on its neighbors in the batch."""
        return one_by_one(lambda *sample: self._follow(flow, *sample), flow.point, flow.above, start)

    def _follow(self, flow: Flow, point, above, start) -> Rest:
        point, above, start = jax.tree.map(lambda leaf: leaf[None], (point, above, start))
        flow = eqx.tree_at(lambda f: (f.point, f.above), flow, (point, above))
        size = jnp.max(jnp.abs(above)) + jnp.max(jnp.abs(start))
        size = jnp.where(size > 0, size, 1.0)
        first = jnp.linalg.norm(flow.velocity(start))
        # explicit steps end up at the edge of stability, where they shake the velocity by a multiple of their own tolerance
        precise = jnp.maximum(self.tolerance / 100, 100 * jnp.finfo(start.dtype).eps)

        def field(t, u, args):
            return flow.velocity(size * u) / size

        def still(t, u, args, **options):
            return size * jnp.linalg.norm(field(t, u, args)) <= self.tolerance * first

        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            self.solver,
            t0=jnp.zeros((), start.dtype),
            t1=jnp.full((), jnp.inf, start.dtype),
            dt0=None,
            y0=start / size,
            stepsize_controller=diffrax.PIDController(rtol=precise, atol=precise),
            event=diffrax.Event(still),
            adjoint=diffrax.ForwardMode(),
            max_steps=self.steps,
            throw=False,
        )
        assert solution.ys is not None
        end = size * solution.ys[0]
        velocity = jnp.linalg.norm(flow.velocity(end)) / jnp.where(first > 0, first, 1.0)
        return Rest(end[0], velocity, solution.result == diffrax.RESULTS.event_occurred)

    def complaint(self, flow: Flow, start: Activity, layer: int) -> str | None:
        rest = self.follow(flow, start)
        lost = ~np.asarray(rest.reached)
        if not lost.any():
            return None
        speed = np.max(np.asarray(rest.velocity)[lost])
        return (
            f"the flow of the target of layer {layer} is not at rest after {self.steps} steps in {lost.sum()} of "
            f"{len(lost)} samples, but still at {speed:.2g} of its first velocity; the layer is stiff or its target out of "
            "reach: use an implicit solver such as Kvaerno5, a larger tolerance, more steps, or Euler's method"
        )


class PerLayerIntegrator(Integrator):
    """Each hidden layer's own integrator, first to last. Raises `ConfigError` where there are too few."""

    integrators: tuple[Integrator, ...]

    def displacement(self, flow: Flow, start: Activity, layer: int) -> Activity:
        return self._of(layer).displacement(flow, start, layer)

    def time(self, layer: int) -> Any:
        return self._of(layer).time(layer)

    def complaint(self, flow: Flow, start: Activity, layer: int) -> str | None:
        return self._of(layer).complaint(flow, start, layer)

    def _of(self, layer: int) -> Integrator:
        if layer > len(self.integrators):
            raise ConfigError(f"There is no integrator for hidden layer {layer}: give one for each of them.")
        return self.integrators[layer - 1]
