"""Target propagation through exact inverses: TP, incremental targets (ITP) and GAIT-prop.

The papers compute targets near the activities,
`t_{i-1} = f_i^{-1}((1 - epsilon) h_i + epsilon t_i)`. Then they divide the small difference
`t_i - h_i` by the accumulated powers of gamma. Here the divided difference itself is propagated.
With `c_i = gamma_{i+1} .. gamma_L`, the update `dh_i = (t_i - h_i) / c_i` obeys

    dh_{i-1} = W_i^{-1} [s^{-1}(h_i + c_{i-1} g_i dh_i) - s^{-1}(h_i)] / c_{i-1}

with `epsilon = gamma_i g_i`. This never subtracts nearly equal numbers, however small gamma is.
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
    """`dh_1 .. dh_L` through the exact inverses of the layers.

    **Arguments:**

    - `method`, `states`: how the inverses are computed, and the states for the layers 2 .. L.
    - `network`: the network.
    - `batch`: the minibatch.
    - `gamma`: one number, a tuple `gamma_2 .. gamma_L`, or `None` for the limit 0.
    - `gain`: computes `g_i` from the activation and `a_i`.

    **Returns:** the target updates.

    **Raises:** `ConfigError` if a layer has no inverse, or if `gamma` has the wrong length.
    """
    denses = inverted_layers(network, onto=gamma is not None)
    if isinstance(gamma, tuple) and len(gamma) != len(denses):
        raise ConfigError(
            f"`gamma` has {len(gamma)} numbers for {len(denses)} layers: give one number, or one for each layer from 2 to L."
        )
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
    """A rule whose targets travel through the exact inverses of the layers 2 .. L.

    `init` raises `ConfigError` if one of these layers has no inverse.
    """

    inverse: eqx.AbstractVar[Inverse]
    family: ClassVar[str] = "exact inverses"

    @property
    @abc.abstractmethod
    def increment(self) -> tuple[Gamma, Gain]:
        """`gamma` and `g_i` of `propagate_inverses`: the propagated share of a target update."""

    def init(self, network, *, key):
        gamma, _ = self.increment
        return init_inverses(self.inverse, network, onto=gamma is not None)

    @property
    def has_post_update(self):
        return True

    @property
    def requires(self):
        return frozenset({Requirement.INVERTIBLE_LAYERS})

    def target_updates(self, network, feedback, batch):
        return propagate_inverses(self.inverse, network, feedback, batch, *self.increment)

    def post_update(self, before, after, feedback, credit):
        return update_inverses(self.inverse, before, after, feedback, credit.trace)


class TargetPropExact(ExactRule):
    """Target propagation with exact inverses: `dh_i = f_{i+1}^{-1}(h_{i+1} + dh_{i+1}) - h_i`.

    Ahmad et al. 2020, equations 4 and 5.
    """

    inverse: Inverse = Automatic()
    """How the inverse of a weight matrix is computed."""

    name: ClassVar[str] = "tp-exact"
    equation: ClassVar[str] = "dh_i = W_{i+1}^{-1} [s^{-1}(h_{i+1} + dh_{i+1}) - s^{-1}(h_{i+1})]"
    source: ClassVar[str] = "Ahmad et al. 2020, eq. 4-5"

    @property
    def increment(self):
        return 1.0, _unit_gain


class ITP(ExactRule):
    """Incremental target propagation: only the share `gamma` of a target update is propagated.

    The update of the layer below is divided by `gamma` (Ahmad et al. 2020, equations 12 and 13).

    **Arguments:**

    - `gamma`: one number for all layers, or a tuple `gamma_2 .. gamma_L`. `None` is the limit of
      vanishing `gamma`, the inverse of the linearized network. It also accepts activations with a
      bounded image.
    - `inverse`: how the inverse of a weight matrix is computed.
    """

    gamma: Gamma = 1e-3
    """Share of each target update that is propagated to the layer below."""
    inverse: Inverse = Automatic()
    """How the inverse of a weight matrix is computed."""

    def __check_init__(self):
        check_positive(self, "gamma")

    name: ClassVar[str] = "itp"
    equation: ClassVar[str] = "dh_i = [f_{i+1}^{-1}(h_{i+1} + gamma dh_{i+1}) - h_i] / gamma"
    source: ClassVar[str] = "Ahmad et al. 2020, eq. 12-13"

    @property
    def increment(self):
        return self.gamma, _unit_gain


class GAITProp(ExactRule):
    """Gradient-adjusted incremental target propagation (GAIT-prop).

    Incremental targets with the share `gamma s'(a)^2` of each unit. With orthogonal weights and
    `gamma -> 0`, its updates equal the updates of backpropagation (Ahmad et al. 2020, equations 16
    to 21, Algorithm 1). Any output loss can be used: the target of the output is `h_L - dl/dh_L`.
    `gamma` and `inverse` are the same as in `ITP`.
    """

    gamma: Gamma = 1e-3
    """Share of each target update that is propagated to the layer below."""
    inverse: Inverse = Automatic()
    """How the inverse of a weight matrix is computed."""

    def __check_init__(self):
        check_positive(self, "gamma")

    name: ClassVar[str] = "gait"
    equation: ClassVar[str] = "dh_i = [f_{i+1}^{-1}(h_{i+1} + gamma D_{i+1}^2 dh_{i+1}) - h_i] / gamma"
    source: ClassVar[str] = "Ahmad et al. 2020, Algorithm 1"

    @property
    def increment(self):
        return self.gamma, _squared_slope
