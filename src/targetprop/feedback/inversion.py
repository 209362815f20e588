"""How feedback of the form `g_i(h) = Q_i s_{i+1}^{-1}(h)` learns from white noise to invert the layer above."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import check_not_negative
from ..networks.network import Activity, LayerLike, Network, evaluate
from .maps import InverseFeedback, InverseMaps
from .reconstruction import NO_DECAY, FeedbackStep, layerwise_reconstruction


class InverseLearner(eqx.Module):
    """What a mapping learns from white noise `x_i` on the layer that it predicts, alone, carried up one layer and down."""

    @abc.abstractmethod
    def step(self, network: Network, maps: InverseMaps, noise: Sequence[Activity], sigma: Any) -> FeedbackStep:
        """Gradients and losses for `x_i = noise[i - 1]`, of standard deviation `sigma` and shaped like the activities of
        layer `i`."""


class InverseGradient(InverseLearner):
    """The gradient of the regularized inverse loss `||g_i(f_{i+1}(x_i)) - x_i||^2 + strength ||Q_i||^2` (Meulemans 2019,
    equation 4.97 and Algorithm A.8, whose learning rate is twice ours: it leaves out the factor 2 of the gradient).

    The minimum is `Q_i = W^T (W W^T + strength / sigma^2 I)^{-1}` with `W = W_{i+1}` (Theorem 4.7). `strength` is `lambda`;
    it holds for `c_i` too where there is one.
    """

    word: ClassVar[str] = "gradient"

    strength: float = 0.0

    def __check_init__(self):
        check_not_negative(self, "strength")

    def step(self, network, maps, noise, sigma):
        decay = eqx.tree_at(lambda decay: decay.strength, NO_DECAY, self.strength)
        return layerwise_reconstruction(network, maps, noise, decay)


class BenIsraelCohen(InverseLearner):
    """The iteration of Ben-Israel and Cohen, `Q <- 2 Q - Q W Q`, as a step `-(Q W - I) Q` (Meulemans 2019, equation 4.96),
    estimated from noise: `(g_i(f_{i+1}(x)) - x) (Q_i^T x)^T / sigma^2`, averaged over the batch.

    With a learning rate of 1 and in expectation it is the iteration itself, whose error is squared in each step. It needs a
    start with `Q W` near enough to a projection, and keeps the row and the column space of that start: from other spaces
    than those of `W^T` it does not come to the pseudo-inverse. The losses are those of `InverseGradient`.
    """

    word: ClassVar[str] = "ben-israel-cohen"

    def step(self, network, maps, noise, sigma):
        learned = layerwise_reconstruction(network, maps, noise)

        def direction(g: InverseFeedback, layer: LayerLike, x: Activity, gradient: InverseFeedback) -> InverseFeedback:
            rows = x.reshape(x.shape[0], -1)
            error = g.linear.at(evaluate(layer, x).a).h - rows
            step = error.T @ (rows @ g.linear.weight) / (sigma**2 * rows.shape[0])
            return eqx.tree_at(lambda tree: tree.linear.weight, gradient, step)

        each = zip(maps, network.layers[1:], noise, learned.gradients, strict=True)
        gradients = tuple(direction(*entries) for entries in each)
        return learned._replace(gradients=gradients)


def ben_israel_cohen(q: Float[Array, "n m"], w: Float[Array, "m n"]) -> Float[Array, "n m"]:
    """One step of the iteration itself, `2 Q - Q W Q` (Ben-Israel and Cohen 1966; Meulemans 2019, equation 4.96)."""
    return 2 * q - q @ w @ q


def regularized_inverse(w: Float[Array, "m n"], damping: Any) -> Float[Array, "n m"]:
    """`W^T (W W^T + damping I)^{-1}`, which the regularized inverse loss leads to with `damping = strength / sigma^2`
    (Meulemans 2019, equation 4.99); `damping` must be positive unless the rows of `W` are independent."""
    return jnp.linalg.solve(w @ w.T + damping * jnp.eye(w.shape[0], dtype=w.dtype), w).T
