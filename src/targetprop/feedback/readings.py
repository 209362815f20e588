"""What a feedback mapping reads: an activity, or a random hidden layer on top of the output.

A mapping `g_i` is a layer. Its reading gives the activity at which `g_i` is evaluated, and how
this activity moves when the layer above, or the output, moves.
"""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks.layers import Activity, Dense, Point


class Reading(eqx.Module):
    """What one feedback mapping reads."""

    @property
    @abc.abstractmethod
    def activity(self) -> Activity:
        """What is read without any displacement, shape `(batch, ...)`."""

    @abc.abstractmethod
    def displacement(self, dx: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        """How `activity` moves when the layer above, or the output, moves by `dx`."""


class ActivityReading(Reading):
    """An activity of the network."""

    value: Activity

    @property
    def activity(self) -> Activity:
        return self.value

    def displacement(self, dx: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        return dx


class HiddenReading(Reading):
    """A feedback layer `u = tanh(R h_L + d)` on top of the output."""

    layer: Dense
    point: Point

    @property
    def activity(self) -> Activity:
        return self.point.h

    def displacement(self, dx: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        return self.layer.difference(self.point, dx.reshape(self.point.x.shape))


class RecurrentReading(Reading):
    """Another reading, concatenated with the activity of the layer itself.

    The activity of the layer does not move when the output moves.
    """

    reading: Reading
    own: Activity

    @property
    def activity(self) -> Activity:
        return jnp.concatenate([flat(self.reading.activity), flat(self.own)], axis=1)

    def displacement(self, dx: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        moved = flat(self.reading.displacement(dx))
        return jnp.concatenate([moved, jnp.zeros_like(flat(self.own))], axis=1)


def flat(activity: Activity) -> Activity:
    """The activity with one row per sample."""
    return activity.reshape(activity.shape[0], -1)
