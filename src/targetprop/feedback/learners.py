"""Learners: the losses and updates from which feedback mappings learn."""

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._array_checks import CheckedModule
from .._checks import check_fields
from ..errors import ConfigError, check_not_negative, check_positive
from ..networks.layers import Activity, LayerLike, evaluate
from ..networks.network import Network, Trace
from .gauss_newton import Root
from .mappings import LearnedInverses, Mappings
from .maps import InverseFeedback, Path, without_normalization
from .noise import Gaussian, LayerNoise, Noise, NoiseDraw, NoiseLoop, average_over_draws, carry_noise
from .reconstruction import (
    FeedbackStep,
    activity_reconstruction,
    chained_reconstruction,
    direct_reconstruction,
    layerwise_reconstruction,
    perturbed,
    uncorrected_reconstruction,
)
from .regularizers import NO_DECAY, Decay, Regularizer, WeightDecay


class Learner(CheckedModule):
    """What the mappings of a rule learn from a minibatch.

    - `equation`: the loss of one mapping.
    - `learns`: whether the mappings learn at all.
    """

    equation: ClassVar[str]
    learns: ClassVar[bool] = True

    def check(self, mappings: Mappings) -> None:
        """Raises `ConfigError`, with the reason, if the mappings cannot learn in this way."""
        if self.learns and not mappings.plastic:
            raise ConfigError(
                f"{type(mappings).__name__} are computed from the weights and do not learn: "
                f"use the learner NoLearning(), not {type(self).__name__}."
            )

    def draw(self, trace: Trace, key: PRNGKeyArray) -> NoiseDraw | None:
        """The noise of one step on the batch of `trace`. `None` for a learner without noise."""
        return None

    @abc.abstractmethod
    def step(
        self, network: Network, paths: Sequence[Path], trace: Trace, noise: NoiseDraw | None, root: Root
    ) -> FeedbackStep | None:
        """Gradients and losses of the mappings.

        **Arguments:**

        - `network`: the network.
        - `paths`: the feedback paths with the mappings.
        - `trace`: the forward pass of the minibatch.
        - `noise`: the noise of this step.
        - `root`: the root of the metric of the output. It multiplies displacements of the output
          before the feedback reads them.

        **Returns:** the step, or `None` if nothing is learned.
        """

    def averaged(
        self, step: Callable[[NoiseDraw | None], FeedbackStep | None], trace: Trace, key: PRNGKeyArray
    ) -> FeedbackStep | None:
        """The mean of `step(noise)` over the noise draws of this learner."""
        return step(self.draw(trace, key))


class NoLearning(Learner):
    """The mappings do not learn.

    They are fixed random mappings, or exact inverses of the current weights.
    """

    word: ClassVar[str] = "none"

    equation: ClassVar[str] = ""
    learns: ClassVar[bool] = False

    def step(self, network, paths, trace, noise, root):
        return None


class NoisyLearner(Learner):
    """A learner whose mappings learn to undo noise on the hidden layers."""

    noise: eqx.AbstractVar[Noise]

    def draw(self, trace, key):
        return NoiseDraw(self.noise.on_layers(trace, key))

    def step(self, network, paths, trace, noise, root):
        assert noise is not None  # `draw` returned it
        return self.noisy_step(network, paths, trace, noise, root)

    @abc.abstractmethod
    def noisy_step(
        self, network: Network, paths: Sequence[Path], trace: Trace, noise: NoiseDraw, root: Root
    ) -> FeedbackStep:
        """`step` with noise that is not `None`."""

    def averaged(self, step, trace, key):
        return average_over_draws(lambda key: step(self.draw(trace, key)), self.noise.samples, key)


class Reconstruction(NoisyLearner):
    """Each mapping learns to reconstruct a noisy activity of its layer from the next layer.

    Meulemans et al. 2020, equation 39. Without noise, `sigma = 0`, it reconstructs the activity
    itself (Meulemans 2019, equation 4.91).
    """

    word: ClassVar[str] = "reconstruction"

    noise: Noise = Gaussian()
    """Noise on the activities."""
    regularizer: Decay = NO_DECAY
    """Penalty on the mappings."""

    equation: ClassVar[str] = "L_i = ||g_i(f_{i+1}(h_i + eps_i)) - (h_i + eps_i)||^2"

    def check(self, mappings):
        super().check(mappings)
        _check_layerwise(self, mappings)

    def noisy_step(self, network, paths, trace, noise, root):
        activities = perturbed(trace, noise.layers)
        return layerwise_reconstruction(network, _maps(paths), activities, self.regularizer)


class InverseLearner(NoisyLearner):
    """A learner whose mappings learn to invert the next layer.

    They learn from white noise in place of the activities, or in place of the normalized activities
    where the next layer normalizes them.
    """

    def check(self, mappings):
        super().check(mappings)
        _check_layerwise(self, mappings)

    @abc.abstractmethod
    def invert(self, network: Network, maps: Sequence[Any], noise: LayerNoise) -> FeedbackStep:
        """Gradients and losses of the mappings.

        **Arguments:**

        - `network`: the network.
        - `maps`: the mappings.
        - `noise`: `noise[i - 1]` has the shape of the activity of layer `i`.
        """

    def noisy_step(self, network, paths, trace, noise, root):
        return self.invert(*without_normalization(network, _maps(paths)), noise.layers)


class InverseLoss(InverseLearner):
    """Each mapping learns to reconstruct white noise from the next layer, with a penalty on `Q_i`.

    The penalty `strength ||Q_i||^2` includes the biases of the mappings. Meulemans 2019, equation
    4.97 and Algorithm A.8. The learning rate there is twice ours, since the factor 2 of the
    gradient is left out. For mappings `Q_i s^{-1}(h)`, the minimum is
    `Q_i = W^T (W W^T + strength / sigma^2 I)^{-1}` with `W = W_{i+1}` (Theorem 4.7).
    """

    word: ClassVar[str] = "inverse-loss"

    noise: Noise = Gaussian(1.0)
    """White noise in place of the activities."""
    strength: float = 0.0
    """Strength of the penalty, `lambda` in the thesis."""

    equation: ClassVar[str] = "L_i = ||g_i(f_{i+1}(eps_i)) - eps_i||^2 + strength ||Q_i||^2"

    def __check_init__(self):
        check_not_negative(self, "strength")

    def invert(self, network, maps, noise):
        decay = eqx.tree_at(lambda decay: decay.strength, NO_DECAY, self.strength)
        return layerwise_reconstruction(network, maps, noise, decay)


class BenIsraelCohen(InverseLearner):
    """The iteration `Q <- 2 Q - Q W Q` of Ben-Israel and Cohen, estimated from noise.

    The step is `-(Q W - I) Q` (Meulemans 2019, equation 4.96). Its estimate is
    `(g_i(f_{i+1}(x)) - x) (Q_i^T x)^T / sigma^2`, averaged over the batch. With a learning rate of
    1, its expectation is the iteration itself, which squares the error in each step. The iteration
    converges if `Q W` starts near enough to a projection. It keeps the row space and the column
    space of its start. So it reaches the pseudo-inverse only if these are the spaces of `W^T`. The
    losses are the same as in `InverseLoss`.
    """

    word: ClassVar[str] = "ben-israel-cohen"

    noise: Noise = Gaussian(1.0)
    """White noise in place of the activities."""

    equation: ClassVar[str] = "Q_i <- Q_i - (Q_i W_{i+1} - I) Q_i, estimated from noise"

    def check(self, mappings):
        if not isinstance(mappings, LearnedInverses):
            raise ConfigError(
                f"BenIsraelCohen needs mappings of the form Q s^{{-1}}(h), but {type(mappings).__name__} "
                "have another form: use LearnedInverses."
            )

    def invert(self, network, maps, noise):
        learned = layerwise_reconstruction(network, maps, noise)

        def direction(g: InverseFeedback, layer: LayerLike, x: Activity, gradient: InverseFeedback) -> InverseFeedback:
            rows = x.reshape(x.shape[0], -1)
            error = g.linear.at(evaluate(layer, x).a).h - rows
            step = error.T @ (rows @ g.linear.weight) / (self.noise.sigma**2 * rows.shape[0])
            return eqx.tree_at(lambda tree: tree.linear.weight, gradient, step)

        each = zip(maps, network.layers[1:], noise, learned.gradients, strict=True)
        return learned._replace(gradients=tuple(direction(*entries) for entries in each))


class LoopLearner(NoisyLearner):
    """A learner whose noise passes from the layer to the output and back through the feedback."""

    regularizer: eqx.AbstractVar[Any]

    def draw(self, trace, key):
        noise_key, probe_key = jax.random.split(key)
        layers = self.noise.on_layers(trace, noise_key)
        return NoiseDraw(layers, self.regularizer.probe(trace.output, self.noise, probe_key))

    def loop(self, network: Network, trace: Trace, noise: NoiseDraw, root: Root) -> NoiseLoop:
        """The noise, and the displacements of the output that it causes, in the output metric."""
        loop = carry_noise(network, trace, noise)
        return loop._replace(moved=root(loop.moved))


class DifferenceReconstruction(LoopLearner):
    """The difference reconstruction loss.

    Noise on layer `i` displaces the output. The feedback, with the difference correction, maps
    this displacement back to layer `i`. The loss is its squared distance to the noise (Meulemans
    et al. 2020, equation 9, Algorithms 2 to 4).
    """

    word: ClassVar[str] = "difference-reconstruction"

    noise: Noise = Gaussian(0.05)
    """Noise on the activities."""
    regularizer: Regularizer = WeightDecay()
    """Second term of the loss."""

    equation: ClassVar[str] = "L_i = ||g^diff_i(h_L + J_i eps_i) - (h_i + eps_i)||^2 / sigma^2"

    def __check_init__(self):
        check_fields(self)
        check_positive(self.noise, "sigma")

    def noisy_step(self, network, paths, trace, noise, root):
        loop = self.loop(network, trace, noise, root)
        reconstruction = direct_reconstruction if _direct(paths) else chained_reconstruction
        return reconstruction(paths, loop, self.noise.sigma, self.regularizer)


class UncorrectedReconstruction(LoopLearner):
    """The reconstruction loss through the output without the difference correction.

    There is no factor `1/sigma^2` either (Meulemans et al. 2020, Algorithm 5).
    """

    word: ClassVar[str] = "uncorrected-reconstruction"

    noise: Noise = Gaussian(0.05)
    """Noise on the activities."""
    regularizer: Decay = WeightDecay()
    """Penalty on the mappings."""

    equation: ClassVar[str] = "L_i = ||g_i(h_L + J_i eps_i) - (h_i + eps_i)||^2"

    def check(self, mappings):
        super().check(mappings)
        if not mappings.direct:
            raise ConfigError(
                f"UncorrectedReconstruction needs mappings that read the output, but {type(mappings).__name__} "
                "do not: use Reconstruction or DifferenceReconstruction."
            )

    def noisy_step(self, network, paths, trace, noise, root):
        return uncorrected_reconstruction(paths, trace, self.loop(network, trace, noise, root), self.regularizer)


class ActivityReconstruction(Learner):
    """Each mapping learns to predict the activity of its layer from the activity that it reads.

    There is no noise. Meulemans 2019, equations 6.24 and 6.26, whose learning rate is twice ours.
    """

    word: ClassVar[str] = "activity-reconstruction"

    regularizer: Decay = NO_DECAY
    """Penalty on the mappings."""

    equation: ClassVar[str] = "L_i = ||g_i(h_{i+1}) - h_i||^2"

    def step(self, network, paths, trace, noise, root):
        return self.reconstruct(_maps(paths), [path.reading.activity for path in paths], trace.h[1:-1])

    def reconstruct(self, maps: Sequence[Any], sources: Sequence[Activity], goals: Sequence[Activity]) -> FeedbackStep:
        """Gradients and losses of mappings with given inputs and targets.

        **Arguments:**

        - `maps`: the mappings.
        - `sources`: `sources[i - 1]` is the input of `g_i`.
        - `goals`: `goals[i - 1]` is the output that `g_i` learns.
        """
        return activity_reconstruction(maps, sources, goals, self.regularizer)


def _maps(paths: Sequence[Path]) -> tuple[Any, ...]:
    return tuple(path.g for path in paths)


def _direct(paths: Sequence[Path]) -> bool:
    return all(path.above == len(paths) + 1 for path in paths)


def _check_layerwise(learner: Learner, mappings: Mappings) -> None:
    if mappings.direct:
        raise ConfigError(
            f"{type(learner).__name__} needs mappings that read the next layer, but {type(mappings).__name__} "
            "read the output: use DifferenceReconstruction or UncorrectedReconstruction."
        )


def ben_israel_cohen(q: Float[Array, "n m"], w: Float[Array, "m n"]) -> Float[Array, "n m"]:
    """One step of the iteration `2 Q - Q W Q`.

    Ben-Israel and Cohen 1966; Meulemans 2019, equation 4.96.
    """
    return 2 * q - q @ w @ q


def regularized_inverse(w: Float[Array, "m n"], damping: Any) -> Float[Array, "n m"]:
    """`W^T (W W^T + damping I)^{-1}`, the minimum of the inverse loss.

    There `damping` is `strength / sigma^2` (Meulemans 2019, equation 4.99). It must be positive
    unless the rows of `W` are independent.
    """
    return jnp.linalg.solve(w @ w.T + damping * jnp.eye(w.shape[0], dtype=w.dtype), w).T
