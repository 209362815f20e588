"""Modified target propagation: a rule with inverse slopes in its local update (Meulemans 2019)."""

from typing import ClassVar

import jax

from ..errors import ConfigError
from ..networks.layers import as_layer
from .contract import Rule
from .wrapper import Wrapper


class InverseSlopes(Wrapper):
    """Another rule, with `D_i^{-1}` in place of `D_i` in the local update.

    `D_i` are the slopes of the nonlinearity of layer `i`. With `D_i^{-1}`, the update of the
    pre-activation is that of Gauss-Newton (Meulemans 2019, section 5.1.1 and Algorithm A.1,
    "modified" target propagation). Feedback and target updates are those that `rule` computes.

    Every layer needs a nonlinearity whose slope is never zero. Otherwise `ConfigError` is raised.
    The batch normalization of Algorithm A.1 is a part of the network: use `Normalized(..)` as the
    architecture, or `batch_normalized(network)`.
    """

    rule: Rule

    name: ClassVar[str] = "modified"
    equation: ClassVar[str] = "dh_i of the other rule, with D_i^{-1} in place of D_i in the local update"
    source: ClassVar[str] = "Meulemans 2019, Algorithm A.1"

    def credit(self, network, feedback, batch):
        credit = self.rule.credit(network, feedback, batch)
        trace, slopes = credit.trace, map(_slopes, network.layers, credit.trace.points)
        pullbacks = (jax.tree_util.Partial(_pull, *each) for each in zip(trace.pullbacks, slopes, strict=True))
        return credit._replace(trace=trace._replace(pullbacks=tuple(pullbacks)))


def _slopes(layer, point):
    nonlinearity = as_layer(layer).nonlinearity()
    if nonlinearity is None:
        raise ConfigError(f"InverseSlopes needs dense layers, not a {type(layer).__name__}: use another rule.")
    nonlinearity.inverse(point.a[:0])  # raises an error if the slope can be zero
    return as_layer(layer).slope(point)


def _pull(pullback, slopes, v):
    return pullback(v / slopes**2)
