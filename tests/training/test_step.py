"""What a rule may ask of a training step beside its target updates."""

import jax
import jax.numpy as jnp
import numpy as np

import targetprop as tp
from targetprop.losses import SquaredError
from targetprop.networks.network import mlp
from targetprop.rules.by_numbers import minibatch_step
from targetprop.rules.contract import Example, Minibatch
from targetprop.rules.updates import local_gradients
from targetprop.training.optimizers import Adam
from targetprop.training.step import init_state, step

X, Y = jax.random.normal(jax.random.key(1), (5, 4)), jnp.ones((5, 2))


class Plain(tp.Rule):
    """Backpropagation, to be varied."""

    name = "plain"
    equation = "that of backpropagation"
    source = "a test"

    def target_updates(self, network, feedback, batch):
        return tp.Backprop().target_updates(network, feedback, batch)


class Second(tp.UpdateMask):
    """Only the second layer moves."""

    def __call__(self, depth, key):
        return jnp.arange(depth) == 1


class Halved(Plain):
    """Every step is halved, and the feedback counts them."""

    @property
    def has_post_update(self):
        return True

    def init(self, network, *, key):
        return jnp.zeros(())

    def post_update(self, before, after, feedback, credit):
        return jax.tree.map(lambda a, b: (a + b) / 2, before, after), feedback + 1


class Elsewhere(Plain):
    """Local updates are taken at the activities of the negative input."""

    def credit(self, network, feedback, batch):
        return tp.Credit(batch, network.trace(-X), self.target_updates(network, feedback, batch), None)


def after(rule, steps, mask=None):
    recipe = tp.Recipe(rule, loss=SquaredError(), optimizer=Adam(0.1), update_mask=mask)
    network = mlp((4, 3, 3, 2), bias=False, key=jax.random.key(0))
    state = init_state(recipe, network)
    for _ in range(steps):
        state, _ = step(state, (X, Y))
    return network, state


def test_layers_that_are_not_chosen_stay_though_the_optimizer_has_a_memory():
    before, state = after(Plain(), 2, Second())
    moved = [not np.array_equal(a.weight, b.weight) for a, b in zip(before.layers, state.network.layers, strict=True)]
    assert moved == [False, True, False]


def test_a_step_may_be_shortened_and_the_feedback_goes_with_it():
    before, state = after(Halved(), 1)
    assert float(state.feedback) == 1
    plain = after(Plain(), 1)[1]
    for start, ours, theirs in zip(before.layers, state.network.layers, plain.network.layers, strict=True):
        np.testing.assert_allclose(ours.weight - start.weight, (theirs.weight - start.weight) / 2, atol=1e-6)


def test_local_updates_may_be_taken_at_other_activities():
    """An odd network at the negative input: with the same target updates, every weight gradient
    has the other sign.
    """
    network = mlp((4, 3, 3, 2), bias=False, key=jax.random.key(0))
    trace = network.trace(X)
    lesson = Elsewhere().credit(network, None, Minibatch(trace, Y, key=jax.random.key(0)))
    ours = local_gradients(network, lesson.trace, lesson.updates)
    theirs = local_gradients(network, trace, lesson.updates)
    for one, other in zip(ours.layers, theirs.layers, strict=True):
        np.testing.assert_allclose(one.weight, -other.weight, rtol=1e-5)
    found = minibatch_step(Elsewhere(), network, None, Example(SquaredError(), X, Y))
    stepped = after(Elsewhere(), 1)[1]
    for start, gradient, end in zip(network.layers, found.gradients.layers, stepped.network.layers, strict=True):
        np.testing.assert_allclose(jnp.sign(start.weight - end.weight), jnp.sign(gradient.weight))
