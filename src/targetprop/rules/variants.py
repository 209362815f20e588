"""Variants of any rule: what Meulemans 2019 changes in target propagation, as wrappers."""

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from ..errors import ConfigError
from ..networks.network import Dense, Network
from ..networks.normalization import BatchNormalized
from ._base import Lesson, Rule

Chosen = Bool[Array, " L"] | None


class Variant(Rule):
    """Another rule with something changed in how its target updates are learned. Feedback and target updates are the
    other rule's own."""

    rule: eqx.AbstractVar[Rule]

    def init(self, network, *, key):
        return self.rule.init(network, key=key)

    def settle(self, network, feedback, trace):
        return self.rule.settle(network, feedback, trace)

    def target_updates(self, network, feedback, trace, output_update):
        return self.rule.target_updates(network, feedback, trace, output_update)

    def feedback_gradients(self, network, feedback, trace, *, key):
        return self.rule.feedback_gradients(network, feedback, trace, key=key)

    def lesson(self, network, feedback, trace, output_update, *, key):
        return self.altered(network, self.rule.lesson(network, feedback, trace, output_update, key=key))

    def learn(self, network, feedback, trace, output_update, *, key):
        lesson, learned = self.rule.learn(network, feedback, trace, output_update, key=key)
        return self.altered(network, lesson), learned

    def follow(self, before, after, feedback, lesson):
        return self.rule.follow(before, after, feedback, lesson)

    def complaints(self, network, feedback, trace, output_update):
        return self.rule.complaints(network, feedback, trace, output_update)

    @abc.abstractmethod
    def altered(self, network: Network, lesson: Lesson) -> Lesson:
        """What becomes of the other rule's lesson."""

    @abc.abstractmethod
    def chosen(self, network, *, key) -> Chosen:
        """As in `Rule`."""


class Randomized(Variant):
    """In every step one layer, drawn at random, moves and the others stay (Meulemans 2019, Algorithm A.2).

    The output target asks every layer to bring about the whole change; when all of them do, the output moves too far.
    """

    rule: Rule

    name: ClassVar[str] = "randomized"
    equation: ClassVar[str] = "dh_i of the other rule, learned by one random layer"
    source: ClassVar[str] = "Meulemans 2019, Algorithm A.2"

    def altered(self, network, lesson):
        return lesson

    def chosen(self, network, *, key) -> Chosen:
        return jnp.arange(network.depth) == jax.random.randint(key, (), 0, network.depth)


class Modified(Variant):
    """The local update has `D_i^{-1}` in place of `D_i`, the slopes of the layer's nonlinearity, so that the update of the
    pre-activation is that of Gauss-Newton (Meulemans 2019, section 5.1.1 and Algorithm A.1).

    Dense layers of an activation whose slope is never zero; others raise `ConfigError`. Batch normalization, the other half
    of Algorithm A.1, belongs to the network: `BatchNormalized` layers.
    """

    rule: Rule

    name: ClassVar[str] = "modified"
    equation: ClassVar[str] = "D_i^{-2} dh_i of the other rule"
    source: ClassVar[str] = "Meulemans 2019, Algorithm A.1"

    def altered(self, network, lesson):
        layers = zip(network.layers, lesson.trace.points, lesson.updates, strict=True)
        return Lesson(lesson.trace, tuple(_unslope(layer, point, dh) for layer, point, dh in layers))

    def chosen(self, network, *, key) -> Chosen:
        return self.rule.chosen(network, key=key)


def _unslope(layer, point, dh):
    if not isinstance(layer, Dense | BatchNormalized):
        raise ConfigError(f"Modified needs dense layers, which know their slopes; this one is a {type(layer).__name__}.")
    layer.activation.inverse(point.a[:0])  # raises for one whose slope vanishes
    return dh / layer.activation.slope(point.a) ** 2
