"""Differential equations that are followed through time, or to their equilibrium."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

Displacements = tuple[Float[Array, "batch ..."], ...]
"""One array per part of a system, each with a leading batch axis."""


class Dynamics(eqx.Module):
    """A differential equation for displacements `d` from where it begins, at time 0.

    Time is in units of the time constant `tau`. Each array of `d` is a part of the system: a
    layer, or one compartment of a layer.
    """

    @property
    @abc.abstractmethod
    def start(self) -> Displacements:
        """The displacements at time 0: zeros."""

    @abc.abstractmethod
    def velocity(self, d: Displacements) -> Displacements:
        """`tau dd/dt`, of the shapes of `d`."""

    @abc.abstractmethod
    def sweep(self, own: Displacements) -> tuple[Displacements, Displacements]:
        """One pass up through the layers and one down, which leads nearer to the equilibrium.

        **Arguments:**

        - `own`: what each part adds itself to its displacement, of the shapes of `d`.

        **Returns:** better values of `own`, and the displacements `d` that follow from them.
        """

    @abc.abstractmethod
    def sizes(self, d: Displacements) -> Float[Array, "parts batch"]:
        """The size that the velocity of each part is compared with, per sample."""


def norms(d: Displacements) -> Float[Array, "parts batch"]:
    """The Euclidean norm of each part's displacement, per sample."""
    return jnp.stack([jnp.linalg.norm(x.reshape(x.shape[0], -1), axis=1) for x in d])
