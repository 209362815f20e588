"""A layer with auxiliary units beside its own."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from .layers import Activity, Dense, Fixed, Layer, LayerLike, Point, difference, evaluate


class WithAuxiliaryUnits(Layer):
    """`[f(x), z(x)]`: a layer and further units `z = s(V x)` that read the same input.

    An activity with several axes is flattened.

    **Arguments:**

    - `layer`: `f`.
    - `auxiliary`: the dense layer `z`, which is not trained.
    """

    layer: LayerLike
    auxiliary: Fixed

    def at(self, x: Activity) -> Point:
        own, further = evaluate(self.layer, x), self._units.at(x)
        return Point(x, _joined(own.a, further.a), _joined(own.h, further.h))

    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        moved = difference(self.layer, evaluate(self.layer, point.x), dx)
        further = self._units.difference(self._units.at(point.x), dx)
        return jnp.concatenate([moved.reshape(*further.shape[:-1], -1), further], axis=-1)

    @property
    def _units(self) -> Dense:
        return self.auxiliary.value


def _joined(own: Activity, further: Activity) -> Activity:
    return jnp.concatenate([own.reshape(own.shape[0], -1), further], axis=-1)
