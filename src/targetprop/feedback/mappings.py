"""Feedback mappings as parts of a rule: their form, their inputs and their initial values."""

import abc
import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from .._array_checks import CheckedModule
from ..errors import check_count
from ..networks.activations import Activation, Identity, Tanh
from ..networks.invertible import inverted_layers
from ..networks.layers import Activity, Dense, Fixed, Layer, LayerLike, Point, parameters
from ..networks.network import Network, Trace
from ..networks.requirements import NOTHING, Requirement, Requirements
from .inverses import Automatic, Inverse, init_inverses, inverse_displacement, update_inverses
from .maps import (
    FeedbackMaps,
    Path,
    direct_maps,
    direct_paths,
    feedback_maps,
    for_minibatch,
    inverse_maps,
    layerwise_maps,
    layerwise_paths,
)
from .readings import ActivityReading, HiddenReading, Reading, RecurrentReading, flat


class Mappings(CheckedModule):
    """The feedback mappings `g_1 .. g_{L-1}` of a network.

    Each kind of mapping declares:

    - `equation`: the form of one mapping.
    - `direct`: whether the mappings read the output. Otherwise each reads the layer above.
    - `plastic`: whether they have parameters that can learn.
    - `inverting`: the share of a displacement of layer `i` that remains after `f_{i+1}` and then
      `g_i`. It is 1 for mappings in the form of an inverse, and 0 if nothing is known.
    - `requires`: what they require of the network.
    - `has_post_update`: whether `post_update` changes something.
    """

    equation: ClassVar[str]
    direct: ClassVar[bool] = False
    plastic: ClassVar[bool] = True
    inverting: ClassVar[float] = 0.0
    requires: ClassVar[Requirements] = NOTHING
    has_post_update: ClassVar[bool] = False

    @abc.abstractmethod
    def init(self, network: Network, *, key: PRNGKeyArray) -> Any:
        """Feedback parameters, a pytree.

        **Raises:** `ConfigError` if the mappings do not fit the network.
        """

    @abc.abstractmethod
    def paths(self, network: Network, feedback: Any, trace: Trace) -> tuple[Path, ...]:
        """The feedback path to each hidden layer, for the batch of a trace."""

    def maps(self, network: Network, feedback: Any, trace: Trace) -> tuple[Layer, ...]:
        """The mappings, for the batch of a trace."""
        return tuple(path.g for path in self.paths(network, feedback, trace))

    def gradients(self, feedback: Any, gradients: Sequence[Any]) -> Any:
        """The gradients of the mappings in the structure of `parameters(feedback)`."""
        return tuple(gradients)

    def post_update(self, before: Network, after: Network, feedback: Any, trace: Trace) -> tuple[Network, Any]:
        """Adjust the network and the feedback after a step of the optimizer. Default: no change.

        **Arguments:**

        - `before`, `after`: the network before and after the step.
        - `feedback`: the feedback.
        - `trace`: the activities from which the step was computed.

        **Returns:** the network and the feedback.
        """
        return after, feedback


class Layerwise(Mappings):
    """`g_i(h) = t(Q_i h + c_i)` from layer `i + 1` to layer `i`, for layers of any shape.

    Meulemans et al. 2020, equation 3. Weights start Xavier normal, biases at zero.
    """

    word: ClassVar[str] = "layerwise"

    activation: Activation = Tanh()
    """Nonlinearity `t` of the mappings."""

    equation: ClassVar[str] = "g_i(h) = t(Q_i h + c_i)"

    def init(self, network, *, key):
        return layerwise_maps(network, self.activation, key=key)

    def paths(self, network, feedback, trace):
        return layerwise_paths(feedback, trace)


class Direct(Mappings):
    """`g_i(h_L) = t(Q_i h_L + c_i)` from the output directly to layer `i`.

    Weights start Xavier normal, biases at zero.
    """

    word: ClassVar[str] = "direct"

    activation: Activation = Identity()
    """Nonlinearity `t` of the mappings."""

    equation: ClassVar[str] = "g_i(h_L) = t(Q_i h_L + c_i)"
    direct: ClassVar[bool] = True

    def init(self, network, *, key):
        return direct_maps(network, self.activation, key=key)

    def paths(self, network, feedback, trace):
        return direct_paths(feedback, trace)


class RandomHiddenFeedback(NamedTuple):
    """Direct mappings that share one random hidden layer `u = tanh(R h_L + d)`.

    **Arguments:**

    - `hidden`: the hidden layer, which is not trained.
    - `maps`: `maps[i - 1]` leads from the hidden layer to layer `i`. The last one leads from the
      output itself to layer `L - 1`.
    """

    hidden: Fixed
    maps: FeedbackMaps


class OnRandomHidden(Mappings):
    """Direct mappings that share a fixed random hidden layer `u = tanh(R h_L + d)`.

    `R` and `d` are uniform on `±1 / sqrt(n_L)`. The mapping to the last hidden layer reads the
    output itself, `g_{L-1}(h_L) = t(Q_{L-1} h_L + c_{L-1})`, as in the published experiments and
    unlike their equation.
    """

    width: eqx.AbstractVar[int]
    activation: eqx.AbstractVar[Activation]

    direct: ClassVar[bool] = True

    def __check_init__(self):
        check_count(self, "width")

    def init(self, network, *, key):
        hidden = random_hidden_layer(network, self.width, key=jax.random.fold_in(key, 0))
        sources = (*self.sources(network), network.shapes[-1])
        return RandomHiddenFeedback(hidden, feedback_maps(network, sources, self.activation, key=key))

    def paths(self, network, feedback, trace):
        layer = feedback.hidden.value
        shared = HiddenReading(layer, layer.at(flat(trace.output)))
        readings = [*self.readings(shared, trace.h[1:-2]), ActivityReading(trace.output)]
        return tuple(Path(g, reading, network.depth) for g, reading in zip(feedback.maps, readings, strict=True))

    def gradients(self, feedback, gradients):
        return parameters(feedback)._replace(maps=tuple(gradients))

    @abc.abstractmethod
    def sources(self, network: Network) -> Sequence[tuple[int, ...]]:
        """The shapes of the inputs of the mappings to the layers `1 .. L-2`."""

    @abc.abstractmethod
    def readings(self, shared: HiddenReading, activities: Sequence[Activity]) -> Sequence[Reading]:
        """The inputs of these mappings.

        **Arguments:**

        - `shared`: the random hidden layer.
        - `activities`: `h_1 .. h_{L-2}`.
        """


class RandomHidden(OnRandomHidden):
    """Direct mappings on a random hidden layer: `g_i(h_L) = t(Q_i tanh(R h_L + d) + c_i)`.

    Meulemans et al. 2020, section 4 and equation 62.
    """

    word: ClassVar[str] = "random-hidden"

    width: int = eqx.field(static=True, default=1024)
    """Number of units of the random hidden layer."""
    activation: Activation = Tanh()
    """Nonlinearity `t` of the mappings."""

    equation: ClassVar[str] = "g_i(h_L) = t(Q_i tanh(R h_L + d) + c_i), R and d fixed"

    def sources(self, network):
        return [(self.width,)] * (network.depth - 2)

    def readings(self, shared, activities):
        return [shared] * len(activities)


class RecurrentRandomHidden(OnRandomHidden):
    """`RandomHidden` that also reads the layer itself.

    `g_i(h_L, h_i) = t(Q_i tanh(R h_L + d) + S_i h_i + c_i)`, with `h_i` the activity of the
    forward pass. So samples with the same output may have different feedback (Meulemans et al.
    2020, equation 63). The weight of a mapping is `[Q_i S_i]`.
    """

    word: ClassVar[str] = "recurrent-random-hidden"

    width: int = eqx.field(static=True, default=1024)
    """Number of units of the random hidden layer."""
    activation: Activation = Tanh()
    """Nonlinearity `t` of the mappings."""

    equation: ClassVar[str] = "g_i(h_L, h_i) = t(Q_i tanh(R h_L + d) + S_i h_i + c_i), R and d fixed"

    def sources(self, network):
        return [(self.width + math.prod(shape),) for shape in network.shapes[1:-2]]

    def readings(self, shared, activities):
        return [RecurrentReading(shared, own) for own in activities]


def random_hidden_layer(network: Network, width: int, *, key: PRNGKeyArray) -> Fixed:
    """The layer `u = tanh(R h_L + d)` with `width` units.

    `R` and `d` are uniform on `±1 / sqrt(n_L)` and never trained.
    """
    outputs = math.prod(network.shapes[-1])
    bound = outputs**-0.5
    weight_key, bias_key = jax.random.split(key)
    weight = jax.random.uniform(weight_key, (width, outputs), network.dtype, -bound, bound)
    bias = jax.random.uniform(bias_key, (width,), network.dtype, -bound, bound)
    return Fixed(Dense(weight, bias, Tanh()))


class LearnedInverses(Mappings):
    """Learned mappings in the form of an inverse: `g_i(h) = Q_i s_{i+1}^{-1}(h) + c_i`.

    Meulemans 2019, section 4.3 and equations 6.23 to 6.26 with `t_i = s_{i+1}^{-1}`. `Q_i` starts
    at the pseudo-inverse of `W_{i+1}`. There is a `c_i` if layer `i + 1` has a bias. `init` raises
    `ConfigError` if a layer above the first is not dense, or if its activation is not invertible.

    Where layer `i + 1` normalizes its input, `Q_i s_{i+1}^{-1}(h) + c_i` is the normalized activity,
    and `g_i` scales and shifts it back by the statistics of the minibatch (Algorithm A.1).
    """

    word: ClassVar[str] = "learned-inverses"

    equation: ClassVar[str] = "g_i(h) = Q_i s_{i+1}^{-1}(h) + c_i"
    inverting: ClassVar[float] = 1.0
    requires: ClassVar[Requirements] = frozenset({Requirement.INVERTIBLE_ACTIVATIONS})

    def init(self, network, *, key):
        return inverse_maps(network)

    def paths(self, network, feedback, trace):
        return layerwise_paths(for_minibatch(network, feedback, trace), trace)


class InvertedLayer(Layer):
    """`g_i = f_{i+1}^{-1}`, the inverse of `layer`.

    Meulemans 2019, equation 6.4. Its `W` and `s` have the index `i + 1` here. Auxiliary units keep
    their activity at `origin`.

    **Arguments:**

    - `layer`: `f_{i+1}`.
    - `activation`: `s_{i+1}`.
    - `method`, `state`: how the inverse of the weight is computed, and what it stores.
    - `origin`: where the layer was evaluated.
    """

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


class ExactInverses(Mappings):
    """The exact inverses of the layers, `g_i = f_{i+1}^{-1}`.

    Meulemans 2019, section 6.4. Layers above the first must be square or have auxiliary units, and
    their activations must be onto the real line. These mappings do not learn. They are always the
    inverses of the current weights.
    """

    word: ClassVar[str] = "exact-inverses"

    method: Inverse = Automatic()
    """How the inverse of a weight matrix is computed."""

    equation: ClassVar[str] = "g_i = f_{i+1}^{-1}"
    plastic: ClassVar[bool] = False
    inverting: ClassVar[float] = 1.0
    requires: ClassVar[Requirements] = frozenset({Requirement.INVERTIBLE_LAYERS})
    has_post_update: ClassVar[bool] = True

    def init(self, network, *, key):
        return init_inverses(self.method, network)

    def paths(self, network, feedback, trace):
        layers = zip(network.layers[1:], inverted_layers(network), feedback, trace.points[1:], strict=True)
        maps = [InvertedLayer(layer, dense.activation, self.method, state, at) for layer, dense, state, at in layers]
        return layerwise_paths(maps, trace)

    def post_update(self, before, after, feedback, trace):
        return update_inverses(self.method, before, after, feedback, trace)
