"""The base of a rule around another rule."""

import equinox as eqx

from .contract import Rule


class Wrapper(Rule):
    """A rule that changes one thing about another rule. All else is as in `rule`."""

    rule: eqx.AbstractVar[Rule]

    @property
    def learns_feedback(self):
        return self.rule.learns_feedback

    @property
    def feedback_after_step(self):
        return self.rule.feedback_after_step

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
        return self.rule.credit(network, feedback, batch)

    def post_update(self, before, after, feedback, credit):
        return self.rule.post_update(before, after, feedback, credit)

    def layerwise_maps(self, network, feedback, trace):
        return self.rule.layerwise_maps(network, feedback, trace)

    def first_order(self, network, feedback, batch):
        return self.rule.first_order(network, feedback, batch)

    def advice(self, network, feedback, batch):
        return self.rule.advice(network, feedback, batch)
