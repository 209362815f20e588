"""What can be followed through time, or to rest."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

Displacements = tuple[Float[Array, "batch ..."], ...]


class Dynamics(eqx.Module):
    """A differential equation, in units of its time constant, for displacements `d` from where it begins. The arrays of `d`
    are its parts: layers, or the compartments of layers."""

    @property
    @abc.abstractmethod
    def start(self) -> Displacements:
        """No displacement at all: zeros."""

    @abc.abstractmethod
    def velocity(self, d: Displacements) -> Displacements:
        """`tau dd/dt`, of the shapes of `d`."""

    @abc.abstractmethod
    def sweep(self, own: Displacements) -> tuple[Displacements, Displacements]:
        """One way up and one down, from what each part contributes itself to something nearer to rest, and the displacements
        `d` that it makes."""

    @abc.abstractmethod
    def sizes(self, d: Displacements) -> Float[Array, "parts batch"]:
        """What the velocity of each part is small or large beside, per sample."""


def norms(d: Displacements) -> Float[Array, "parts batch"]:
    """The Euclidean norm of each part's displacement, per sample."""
    return jnp.stack([jnp.linalg.norm(x.reshape(x.shape[0], -1), axis=1) for x in d])
