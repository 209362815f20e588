"""Regularizers of the feedback mappings: penalties added to their losses."""

import abc
import math
from typing import Any, ClassVar

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .._array_checks import CheckedModule
from ..errors import check_not_negative
from ..networks.layers import Activity, parameters
from .noise import Noise


class Regularizer(CheckedModule):
    """A penalty that keeps the Jacobian of a feedback path small.

    It acts like the Tikhonov damping in equation (11) of Meulemans et al. 2020.
    """

    @abc.abstractmethod
    def probe(self, output: Activity, noise: Noise, key: PRNGKeyArray) -> Activity | None:
        """A displacement of the output for the penalty, or `None` if the penalty needs none.

        The penalty depends on how the feedback maps this displacement.
        """

    @abc.abstractmethod
    def penalty(self, g: Any, arrived: Activity | None, sigma: Any) -> Float[Array, ""]:
        """The penalty of one mapping.

        **Arguments:**

        - `g`: the mapping, a layer.
        - `arrived`: the probe after it has passed `g`, or `None`.
        - `sigma`: the standard deviation of the noise.
        """


class Decay(Regularizer):
    """A penalty that depends only on the parameters of a mapping."""

    def probe(self, output, noise, key):
        return None


class WeightDecay(Decay):
    """`strength * ||parameters of g_i||^2` (Meulemans et al. 2020, equations 71 and 75)."""

    word: ClassVar[str] = "weight-decay"

    strength: float = 1e-5

    def __check_init__(self):
        check_not_negative(self, "strength")

    def penalty(self, g, arrived, sigma):
        return self.strength * optax.tree.norm(parameters(g), squared=True)


class WeightDecayPerUnit(Decay):
    """`strength * n_i * ||parameters of g_i||^2`, where `g_i` predicts a layer of size `n_i`.

    For layers of different sizes. `WeightDecay` fits a reconstruction loss summed over a layer.
    This penalty has the same effect on a loss averaged over the layer.
    """

    word: ClassVar[str] = "weight-decay-per-unit"

    strength: float = 1e-7

    def __check_init__(self):
        check_not_negative(self, "strength")

    def penalty(self, g, arrived, sigma):
        return self.strength * math.prod(g.outputs) * optax.tree.norm(parameters(g), squared=True)


NO_DECAY = WeightDecay(0.0)


class OutputNoise(Regularizer):
    """`strength / sigma^2 * E ||g^diff(h_L + sigma eps) - h_i||^2`.

    The second term of the difference reconstruction loss (Meulemans et al. 2020, equation 9). For
    a small sigma it is `strength * ||J_g||_F^2`, which is damping with `lambda = strength`.
    """

    word: ClassVar[str] = "output-noise"

    strength: float = 1e-2

    def __check_init__(self):
        check_not_negative(self, "strength")

    def probe(self, output, noise, key):
        return noise.draw(key, output.shape, output.dtype)

    def penalty(self, g, arrived, sigma):
        assert arrived is not None  # `probe` returned a displacement
        return self.strength * jnp.sum(arrived**2) / (sigma**2 * arrived.shape[0])
