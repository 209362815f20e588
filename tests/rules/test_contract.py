"""What holds for every rule in the registry; a new rule is tested here by being registered."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.errors import ConfigError
from targetprop.feedback.reconstruction import FeedbackStep, layer_noise, white_noise
from targetprop.losses import ErrorRate, SoftmaxCrossEntropy
from targetprop.networks.activations import Identity, LeakyReLU, Tanh
from targetprop.networks.initializers import orthogonal
from targetprop.networks.invertible import invertible_mlp
from targetprop.networks.network import Dense, Network, mlp, parameters
from targetprop.rules import GENERAL, RULES, ExactRule, FeedbackAlignment, ReconstructingRule, Rule
from targetprop.rules.updates import local_gradients, output_update
from targetprop.training import program
from targetprop.training.optimizers import Adam
from targetprop.training.state import NETWORK, Data, Hyperparameters, Member, Split, Task, initial_state, stream

pytestmark = pytest.mark.usefixtures("quick_compilation")

SIZES = (7, 6, 4, 3)
STEPS = 4
LOSS = SoftmaxCrossEntropy()
TASK = Task(LOSS, ErrorRate(), batch_size=4)
KEY = jax.random.key(0)
EVERY_RULE = pytest.mark.parametrize("rule", [rule() for rule in RULES.values()], ids=list(RULES))


def network_for(rule: Rule, key=KEY) -> Network:
    """A small network that the rule takes."""
    if isinstance(rule, ExactRule):
        return invertible_mlp(SIZES, LeakyReLU(0.1), initializer=orthogonal(), key=key)
    return mlp(SIZES, Tanh() if rule.name in GENERAL else LeakyReLU(), key=key)


def numbers(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.result_type(float))


class Inputs(NamedTuple):
    """What a rule is asked about."""

    rule: Rule
    network: Network
    feedback: Any
    x: jax.Array
    y: jax.Array


class Outcome(NamedTuple):
    """What a rule answers, and what follows for the network's parameters. The lesson is had as activities and updates."""

    h: tuple
    output_update: jax.Array
    updates: tuple
    lesson: tuple
    gradients: Network
    step: FeedbackStep | None


@eqx.filter_jit
def ask(inputs: Inputs, key) -> Outcome:
    rule, network, feedback, x, y = inputs
    trace = rule.settle(network, feedback, network.trace(x)).with_loss(LOSS, y)
    dh = output_update(LOSS, trace.output, y, 0.1)
    updates = rule.target_updates(network, feedback, trace, dh)
    lesson = rule.lesson(network, feedback, trace, dh, key=key)
    gradients = local_gradients(network, lesson.trace, lesson.updates)
    step = rule.feedback_gradients(network, feedback, trace, key=key)
    return Outcome(trace.h, dh, updates, (lesson.trace.h, lesson.updates), gradients, step)


def double(tree):
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if eqx.is_inexact_array(leaf) else leaf, tree)


class Case:
    """A rule on a small network, asked in float32 and in float64."""

    def __init__(self, rule: Rule):
        network = network_for(rule)
        x, y = numbers(4, SIZES[0]), jnp.array([0, 2, 1, 1])
        self.rule = rule
        self.inputs = Inputs(rule, network, rule.init(network, key=jax.random.key(2)), x, y)
        self.single = ask(self.inputs, KEY)
        with jax.enable_x64(True):
            self.double = jax.tree.map(np.asarray, ask(double(self.inputs), KEY))


@pytest.fixture(scope="module", params=list(RULES))
def case(request) -> Case:
    return Case(RULES[request.param]())


def assert_close(got, expected, tolerance):
    """Leaf by leaf, relative to the norm of the leaf."""
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        assert np.linalg.norm(one - other) <= tolerance * np.linalg.norm(other)


def same(one, other) -> bool:
    leaves, others = jax.tree.leaves(parameters(one)), jax.tree.leaves(parameters(other))
    return all(np.array_equal(a, b) for a, b in zip(leaves, others, strict=True))


def test_updates_are_shaped_like_the_activities(case):
    for outcome, dtype in ((case.single, np.float32), (case.double, np.float64)):
        for h, updates in ((outcome.h, outcome.updates), outcome.lesson):
            assert isinstance(updates, tuple)
            assert [dh.shape for dh in updates] == [activity.shape for activity in h[1:]]
            assert {dh.dtype for dh in updates} == {np.dtype(dtype)}
        assert {leaf.dtype for leaf in jax.tree.leaves((outcome.gradients, outcome.step))} == {np.dtype(dtype)}


def test_the_last_update_is_the_output_update(case):
    np.testing.assert_array_equal(case.single.updates[-1], case.single.output_update)


def test_every_layer_moves(case):
    for dh in (*case.single.updates, *case.single.lesson[1]):
        assert np.all(np.any(np.asarray(dh) != 0, axis=1)), "a sample is given no target"
    for leaf in jax.tree.leaves(case.single.gradients):
        assert np.all(np.isfinite(leaf))
        assert np.any(np.asarray(leaf) != 0)


def test_float32_agrees_with_float64(case):
    assert_close(case.single.updates, case.double.updates, 1e-4)
    assert_close(case.single.lesson, case.double.lesson, 1e-4)
    assert_close(case.single.gradients, case.double.gradients, 1e-4)
    assert_close(case.single.step, case.double.step, 1e-4)


def test_feedback_gradients_fit_the_feedback_parameters(case):
    if case.single.step is None:
        return
    trained, gradients = parameters(case.inputs.feedback), case.single.step.gradients
    assert jax.tree.structure(gradients) == jax.tree.structure(trained)
    for gradient, leaf in zip(jax.tree.leaves(gradients), jax.tree.leaves(trained), strict=True):
        assert (gradient.shape, gradient.dtype) == (leaf.shape, leaf.dtype)
        assert np.all(np.isfinite(gradient))
    assert case.single.step.losses.ndim == 1
    assert np.all(np.asarray(case.single.step.losses) > 0)


def test_the_same_key_gives_the_same_result_and_another_one_another(case):
    rule, network = case.rule, case.inputs.network
    assert same(rule.init(network, key=jax.random.key(2)), case.inputs.feedback)
    assert same(ask(case.inputs, KEY), case.single)
    if case.inputs.feedback is not None and rule.name in GENERAL:  # the others start from the weights themselves
        assert not same(rule.init(network, key=jax.random.key(3)), case.inputs.feedback)
    if case.single.step is not None:
        noisy = isinstance(rule, ReconstructingRule)
        assert same(ask(case.inputs, jax.random.key(3)).step, case.single.step) != noisy


def test_noise_is_the_same_numbers_in_both_precisions():
    network, x = mlp(SIZES, key=KEY), jnp.ones((4, SIZES[0]))
    single = [*layer_noise(network.trace(x), 0.5, KEY), white_noise(KEY, (3, 2), jnp.float32)]
    with jax.enable_x64(True):
        wide = [*layer_noise(double(network).trace(double(x)), 0.5, KEY), white_noise(KEY, (3, 2), jnp.float64)]
        assert {noise.dtype for noise in wide} == {jnp.dtype(jnp.float64)}
        for one, other in zip(single, wide, strict=True):
            np.testing.assert_array_equal(np.asarray(one, np.float64), np.asarray(other))


# --- layers that are not dense --------------------------------------------------------------------------------------


class Convolution(eqx.Module):
    """A strided convolution with tanh, on batches of images."""

    conv: eqx.nn.Conv2d

    def __call__(self, x):
        return jnp.tanh(jax.vmap(self.conv)(x))


def flatten(x):
    return x.reshape(x.shape[0], -1)


def image_network() -> Network:
    conv = Convolution(eqx.nn.Conv2d(1, 2, 3, stride=2, key=KEY))
    return Network([conv, flatten, Dense.create(8, 3, Identity(), key=KEY)], (1, 5, 5))


@EVERY_RULE
def test_layers_of_other_kinds_work_too(rule):
    network = image_network()
    if isinstance(rule, FeedbackAlignment):
        with pytest.raises(ConfigError, match=r"needs dense layers.* DirectFeedbackAlignment"):
            rule.init(network, key=KEY)
        return
    if rule.name not in GENERAL:
        with pytest.raises(ConfigError, match=r"(?i)layer 2"):
            rule.init(network, key=KEY)
        return
    x = numbers(4, 1, 5, 5)
    outcome = ask(Inputs(rule, network, rule.init(network, key=KEY), x, jnp.array([0, 2, 1, 1])), KEY)
    assert [dh.shape[1:] for dh in outcome.updates] == [(2, 2, 2), (8,), (3,)]
    assert jax.tree.structure(outcome.gradients) == jax.tree.structure(parameters(network))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(outcome.step))
    for leaf in jax.tree.leaves(outcome.gradients):
        assert np.all(np.isfinite(leaf))
        assert np.any(np.asarray(leaf) != 0)


# --- in training ----------------------------------------------------------------------------------------------------


def samples() -> Data:
    """A training set of 24 samples, the last 8 for validation, and a test set of 8."""
    inputs = numbers(32, SIZES[0])
    return Data(inputs[:24], jnp.arange(24) % 3, inputs[24:], jnp.arange(8) % 3)


def member(rule: Rule, seed: int, learning_rate: float = 1e-2, scale: float = 1.0) -> Member:
    """A run that has not begun. `scale` multiplies every number of the rule."""
    seed_array = jnp.asarray(seed, jnp.uint32)
    rule = jax.tree.map(lambda leaf: jnp.asarray(scale * leaf), rule)
    adam = Adam(jnp.asarray(learning_rate))
    hyperparameters = Hyperparameters(rule, jnp.asarray(0.1 * scale), adam, adam)
    network = network_for(rule, stream(seed_array, NETWORK))
    split = Split(jnp.arange(16), jnp.arange(16, 24))
    return Member(initial_state(network, hyperparameters, seed_array), hyperparameters, split, seed_array)


class Training:
    """A joint pass of four steps with one rule, in double precision, that counts how often it is compiled."""

    def __init__(self, rule: Rule):
        self.rule = rule
        self.traces = 0
        self.alone = eqx.filter_jit(self.run)
        self.batched = eqx.filter_jit(eqx.filter_vmap(self.run, in_axes=(eqx.if_array(0), None)))
        self.reference = self.alone(member(rule, 0), samples())

    def run(self, one: Member, data: Data):
        self.traces += 1
        first, start, stop = (jnp.asarray(n) for n in (1, 0, STEPS))
        return program.run_steps(TASK, one, data, first, jnp.asarray(0), start, stop, True)[0]


@pytest.fixture(scope="module", params=list(RULES))
def training(request):
    with jax.enable_x64(True):
        yield Training(RULES[request.param]())


def test_other_numbers_compile_nothing_anew(training):
    before = training.traces
    assert before == 1
    others = [member(training.rule, 0, learning_rate=3e-3), member(training.rule, 0, scale=0.5), member(training.rule, 5)]
    states = [training.alone(one, samples()) for one in others]
    assert training.traces == before
    assert not any(same(state.network, training.reference.network) for state in states)


def test_seeds_side_by_side_agree_with_each_alone(training):
    members = [member(training.rule, seed) for seed in (0, 1, 2)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0], *members)
    together = training.batched(stacked, samples())
    for index, one in enumerate(members):
        state = jax.tree.map(lambda leaf, index=index: leaf[index], eqx.filter(together, eqx.is_array))
        assert_close(state, eqx.filter(training.alone(one, samples()), eqx.is_array), 1e-9)


def test_neither_test_nor_validation_samples_reach_the_state(training):
    data, one = samples(), member(training.rule, 0)
    without_test = data._replace(test_x=jnp.zeros_like(data.test_x), test_y=data.test_y[::-1])
    without_validation = data._replace(x=data.x.at[16:].set(0.0), y=data.y.at[16:].set(0))
    other_labels = data._replace(y=data.y[::-1])
    assert same(training.alone(one, without_test), training.reference)
    assert same(training.alone(one, without_validation), training.reference)
    assert not same(training.alone(one, other_labels), training.reference)


def test_labels_do_not_reach_predictions():
    """The evaluated score is that of outputs computed from the inputs alone, whatever the labels are."""
    network, data = mlp(SIZES, key=KEY), samples()
    evaluate = eqx.filter_jit(program.evaluate)
    predicted = np.argmax(network(data.x), axis=1)
    indices = np.array([3, 1, 22, 7, 11])
    for labels in (data.y, data.y[::-1], (data.y + 1) % 3):
        evaluation = evaluate(TASK, network, data.x, labels, jnp.asarray(indices))
        wrong = predicted[indices] != np.asarray(labels)[indices]
        np.testing.assert_allclose(evaluation.score, 100 * wrong.mean(), rtol=1e-6)
        np.testing.assert_allclose(evaluation.loss, np.mean(LOSS.value(network(data.x), labels)[indices]), rtol=1e-5)


# --- the registry ---------------------------------------------------------------------------------------------------


def test_rules_say_what_they_are():
    for name, rule in RULES.items():
        assert rule.name == name
        assert rule.equation
        assert rule.source
        assert rule.__doc__
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
    assert len({rule.equation for rule in RULES.values()}) == len(RULES)
