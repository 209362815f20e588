"""What the feedback of a network in continuous time is: the mappings `g_i`, and how they are had and learned."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from ..networks.activations import Activation, Tanh
from ..networks.invertible import inverted_layers
from ..networks.network import Activity, Layer, LayerLike, Network, Point, Trace
from .inverses import Automatic, Inverse, follow_inverses, init_inverses, inverse_displacement
from .maps import inverse_maps, layerwise_maps
from .reconstruction import Decay, FeedbackStep, WeightDecay, activity_reconstruction


class Backward(eqx.Module):
    """The feedback mappings `g_1 .. g_{L-1}` of a network, each from layer `i + 1` down to layer `i`."""

    @abc.abstractmethod
    def init(self, network: Network, *, key: PRNGKeyArray) -> Any:
        """Feedback parameters, a pytree. Raises `ConfigError` for a network that these mappings do not fit."""

    @abc.abstractmethod
    def maps(self, network: Network, feedback: Any, trace: Trace) -> Sequence[Layer]:
        """The mappings themselves, for the batch of a forward pass."""

    @property
    @abc.abstractmethod
    def returned(self) -> float:
        """The share of a layer's change that `g_i` brings back once `f_{i+1}` has carried it up: 1 for an inverse, 0 where
        nothing is known of it."""

    @abc.abstractmethod
    def learned(self, feedback: Any, sources: Sequence[Activity], goals: Sequence[Activity]) -> FeedbackStep | None:
        """What the mappings learn where `g_i` reads `sources[i - 1]`, an activity of layer `i + 1`, and is to give
        `goals[i - 1]`, one of layer `i`, both at rest; `None` for those that do not learn."""

    @abc.abstractmethod
    def follow(self, before: Network, after: Network, feedback: Any, trace: Trace) -> tuple[Network, Any]:
        """As in `Rule.follow`, with the trace that the layers learned from."""


class ExactInverse(Layer):
    """`g_i = f_{i+1}^{-1}`, the inverse of `layer` (Meulemans 2019, equation 6.4, whose indices of `W` and `s` are `i + 1`).
    `origin` is where the layer was evaluated: auxiliary units keep their activity there."""

    layer: LayerLike
    activation: Activation
    method: Inverse
    state: Any
    origin: Point

    def at(self, x: Activity) -> Point:
        moved = self.activation.inverse_difference(self.origin.h, x - self.origin.h)
        below = self.origin.x + inverse_displacement(self.method, self.state, self.layer, self.origin, moved)
        return Point(x, below, below)

    def difference(self, point: Point, dx: Float[Array, "..."]) -> Float[Array, "..."]:
        moved = self.activation.inverse_difference(point.x, dx)
        return inverse_displacement(self.method, self.state, self.layer, self.origin, moved)


class ExactInverses(Backward):
    """The exact inverses of the layers (Meulemans 2019, section 6.4); `method` is how the inverse weights are had. For
    square layers from the second on with activations onto the real line, or auxiliary units."""

    word: ClassVar[str] = "exact"

    method: Inverse = Automatic()

    def init(self, network, *, key):
        return init_inverses(self.method, network)

    def maps(self, network, feedback, trace):
        layers = zip(network.layers[1:], inverted_layers(network), feedback, trace.points[1:], strict=True)
        return tuple(
            ExactInverse(layer, dense.activation, self.method, state, point) for layer, dense, state, point in layers
        )

    @property
    def returned(self):
        return 1.0

    def learned(self, feedback, sources, goals):
        return None

    def follow(self, before, after, feedback, trace):
        return follow_inverses(self.method, before, after, feedback, trace)


class PlasticMappings(Backward):
    """Mappings with parameters of their own, which learn to rebuild their goals; `decay` is the penalty on them."""

    decay: eqx.AbstractVar[Decay]

    def maps(self, network, feedback, trace):
        return feedback

    def learned(self, feedback, sources, goals):
        return activity_reconstruction(feedback, sources, goals, self.decay)

    def follow(self, before, after, feedback, trace):
        return after, feedback


class ApproximateInverses(PlasticMappings):
    """`g_i(h) = Q_i s_{i+1}^{-1}(h) + c_i`, learned (Meulemans 2019, equations 6.23 to 6.26 with `t_i = s_{i+1}^{-1}`).
    `Q_i` starts at the pseudo-inverse of `W_{i+1}`. For dense layers with activations onto the real line.

    `decay` is the penalty on `Q_i`, its `strength` the `lambda` of the thesis.
    """

    word: ClassVar[str] = "approximate"

    decay: Decay = WeightDecay(0.0)

    def init(self, network, *, key):
        return inverse_maps(network)

    @property
    def returned(self):
        return 1.0


class TrainedFeedback(PlasticMappings):
    """`g_i(h) = t(Q_i h + c_i)`, learned: the original mappings of target propagation, for layers of any shape. `activation`
    is `t`; `decay` is the penalty on the parameters."""

    word: ClassVar[str] = "trained"

    activation: Activation = Tanh()
    decay: Decay = WeightDecay(0.0)

    def init(self, network, *, key):
        return layerwise_maps(network, self.activation, key=key)

    @property
    def returned(self):
        return 0.0
