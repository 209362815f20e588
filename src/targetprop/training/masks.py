"""Which layers move in a step: masks on the updates, beside the optimizer."""

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

UPDATE_MASK = 2  # purpose of the key of a step, whose other purpose is the noise of the feedback


class UpdateMask(eqx.Module):
    """Says which layers move in a step. The others keep their parameters; the optimizer sees all gradients."""

    @abc.abstractmethod
    def __call__(self, depth: int, key: PRNGKeyArray) -> Bool[Array, " L"]:
        """Which of the `depth` layers move."""


class OneRandomLayer(UpdateMask):
    """In every step one layer, drawn at random, moves and the others stay (Meulemans 2019, Algorithm A.2).

    The output target asks every layer to bring about the whole change. When all of them do, the output moves too far.
    """

    word: ClassVar[str] = "one-random-layer"

    def __call__(self, depth, key):
        return jnp.arange(depth) == jax.random.randint(key, (), 0, depth)
