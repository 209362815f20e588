"""The variants of DDTP against the published algorithms written out with absolute activities;
weight decay, freezing, fixed feedback and given noise.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.errors import ConfigError
from targetprop.feedback.noise import Gaussian, NoiseDraw
from targetprop.feedback.regularizers import OutputNoise, WeightDecay
from targetprop.losses import SoftmaxCrossEntropy
from targetprop.networks.architectures import MLP
from targetprop.networks.layers import Fixed, evaluate, parameters, split_parameters
from targetprop.networks.network import Network, mlp
from targetprop.rules import Backprop
from targetprop.rules.by_numbers import minibatch_step
from targetprop.rules.contract import Example, Minibatch, output_update
from targetprop.rules.presets import ddtp_control, ddtp_linear, ddtp_rhl, ddtp_rhl_rec, dtp, tp
from targetprop.rules.updates import local_gradients, trainable_parameters
from targetprop.training.optimizers import SGD, Adam
from targetprop.training.recipe import Recipe
from targetprop.training.run import train
from targetprop.training.step import init_state, step

SIZES = (5, 8, 7, 6, 3)
WIDTH, SIGMA, STRENGTH = 11, 0.1, 0.3
KEY = jax.random.key(0)
LOSS = SoftmaxCrossEntropy()
Y = jnp.array([2, 0, 1, 1], jnp.int32)
RANDOM_HIDDEN = pytest.mark.parametrize("kind", [ddtp_rhl, ddtp_rhl_rec])


def setting():
    """A network and a batch of 4, in the precision of the test."""
    return mlp(SIZES, key=KEY), jax.random.normal(jax.random.fold_in(KEY, 1), (4, SIZES[0]))


def biased(tree):
    """The same parameters, each moved a little, so that no bias is zero."""
    trained, rest = split_parameters(tree)
    leaves, structure = jax.tree.flatten(trained)
    moved = [leaf + 0.3 * jax.random.normal(jax.random.key(i), leaf.shape, leaf.dtype) for i, leaf in enumerate(leaves)]
    return eqx.combine(structure.unflatten(moved), rest)


def tail(network: Network, start: int, h):
    for layer in network.layers[start:]:
        h = evaluate(layer, h).h
    return h


def random_hidden_map(kind, feedback, i, own):
    """`g_i` as the paper writes it, a function of the mapping's parameters and of the output;
    `own` is `h_i`.
    """
    hidden = feedback.hidden.value

    def g(dense, h_L):
        if i == len(feedback.maps):
            return jnp.tanh(h_L @ dense.weight.T + dense.bias)
        u = jnp.tanh(h_L @ hidden.weight.T + hidden.bias)
        a = u @ dense.weight[:, :WIDTH].T + dense.bias
        return jnp.tanh(a + own @ dense.weight[:, WIDTH:].T if kind is ddtp_rhl_rec else a)

    return g


# --- the random hidden layer ----------------------------------------------------------------------------------------


@RANDOM_HIDDEN
@pytest.mark.usefixtures("float64")
def test_targets_are_the_printed_ones(kind):
    network, x = setting()
    rule = kind(width=WIDTH)
    feedback = biased(rule.init(network, key=KEY))
    trace = network.trace(x)
    dh = output_update(LOSS, trace.output, Y, 0.1)
    updates = rule.target_updates(network, feedback, Minibatch(trace, dh))
    for i, map_ in enumerate(feedback.maps, start=1):
        g = random_hidden_map(kind, feedback, i, trace.h[i])
        expected = g(map_.dense, trace.output + dh) - g(map_.dense, trace.output)
        np.testing.assert_allclose(updates[i - 1], expected, rtol=1e-10, atol=1e-14)


@RANDOM_HIDDEN
@pytest.mark.parametrize("regularizer", [WeightDecay(STRENGTH), OutputNoise(STRENGTH)], ids=["decay", "noise"])
@pytest.mark.usefixtures("float64")
def test_feedback_learns_by_algorithms_3_and_4(kind, regularizer):
    network, x = setting()
    rule = kind(sigma=SIGMA, regularizer=regularizer, width=WIDTH)
    feedback = biased(rule.init(network, key=KEY))
    trace = network.trace(x)
    noise = rule.draw(trace, jax.random.fold_in(KEY, 2))
    learned = rule.feedback_step(network, feedback, Minibatch(trace, 0 * trace.output, noise=noise))

    def loss(dense, i):
        g = random_hidden_map(kind, feedback, i, trace.h[i])
        noisy = trace.h[i] + noise.layers[i - 1]
        rebuilt = g(dense, tail(network, i, noisy)) + trace.h[i] - g(dense, trace.output)
        value = jnp.sum((rebuilt - noisy) ** 2) / (SIGMA**2 * len(x))
        if noise.probe is None:
            return value + STRENGTH * (jnp.sum(dense.weight**2) + jnp.sum(dense.bias**2))
        probed = g(dense, trace.output + noise.probe) - g(dense, trace.output)
        return value + STRENGTH * jnp.sum(probed**2) / (SIGMA**2 * len(x))

    for i, map_ in enumerate(feedback.maps, start=1):
        value, gradient = jax.value_and_grad(lambda dense, i=i: loss(dense, i))(map_.dense)
        np.testing.assert_allclose(learned.losses[i - 1], value, rtol=1e-10)
        np.testing.assert_allclose(learned.gradients.maps[i - 1].dense.weight, gradient.weight, rtol=1e-8, atol=1e-11)
        np.testing.assert_allclose(learned.gradients.maps[i - 1].dense.bias, gradient.bias, rtol=1e-8, atol=1e-11)


def test_random_layer_is_uniform_and_shared():
    network = mlp((5, 8, 7, 6, 4), key=KEY)
    feedback = ddtp_rhl(width=5000).init(network, key=KEY)
    hidden = feedback.hidden.value
    for array in (hidden.weight, hidden.bias):
        assert np.abs(array).max() <= 0.5  # 1 / sqrt(4)
        assert abs(np.std(array) - 0.5 / np.sqrt(3)) < 0.01
        assert abs(np.mean(array)) < 0.02
    assert [g.dense.weight.shape for g in feedback.maps] == [(8, 5000), (7, 5000), (6, 4)]
    recurrent = ddtp_rhl_rec(width=50).init(network, key=KEY)
    assert [g.dense.weight.shape for g in recurrent.maps] == [(8, 58), (7, 57), (6, 4)]


@RANDOM_HIDDEN
def test_float32_keeps_small_targets(kind):
    network, x = setting()
    rule = kind(width=WIDTH)
    feedback = rule.init(network, key=KEY)

    def targets(network, feedback, x):
        trace = network.trace(x)
        return rule.target_updates(network, feedback, Minibatch(trace, output_update(LOSS, trace.output, Y, 1e-6)))

    single = targets(network, feedback, x)
    with jax.enable_x64(True):
        double = jax.tree.map(
            np.asarray, targets(*jax.tree.map(lambda leaf: leaf.astype(jnp.float64), (network, feedback, x)))
        )
    for one, other in zip(single, double, strict=True):
        assert np.linalg.norm(np.asarray(one) - other) < 1e-4 * np.linalg.norm(other)


# --- what is fixed --------------------------------------------------------------------------------------------------


def test_fixed_arrays_are_no_parameters():
    tree = {"trained": jnp.ones(2), "fixed": Fixed({"inner": jnp.ones(3)}), "name": "x"}
    assert [leaf.shape for leaf in jax.tree.leaves(parameters(tree))] == [(2,)]
    trained, rest = split_parameters(tree)
    assert eqx.tree_equal(eqx.combine(trained, rest), tree)


def started(rule, trainable=None, optimizer=None):
    network, x = setting()
    adam = Adam(1e-2)
    recipe = Recipe(
        rule, "", loss=LOSS, stepsize=0.1, optimizer=optimizer or adam, feedback_optimizer=adam, trainable=trainable
    )
    state = init_state(recipe, network)
    return state, step(state, (x, Y))[0]


def moved(before, after) -> list[bool]:
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return [not np.array_equal(one, other) for one, other in pairs]


@RANDOM_HIDDEN
def test_random_layer_is_not_trained_and_has_no_optimizer_state(kind):
    before, after = started(kind(width=WIDTH))
    assert not any(moved(before.feedback.hidden, after.feedback.hidden))
    assert all(moved(before.feedback.maps, after.feedback.maps))
    trained = len(jax.tree.leaves(before.feedback.maps))
    arrays = [leaf for leaf in jax.tree.leaves(before.feedback_optimizer) if jnp.ndim(leaf) > 0]
    assert len(arrays) == 2 * trained  # Adam's two moments


# --- freezing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [Adam(1e-2), SGD(1e-2, 0.9)], ids=["adam", "sgd"])
def test_frozen_layers_stay_and_cost_no_optimizer_state(optimizer):
    before, after = started(ddtp_linear(), (1, 3), optimizer)
    _, unfrozen = started(ddtp_linear(), None, optimizer)
    for i, (one, other, free) in enumerate(
        zip(before.network.layers, after.network.layers, unfrozen.network.layers, strict=True), start=1
    ):
        if i in (1, 3):
            assert all(moved(one, other))
            assert not any(moved(free, other))  # a layer learns by itself: what the others do changes nothing in this step
        else:
            assert not any(moved(one, other))
    weights = [[g.dense.weight for g in state.feedback] for state in (before, after)]
    assert all(moved(*weights))
    shapes = {leaf.shape for leaf in jax.tree.leaves(before.optimizer) if jnp.ndim(leaf) > 0}
    assert shapes == {(8, 5), (8,), (6, 7), (6,)}


def test_frozen_layers_have_no_gradients():
    network, x = setting()
    trace = network.trace(x)
    updates = Backprop().target_updates(network, None, Minibatch(trace, output_update(LOSS, trace.output, Y, 1.0)))
    some, every = local_gradients(network, trace, updates, (2,)), local_gradients(network, trace, updates)
    assert jax.tree.structure(some) == jax.tree.structure(trainable_parameters(network, (2,)))
    assert [len(jax.tree.leaves(layer)) for layer in some.layers] == [0, 2, 0, 0]
    np.testing.assert_array_equal(some.layers[1].weight, every.layers[1].weight)


@pytest.mark.parametrize(
    ("layers", "message"), [((), "name each layer once"), ((0,), "1 is the first"), ((1, 4), "layers 1 to 2")]
)
def test_only_layers_that_exist_can_be_trained(layers, message):
    with pytest.raises(ConfigError, match=message):
        train(Recipe(Backprop(), architecture=MLP((4,)), trainable=layers), progress=False)


# --- the control, and weight decay of layer-wise mappings ------------------------------------------------------------


@pytest.mark.usefixtures("float64")
def test_control_learns_by_algorithm_5():
    network, x = setting()
    rule = ddtp_control(sigma=SIGMA, regularizer=WeightDecay(STRENGTH))
    feedback = biased(rule.init(network, key=KEY))
    trace = network.trace(x)
    noise = rule.draw(trace, jax.random.fold_in(KEY, 2))
    learned = rule.feedback_step(network, feedback, Minibatch(trace, 0 * trace.output, noise=noise))

    def loss(dense, i):
        noisy = trace.h[i] + noise.layers[i - 1]
        rebuilt = tail(network, i, noisy) @ dense.weight.T + dense.bias
        decay = jnp.sum(dense.weight**2) + jnp.sum(dense.bias**2)
        return jnp.mean(jnp.sum((rebuilt - noisy) ** 2, axis=1)) + STRENGTH * decay

    for i, g in enumerate(feedback, start=1):
        value, gradient = jax.value_and_grad(lambda dense, i=i: loss(dense, i))(g.dense)
        np.testing.assert_allclose(learned.losses[i - 1], value, rtol=1e-12)
        np.testing.assert_allclose(learned.gradients[i - 1].dense.weight, gradient.weight, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(learned.gradients[i - 1].dense.bias, gradient.bias, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_control_has_the_targets_of_the_linear_variant():
    network, x = setting()
    feedback = biased(ddtp_linear().init(network, key=KEY))
    trace = network.trace(x)
    dh = output_update(LOSS, trace.output, Y, 0.1)
    control = ddtp_control().target_updates(network, feedback, Minibatch(trace, dh))
    for got, g in zip(control, feedback, strict=False):
        np.testing.assert_allclose(got, dh @ g.dense.weight.T, rtol=1e-12)


@pytest.mark.parametrize("kind", [tp, dtp])
@pytest.mark.usefixtures("float64")
def test_weight_decay_pulls_layerwise_mappings_to_zero(kind):
    network, x = setting()
    feedback = biased(kind().init(network, key=KEY))
    trace = network.trace(x)
    noise = NoiseDraw(Gaussian(SIGMA).on_layers(trace, KEY))
    plain = kind(sigma=SIGMA).feedback_step(network, feedback, Minibatch(trace, 0 * trace.output, noise=noise)).gradients
    decayed = (
        kind(sigma=SIGMA, regularizer=WeightDecay(STRENGTH))
        .feedback_step(network, feedback, Minibatch(trace, 0 * trace.output, noise=noise))
        .gradients
    )
    for one, other, leaf in zip(*map(jax.tree.leaves, (plain, decayed, feedback)), strict=True):
        np.testing.assert_allclose(other - one, 2 * STRENGTH * leaf, rtol=1e-9, atol=1e-12)


# --- given noise ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [dtp(), ddtp_linear(regularizer=OutputNoise()), ddtp_rhl(width=WIDTH), ddtp_control()])
def test_a_step_with_the_noise_of_a_key_is_the_step_with_that_key(rule):
    network, x = setting()
    feedback = rule.init(network, key=KEY)
    trace = network.trace(x)
    noise = rule.draw(trace, jax.random.fold_in(KEY, 2))
    given = minibatch_step(rule, network, feedback, Example(LOSS, x, Y, 0.1, noise=noise))
    drawn = rule.feedback_step(network, feedback, Minibatch(trace, 0 * trace.output, key=jax.random.fold_in(KEY, 2)))
    for one, other in zip(jax.tree.leaves(given.feedback), jax.tree.leaves(drawn), strict=True):
        np.testing.assert_array_equal(one, other)
    updates = rule.target_updates(network, feedback, Minibatch(trace, output_update(LOSS, trace.output, Y, 0.1)))
    for one, other in zip(given.updates, updates, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("float64")
def test_a_step_of_backpropagation_is_the_gradient_of_the_loss():
    network, x = setting()
    got = minibatch_step(Backprop(), network, None, Example(LOSS, x, Y))
    expected = eqx.filter_grad(lambda network: jnp.mean(LOSS.value(network(x), Y)))(network)
    assert got.feedback is None
    for one, other in zip(jax.tree.leaves(got.gradients), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-14)
    with pytest.raises(TypeError, match="leave out `noise`"):
        minibatch_step(Backprop(), network, None, Example(LOSS, x, Y, noise=NoiseDraw([])))


def test_noise_that_does_not_fit_is_refused_with_the_right_shapes():
    network, x = setting()
    rule = ddtp_linear(regularizer=OutputNoise())
    feedback = rule.init(network, key=KEY)
    noise = rule.draw(network.trace(x), KEY)
    for wrong, error, words in (
        (list(noise.layers), TypeError, "NoiseDraw"),
        (noise._replace(layers=noise.layers[1:]), ConfigError, "displacements of the hidden layers must have the shapes"),
        (noise._replace(layers=[each[:1] for each in noise.layers]), ConfigError, "displacements of the hidden layers"),
        (noise._replace(probe=None), ConfigError, "a displacement of the output"),
    ):
        with pytest.raises(error, match=words):
            minibatch_step(rule, network, feedback, Example(LOSS, x, Y, 0.1, noise=wrong))
    with pytest.raises(ConfigError, match=r"start from rule\.init"):
        minibatch_step(rule, network, None, Example(LOSS, x, Y, 0.1, noise=noise))
