"""The flow of a layer's activity down the cost of the layer above.

    dy_i/dt = -dC_{i+1}/dy_i,   y_i = h_i + d,   C_{i+1} = C(h_{i+1} + dh_{i+1}, f_{i+1}(h_i + d))

(Farias and Maziero 2018, equation 3). Neither the target `h_{i+1} + dh_{i+1}` nor `y_i` is
formed. The distance to the target is `dh_{i+1} - (f_{i+1}(h_i + d) - f_{i+1}(h_i))`, which
float32 gives to full precision.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._array_checks import CheckedModule
from ..errors import check_positive
from ..networks.layers import Activity, LayerLike, Point, difference
from ..networks.network import Trace


class LocalCost(CheckedModule):
    """The cost of a layer's distance `residual = target - h` to its target, per sample."""

    @abc.abstractmethod
    def value(self, h: Activity, residual: Activity) -> Float[Array, " batch"]:
        """The cost of each sample, summed over the neurons.

        **Arguments:**

        - `h`: the activity, of shape `(batch, n_i)`.
        - `residual`: the distance to the target, of the same shape.
        """

    @abc.abstractmethod
    def descent(self, h: Activity, residual: Activity) -> Activity:
        """`-dC/dh` at a fixed target, of the shape of `h`.

        **Arguments:**

        - `h`: the activity, of shape `(batch, n_i)`.
        - `residual`: the distance to the target, of the same shape.
        """


class QuadraticCost(LocalCost):
    """`C = 1/2 ||residual||^2` (Farias and Maziero 2018, equation 4)."""

    word: ClassVar[str] = "quadratic"

    def value(self, h: Activity, residual: Activity) -> Float[Array, " batch"]:
        return jnp.sum(_rows(residual) ** 2, axis=1) / 2

    def descent(self, h: Activity, residual: Activity) -> Activity:
        return residual


class HuberCost(LocalCost):
    """Quadratic up to a distance of `delta` per neuron, linear beyond (Huber 1964)."""

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
    """The flow of the activity that is the input of a layer.

    **Arguments:**

    - `layer`: the layer above the activity.
    - `point`: where the layer was evaluated.
    - `pullback`: the reverse-mode derivative of the layer at `point`, as in a `Trace`.
    - `above`: the target update of the layer's output, of shape `(batch, n_{i+1})`.
    - `cost`: the cost of the layer.
    """

    layer: LayerLike
    point: Point
    pullback: Callable[[Array], tuple[Any, Array]]
    above: Activity
    cost: LocalCost

    @classmethod
    def through(cls, layer: LayerLike, trace: Trace, index: int, above: Activity, cost: LocalCost) -> "Flow":
        """The flow of the activity `h_index` of a trace.

        **Arguments:**

        - `layer`: layer `index + 1` of the network of `trace`.
        - `trace`: the forward pass.
        - `index`: the layer whose activity flows.
        - `above`: the target update of `layer`, of shape `(batch, n_{index+1})`.
        - `cost`: the cost of `layer`.
        """
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
        """`velocity(0)`, from the derivative that the forward pass has kept."""
        return self.pullback(self.cost.descent(self.point.h, self.above))[1]


class Start(CheckedModule):
    """Where the flow of an activity begins."""

    @abc.abstractmethod
    def displacement(self, h: Activity) -> Activity:
        """`y(0) - h`, of the shape of `h`."""


class AtActivity(Start):
    """`y(0) = h`, the initial value of equation (3) of Farias and Maziero 2018.

    If there is no error at the output, there is no target update.
    """

    word: ClassVar[str] = "activity"

    def displacement(self, h: Activity) -> Activity:
        return jnp.zeros_like(h)


class AtZero(Start):
    """`y(0) = 0`, as in the published code and in equation (39) of Farias and Maziero 2018.

    The target replaces the activity, and the local update has the Hebbian part `-h ∂h/∂w` of
    equation (14).
    """

    word: ClassVar[str] = "zero"

    def displacement(self, h: Activity) -> Activity:
        return -h
