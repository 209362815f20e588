"""Target propagation through exact inverses: TP, incremental targets (ITP) and GAIT-prop.

The papers form targets next to the activities, `t_{i-1} = f_i^{-1}((1 - epsilon) h_i + epsilon t_i)`, and divide the small
difference `t_i - h_i` by the powers of gamma that it has gathered. Here the divided difference travels itself: with
`c_i = gamma_{i+1} .. gamma_L`, the update `dh_i = (t_i - h_i) / c_i` obeys

    dh_{i-1} = W_i^{-1} [s^{-1}(h_i + c_{i-1} g_i dh_i) - s^{-1}(h_i)] / c_{i-1},     epsilon = gamma_i g_i

where no difference of nearly equal numbers is left to be divided, however small gamma.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Float

from ..errors import ConfigError, check_positive
from ..feedback.inverses import Automatic, Inverse, init_inverses, inverse_displacement, update_inverses
from ..networks.activations import Activation, inverse_quotient
from ..networks.invertible import inverted_layers
from ..networks.network import Network
from ..networks.requirements import Requirement
from .contract import Minibatch, Rule, Updates

Gamma = float | tuple[float, ...] | None
Gain = Callable[[Activation, Float[Array, "batch n"]], Any]


def _unit_gain(activation, a):
    return 1.0


def _squared_slope(activation, a):
    return activation.slope(a) ** 2


def propagate_inverses(
    method: Inverse,
    network: Network,
    states: tuple[Any, ...],
    batch: Minibatch,
    gamma: Any,
    gain: Gain,
) -> Updates:
    """`dh_1 .. dh_L` through the exact inverses of the layers. `gamma` is one number, a tuple `gamma_2 .. gamma_L`, or
    `None` for the limit 0; `gain` is `g_i`, from the activation and `a_i`.

    Raises `ConfigError` for a layer without inverse, and for a `gamma` with another number of layers."""
    denses = inverted_layers(network, onto=gamma is not None)
    if isinstance(gamma, tuple) and len(gamma) != len(denses):
        raise ConfigError(f"`gamma` has {len(gamma)} numbers for {len(denses)} layers: give one, or one for each of 2 .. L.")
    updates, scale = [batch.output_update], 1.0
    for i in range(len(denses) - 1, -1, -1):
        layer, point, activation = network.layers[i + 1], batch.trace.points[i + 1], denses[i].activation
        scale = scale * _of_layer(gamma, i)
        moved = gain(activation, point.a) * updates[-1]
        da = inverse_quotient(activation, point.a, point.h, moved, scale)
        updates.append(inverse_displacement(method, states[i], layer, point, da))
    return tuple(reversed(updates))


def _of_layer(gamma: Any, i: int) -> Any:
    if gamma is None:
        return 0.0
    return gamma[i] if isinstance(gamma, tuple) else gamma


class ExactRule(Rule):
    """A rule whose targets pass the exact inverses of the layers, from the second on. `init` raises `ConfigError` for a
    network with such a layer that has no inverse."""

    inverse: eqx.AbstractVar[Inverse]

    @property
    @abc.abstractmethod
    def increment(self) -> tuple[Gamma, Gain]:
        """`gamma` and `g_i` of `propagate_inverses`: how much of a target update goes down."""

    def init(self, network, *, key):
        gamma, _ = self.increment
        return init_inverses(self.inverse, network, onto=gamma is not None)

    @property
    def requires(self):
        return frozenset({Requirement.INVERTIBLE_LAYERS})

    def target_updates(self, network, feedback, batch):
        return propagate_inverses(self.inverse, network, feedback, batch, *self.increment)

    def post_update(self, before, after, feedback, credit):
        return update_inverses(self.inverse, before, after, feedback, credit.trace)


class TargetPropExact(ExactRule):
    """Target propagation with the exact inverses of the layers: `dh_i = f_{i+1}^{-1}(h_{i+1} + dh_{i+1}) - h_i`
    (Ahmad et al. 2020, equations 4 and 5).

    `inverse` is how the inverse weights are computed.
    """

    inverse: Inverse = Automatic()
    """How the weights are inverted."""

    name: ClassVar[str] = "tp-exact"
    equation: ClassVar[str] = "dh_i = W_{i+1}^{-1} [s^{-1}(h_{i+1} + dh_{i+1}) - s^{-1}(h_{i+1})]"
    source: ClassVar[str] = "Ahmad et al. 2020, eq. 4-5"

    @property
    def increment(self):
        return 1.0, _unit_gain


class ITP(ExactRule):
    """Incremental target propagation: only the share `gamma` of a target update goes down, and the update below is divided
    by it (Ahmad et al. 2020, equations 12 and 13).

    `gamma` is one number for all layers or a tuple `gamma_2 .. gamma_L`; `None` is the limit of vanishing `gamma`, the
    inverse of the linearized network, where activations with a bounded image serve too. `inverse` is how the inverse
    weights are computed.
    """

    gamma: Gamma = 1e-3
    """The share of each target that is sent down."""
    inverse: Inverse = Automatic()
    """How the weights are inverted."""

    def __check_init__(self):
        check_positive(self, "gamma")

    name: ClassVar[str] = "itp"
    equation: ClassVar[str] = "dh_i = [f_{i+1}^{-1}(h_{i+1} + gamma dh_{i+1}) - h_i] / gamma"
    source: ClassVar[str] = "Ahmad et al. 2020, eq. 12-13"

    @property
    def increment(self):
        return self.gamma, _unit_gain


class GAITProp(ExactRule):
    """Gradient-adjusted incremental target propagation: incremental targets with the share `gamma s'(a)^2` of each unit.
    With orthogonal weights and `gamma -> 0` its updates are those of backpropagation (Ahmad et al. 2020,
    equations 16 to 21, Algorithm 1). Any output loss will do: the target of the output is `h_L - dl/dh_L`.

    `gamma` and `inverse` as in `ITP`.
    """

    gamma: Gamma = 1e-3
    """The share of each target that is sent down."""
    inverse: Inverse = Automatic()
    """How the weights are inverted."""

    def __check_init__(self):
        check_positive(self, "gamma")

    name: ClassVar[str] = "gait"
    equation: ClassVar[str] = "dh_i = [f_{i+1}^{-1}(h_{i+1} + gamma D_{i+1}^2 dh_{i+1}) - h_i] / gamma"
    source: ClassVar[str] = "Ahmad et al. 2020, Algorithm 1"

    @property
    def increment(self):
        return self.gamma, _squared_slope
