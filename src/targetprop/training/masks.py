"""Update masks: which layers move in a step."""

import abc
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

from .._array_checks import CheckedModule

UPDATE_MASK = 2
"""The key of a step is also used for the noise of the feedback. This number makes another key."""


class UpdateMask(CheckedModule):
    """Selects the layers that move in a step.

    The other layers keep their parameters. The optimizer gets the gradients of all layers.
    """

    @abc.abstractmethod
    def __call__(self, depth: int, key: PRNGKeyArray) -> Bool[Array, " L"]:
        """Whether each of the `depth` layers moves."""


class OneRandomLayer(UpdateMask):
    """In every step, one random layer moves (Meulemans 2019, Algorithm A.2).

    The target update of each layer alone would produce the whole change of the output. If all
    layers move, the output moves too far.
    """

    word: ClassVar[str] = "one-random-layer"

    def __call__(self, depth, key):
        return jnp.arange(depth) == jax.random.randint(key, (), 0, depth)
