"""The flow of a layer's activity down the cost of the layer above, in displacements from the forward pass.

    dy_i/dt = -dC_{i+1}/dy_i,    y_i = h_i + d,    C_{i+1} = C(h_{i+1} + dh_{i+1}, f_{i+1}(h_i + d))

(Farias and Maziero 2018, equation 3). Neither the target `h_{i+1} + dh_{i+1}` nor `y_i` is formed: what is left to the
target is `dh_{i+1} - (f_{i+1}(h_i + d) - f_{i+1}(h_i))`, which float32 gives to full precision.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import check_positive
from ..networks.network import LayerLike, Point, Trace, difference

Activity = Float[Array, "batch ..."]


class LocalCost(eqx.Module):
    """What a layer pays for the distance `residual = target - h` to its target, summed over its neurons, per sample."""

    @abc.abstractmethod
    def value(self, h: Activity, residual: Activity) -> Float[Array, " batch"]:
        """The cost of each sample."""

    @abc.abstractmethod
    def descent(self, h: Activity, residual: Activity) -> Activity:
        """`-dC/dh` with the target held fixed, of the shape of `h`."""


class QuadraticCost(LocalCost):
    """`C = 1/2 ||residual||^2` (Farias and Maziero 2018, equation 4)."""

    word: ClassVar[str] = "quadratic"

    def value(self, h: Activity, residual: Activity) -> Float[Array, " batch"]:
        return jnp.sum(_rows(residual) ** 2, axis=1) / 2

    def descent(self, h: Activity, residual: Activity) -> Activity:
        return residual


class HuberCost(LocalCost):
    """Quadratic up to a distance of `delta`, linear beyond (Huber 1964): no neuron pulls harder than `delta`."""

    word: ClassVar[str] = "huber"

    delta: float = 1.0

    def __check_init__(self):
        check_positive(self, "delta")

    def value(self, h: Activity, residual: Activity) -> Float[Array, " batch"]:
        size = jnp.abs(_rows(residual))
        return jnp.sum(jnp.where(size < self.delta, size**2 / 2, self.delta * (size - self.delta / 2)), axis=1)

    def descent(self, h: Activity, residual: Activity) -> Activity:
        return jnp.clip(residual, -self.delta, self.delta)


def _rows(values: Activity) -> Float[Array, "batch n"]:
    return values.reshape(values.shape[0], -1)


class Flow(eqx.Module):
    """The flow of the activity that goes into `layer`: where the layer was evaluated, `point`, with its reverse-mode
    derivative `pullback` there (as in a `Trace`), the target update `above` of its output, and its cost."""

    layer: LayerLike
    point: Point
    pullback: Callable[[Array], tuple[Any, Array]]
    above: Activity
    cost: LocalCost

    @classmethod
    def through(cls, layer: LayerLike, trace: Trace, index: int, above: Activity, cost: LocalCost) -> "Flow":
        """The flow of `h_index` through `layer`, layer `index + 1` of the network of `trace`."""
        return cls(layer, trace.points[index], trace.pullbacks[index], above, cost)

    def value(self, d: Activity) -> Float[Array, " batch"]:
        """The cost of the layer above at the displacement `d`, per sample."""
        moved = difference(self.layer, self.point, d)
        return self.cost.value(self.point.h + moved, self.above - moved)

    def velocity(self, d: Activity) -> Activity:
        """`-dC_{i+1}/dy_i` at the displacement `d`."""
        moved, pullback = jax.vjp(lambda d: difference(self.layer, self.point, d), d)
        return pullback(self.cost.descent(self.point.h + moved, self.above - moved))[0]

    def first_velocity(self) -> Activity:
        """`velocity(0)`, at the activity of the forward pass, from the derivative that the forward pass has kept."""
        return self.pullback(self.cost.descent(self.point.h, self.above))[1]


class Start(eqx.Module):
    """Where the flow of an activity begins."""

    @abc.abstractmethod
    def displacement(self, h: Activity) -> Activity:
        """`y(0) - h`."""


class AtActivity(Start):
    """`y(0) = h`, the initial value of equation (3) of Farias and Maziero 2018: without a learning signal there is no target
    update."""

    word: ClassVar[str] = "activity"

    def displacement(self, h: Activity) -> Activity:
        return jnp.zeros_like(h)


class AtZero(Start):
    """`y(0) = 0`, as in Appendix D of Farias and Maziero 2018 (equation 39) and in the published code: the target replaces
    the activity, and the local update has the Hebbian part `-h ∂h/∂w` of equation (14)."""

    word: ClassVar[str] = "zero"

    def displacement(self, h: Activity) -> Activity:
        return -h
