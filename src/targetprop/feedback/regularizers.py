"""What keeps the feedback mappings small: penalties that are added to the losses from which they learn."""

import abc
import math
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import check_not_negative
from ..networks.layers import Activity, parameters
from .noise import Noise


class Regularizer(eqx.Module):
    """What keeps the Jacobian of a feedback path small: the part of Tikhonov damping in equation (11) of the 2020 paper."""

    @abc.abstractmethod
    def probe(self, output: Activity, noise: Noise, key: PRNGKeyArray) -> Activity | None:
        """An output displacement whose way down the feedback path is to be penalized, if the penalty needs one."""

    @abc.abstractmethod
    def penalty(self, g: Any, arrived: Activity | None, sigma: Any) -> Float[Array, ""]:
        """The penalty of the mapping `g`, a layer, where `arrived` is the probe as it leaves `g`."""


class Decay(Regularizer):
    """A penalty on the parameters of a mapping alone."""

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
    """`strength * n_i * ||parameters of g_i||^2` with `n_i` the size of the layer that `g_i` rebuilds: to a reconstruction
    loss averaged over that layer what `WeightDecay` is to its sum, for layers of unlike sizes."""

    word: ClassVar[str] = "weight-decay-per-unit"

    strength: float = 1e-7

    def __check_init__(self):
        check_not_negative(self, "strength")

    def penalty(self, g, arrived, sigma):
        return self.strength * math.prod(g.outputs) * optax.tree.norm(parameters(g), squared=True)


NO_DECAY = WeightDecay(0.0)


class OutputNoise(Regularizer):
    """`strength / sigma^2 * E ||g^diff(h_L + sigma eps) - h_i||^2`, the second term of the difference reconstruction loss
    (Meulemans et al. 2020, equation 9). For small sigma it is `strength * ||J_g||_F^2`: damping with `lambda = strength`."""

    word: ClassVar[str] = "output-noise"

    strength: float = 1e-2

    def __check_init__(self):
        check_not_negative(self, "strength")

    def probe(self, output, noise, key):
        return noise.draw(key, output.shape, output.dtype)

    def penalty(self, g, arrived, sigma):
        assert arrived is not None  # there is a probe
        return self.strength * jnp.sum(arrived**2) / (sigma**2 * arrived.shape[0])
