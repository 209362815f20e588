"""Modified target propagation: a rule with inverse slopes in its local update (Meulemans 2019)."""

from typing import ClassVar

from ..errors import ConfigError
from ..networks.layers import as_layer
from .contract import Rule


class InverseSlopes(Rule):
    """Another rule, with `D_i^{-1}` in place of `D_i` in the local update.

    `D_i` are the slopes of the nonlinearity of layer `i`. With `D_i^{-1}`, the update of the
    pre-activation is that of Gauss-Newton (Meulemans 2019, section 5.1.1 and Algorithm A.1,
    "modified" target propagation). Feedback and target updates are those that `rule` computes.

    Every layer needs a nonlinearity whose slope is never zero. Otherwise `ConfigError` is raised.
    The batch normalization of Algorithm A.1 is a part of the network: use `BatchNormalized`
    layers.
    """

    rule: Rule

    name: ClassVar[str] = "modified"
    equation: ClassVar[str] = "D_i^{-2} dh_i of the other rule"
    source: ClassVar[str] = "Meulemans 2019, Algorithm A.1"

    @property
    def learns_feedback(self):
        return self.rule.learns_feedback

    @property
    def iterative(self):
        return self.rule.iterative

    @property
    def has_post_update(self):
        return self.rule.has_post_update

    @property
    def requires(self):
        return self.rule.requires

    def init(self, network, *, key):
        return self.rule.init(network, key=key)

    def target_updates(self, network, feedback, batch):
        return self.rule.target_updates(network, feedback, batch)

    def feedback_step(self, network, feedback, batch):
        return self.rule.feedback_step(network, feedback, batch)

    def draw(self, trace, key):
        return self.rule.draw(trace, key)

    def equilibrium(self, network, feedback, trace):
        return self.rule.equilibrium(network, feedback, trace)

    def credit(self, network, feedback, batch):
        credit = self.rule.credit(network, feedback, batch)
        layers = zip(network.layers, credit.trace.points, credit.updates, strict=True)
        return credit._replace(updates=tuple(_unsloped(layer, point, dh) for layer, point, dh in layers))

    def post_update(self, before, after, feedback, credit):
        return self.rule.post_update(before, after, feedback, credit)

    def layerwise_maps(self, network, feedback, trace):
        return self.rule.layerwise_maps(network, feedback, trace)

    def first_order(self, network, feedback, batch):
        return self.rule.first_order(network, feedback, batch)

    def advice(self, network, feedback, batch):
        return self.rule.advice(network, feedback, batch)


def _unsloped(layer, point, dh):
    nonlinearity = as_layer(layer).nonlinearity()
    if nonlinearity is None:
        raise ConfigError(f"InverseSlopes needs dense layers, not a {type(layer).__name__}: use another rule.")
    nonlinearity.inverse(point.a[:0])  # raises an error if the slope can be zero
    return dh / as_layer(layer).slope(point) ** 2
