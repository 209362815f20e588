"""Where targets set out from: the gradient of Lee et al. 2015 (thesis, section 3.1.2) and the
auxiliary outputs of Bartunov et al. 2018 (thesis, equation 3.16).

The oracles are `jax.grad` of the loss, and the formulas with absolute targets, one layer at a time.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.losses import SoftmaxCrossEntropy, SquaredError
from targetprop.networks.layers import Dense
from targetprop.networks.network import Network, mlp

KEY = jax.random.key(0)
SIZES, STEPSIZE = (5, 7, 6, 8, 3), 0.3
LABELS = jnp.array([0, 2, 1, 1])
X = np.random.default_rng(1).normal(size=(4, SIZES[0]))
LOSSES = pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), SquaredError()], ids=lambda loss: loss.word)


@pytest.fixture
def network():
    return mlp(SIZES, key=KEY)


def start(rule, network):
    return rule.init(network, key=jax.random.fold_in(KEY, 1))


def compute(rule, network, feedback, *, loss=None, noise=None):
    example = tp.Example(loss or SoftmaxCrossEntropy(), jnp.asarray(X), LABELS, STEPSIZE, noise=noise)
    return tp.minibatch_step(rule, network, feedback, example)


def mapping(g, h):
    return np.tanh(h @ np.asarray(g.dense.weight).T + np.asarray(g.dense.bias))


def rest_of_the_loss(network, loss):
    """The loss as a function of the last hidden activity, summed over the samples."""
    return lambda h: jnp.sum(loss.value(tp.Network(network.layers[-1:], network.shapes[-2])(h), LABELS))


# --- the gradient on top --------------------------------------------------------------------------------------------


@LOSSES
def test_the_last_hidden_layer_has_a_step_along_the_gradient(network, loss):
    rule = tp.dtp_lee()
    found = compute(rule, network, start(rule, network), loss=loss).updates
    gradient = jax.grad(rest_of_the_loss(network, loss))(network.trace(jnp.asarray(X)).h[-2])
    np.testing.assert_allclose(found[-2], -STEPSIZE * gradient, rtol=1e-12)


def test_below_it_are_the_targets_of_dtp(network):
    """`ĥ_i = h_i + g_i(ĥ_{i+1}) - g_i(h_{i+1})` from `ĥ_{L-1}` on, thesis (3.15)."""
    rule = tp.dtp_lee()
    feedback = start(rule, network)
    h = [np.asarray(each) for each in network.trace(jnp.asarray(X)).h]
    found = compute(rule, network, feedback).updates
    assert len(feedback) == len(SIZES) - 3  # no mapping from the output
    target = h[3] - STEPSIZE * jax.grad(rest_of_the_loss(network, SoftmaxCrossEntropy()))(h[3])
    for i in (2, 1):
        target = h[i] + mapping(feedback[i - 1], target) - mapping(feedback[i - 1], h[i + 1])
        np.testing.assert_allclose(found[i - 1], target - h[i], rtol=1e-9, atol=1e-14)


@LOSSES
def test_the_two_layers_on_top_learn_as_by_backpropagation(network, loss):
    rule = tp.dtp_lee()
    found = compute(rule, network, start(rule, network), loss=loss).gradients
    mean = jax.grad(lambda network: jnp.mean(loss.value(network(jnp.asarray(X)), LABELS)))(network)
    for own, right in zip(found.layers[-2:], mean.layers[-2:], strict=True):
        np.testing.assert_allclose(own.weight, STEPSIZE * right.weight, rtol=1e-11, atol=1e-16)
        np.testing.assert_allclose(own.bias, STEPSIZE * right.bias, rtol=1e-11, atol=1e-16)


RULES = [tp.tp(), tp.dtpdrl(), tp.ddtp_linear(), tp.multiplexing()]


@pytest.mark.parametrize("below", RULES, ids=lambda rule: rule.name)
def test_any_rule_below_is_that_rule_in_the_network_without_its_output_layer(network, below):
    """Targets, noise and what the feedback learns, from the gradient as the update of the output."""
    rule = tp.TargetPropagation(below.mappings, below.propagation, below.learner, below.metric, tp.GradientTop())
    shorter = Network(network.layers[:-1], network.input_shape)
    feedback, trace = start(below, shorter), network.trace(jnp.asarray(X))
    assert eqx.tree_equal(feedback, start(rule, network))
    noise = rule.draw(trace, KEY)
    assert eqx.tree_equal(noise, below.draw(shorter.trace(jnp.asarray(X)), KEY))
    found = compute(rule, network, feedback, noise=noise)
    batch = tp.Minibatch(shorter.trace(jnp.asarray(X)), found.updates[-2], noise=noise)
    for own, right in zip(found.updates[:-1], below.target_updates(shorter, feedback, batch), strict=True):
        np.testing.assert_allclose(own, right, rtol=1e-12)
    learned = below.feedback_step(shorter, feedback, batch)
    if found.feedback is not None:
        np.testing.assert_allclose(found.feedback.losses, learned.losses, rtol=1e-12)
        pairs = zip(jax.tree.leaves(found.feedback.gradients), jax.tree.leaves(learned.gradients), strict=True)
        assert all(np.allclose(one, other, rtol=1e-11) for one, other in pairs)


def test_exact_mappings_lead_the_last_hidden_layer_to_its_target():
    """In a linear network with `Q_i = W_{i+1}^{-1}`, each `h_i + dh_i` is mapped to
    `h_{L-1} - stepsize dl/dh_{L-1}`.
    """
    network = mlp((5, 4, 4, 4, 3), tp.Identity(), bias=False, key=KEY)
    rule = tp.dtp_lee(feedback_activation=tp.Identity())
    feedback = eqx.tree_at(
        lambda maps: [g.dense.weight for g in maps],
        start(rule, network),
        [jnp.linalg.inv(layer.weight) for layer in network.layers[1:3]],
    )
    *hidden, _ = compute(rule, network, feedback).updates
    for i, dh in enumerate(hidden, start=1):
        for layer in network.layers[i:3]:
            dh = dh @ layer.weight.T
        np.testing.assert_allclose(dh, hidden[-1], rtol=1e-10)


# --- auxiliary outputs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("units", [0, 2, 11])
def test_targets_are_those_of_equation_3_16(network, units):
    """`ĥ_{L-1} = h_{L-1} + g(ô, z) - g(o, z)`, the other layers as in DTP."""
    rule = tp.ao_sdtp(auxiliary_units=units)
    auxiliary, maps = feedback = start(rule, network)
    assert auxiliary.value.weight.shape == (units or SIZES[-2] - SIZES[-1], SIZES[-2])
    h = [np.asarray(each) for each in network.trace(jnp.asarray(X)).h]
    z = np.tanh(h[-2] @ np.asarray(auxiliary.value.weight).T)
    found = compute(rule, network, feedback).updates
    moved = h[-1] + STEPSIZE * (np.eye(3)[LABELS] - np.asarray(jax.nn.softmax(h[-1])))
    np.testing.assert_allclose(found[-1], moved - h[-1], rtol=1e-9)
    above, target = np.concatenate([h[-1], z], axis=1), np.concatenate([moved, z], axis=1)
    for i in (3, 2, 1):
        before, above = above, h[i]
        target = h[i] + mapping(maps[i - 1], target) - mapping(maps[i - 1], before)
        np.testing.assert_allclose(found[i - 1], target - h[i], rtol=1e-9, atol=1e-14)


def test_auxiliary_outputs_keep_their_activity_and_outputs_get_their_target():
    """If `[W_L; V]` is square and `g_{L-1}` its inverse, then `W_L (h + dh) = h_L + dh_L` and
    `V (h + dh) = V h`.
    """
    network = mlp((5, 6, 6, 3), tp.Identity(), bias=False, key=KEY)
    rule = tp.ao_sdtp(feedback_activation=tp.Identity(), auxiliary_activation=tp.Identity())
    feedback = start(rule, network)
    v = feedback.auxiliary.value.weight
    inverse = jnp.linalg.inv(jnp.concatenate([network.layers[-1].weight, v]))
    feedback = eqx.tree_at(lambda feedback: feedback.maps[-1].dense.weight, feedback, inverse)
    _, dh, output = compute(rule, network, feedback).updates
    np.testing.assert_allclose(dh @ network.layers[-1].weight.T, output, rtol=1e-10)
    np.testing.assert_allclose(dh @ v.T, np.zeros((4, 3)), atol=1e-13)


def test_samples_with_the_same_output_have_different_targets():
    """Which plain DTP cannot give them: that is what the auxiliary outputs are for."""
    w = jnp.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    network = Network([Dense(jnp.eye(3), None, tp.Identity()), Dense(w, None, tp.Identity())], 3)
    x, y = jnp.array([[0.3, 0.2, 1.0], [1.3, -0.8, 1.0]]), jnp.array([0, 0])
    example = tp.Example(SoftmaxCrossEntropy(), x, y)
    one, other = (tp.minibatch_step(rule, network, start(rule, network), example) for rule in (tp.dtp(), tp.ao_sdtp()))
    np.testing.assert_allclose(one.updates[0][0], one.updates[0][1], rtol=1e-12)
    assert np.abs(other.updates[0][0] / other.updates[0][1] - 1).min() > 0.01


def test_the_mapping_from_the_output_learns_to_invert_both_parts(network):
    """`||g([f_L(x), z(x)]) - x||^2` at `x = h_{L-1} + noise`; `V` has no gradient."""
    rule = tp.ao_sdtp()
    auxiliary, maps = feedback = start(rule, network)
    trace = network.trace(jnp.asarray(X))
    noise = rule.draw(trace, KEY)
    found = compute(rule, network, feedback, noise=noise).feedback
    x = trace.h[-2] + noise.layers[-1]

    def loss(weight, bias):
        output = x @ network.layers[-1].weight.T + network.layers[-1].bias
        seen = jnp.concatenate([output, jnp.tanh(x @ auxiliary.value.weight.T)], axis=1)
        return jnp.sum((jnp.tanh(seen @ weight.T + bias) - x) ** 2) / 4

    value, gradients = jax.value_and_grad(loss, argnums=(0, 1))(maps[-1].dense.weight, maps[-1].dense.bias)
    np.testing.assert_allclose(found.losses[-1], value, rtol=1e-12)
    own = found.gradients.maps[-1].dense
    for mine, right in zip((own.weight, own.bias), gradients, strict=True):
        np.testing.assert_allclose(mine, right, rtol=1e-10, atol=1e-15)
    assert found.gradients.auxiliary is None


def test_the_output_layer_learns_from_the_loss_alone(network):
    rules = tp.ao_sdtp(), tp.Backprop()
    one, other = (compute(rule, network, start(rule, network)).gradients.layers[-1].weight for rule in rules)
    np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("learner", [tp.dtpdrl().learner, tp.DifferenceReconstruction(regularizer=tp.OutputNoise(0.1))])
def test_noise_takes_the_way_through_the_auxiliary_outputs(network, learner):
    """Mappings that learn through the output do so through `[h_L, z]`: as in a network that has
    these outputs.
    """
    rule = tp.TargetPropagation(learner=learner, top=tp.AuxiliaryOutputs(activation=tp.Identity()))
    auxiliary, maps = feedback = start(rule, network)
    last = network.layers[-1]
    wide = Dense(
        jnp.concatenate([last.weight, auxiliary.value.weight]), jnp.concatenate([last.bias, jnp.zeros(5)]), tp.Identity()
    )
    wider = Network([*network.layers[:-1], wide], network.input_shape)
    trace = wider.trace(jnp.asarray(X))
    noise = rule.draw(network.trace(jnp.asarray(X)), KEY)
    right = tp.TargetPropagation(learner=learner)
    assert jax.tree.map(jnp.shape, noise) == jax.tree.map(jnp.shape, right.draw(trace, KEY))
    expected = right.feedback_step(wider, maps, tp.Minibatch(trace, jnp.zeros_like(trace.output), noise=noise))
    found = compute(rule, network, feedback, noise=noise).feedback
    np.testing.assert_allclose(found.losses, expected.losses, rtol=1e-10)
    pairs = zip(jax.tree.leaves(found.gradients.maps), jax.tree.leaves(expected.gradients), strict=True)
    assert all(np.allclose(one, other, rtol=1e-9) for one, other in pairs)


# --- what does not fit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("top", [tp.GradientTop(), tp.AuxiliaryOutputs()], ids=lambda top: top.word)
def test_parts_that_need_the_output_of_the_network_are_refused(top):
    with pytest.raises(tp.ConfigError, match=r"ExactInverses are inverses of the network.*OutputLayer"):
        tp.TargetPropagation(tp.ExactInverses(), learner=tp.NoLearning(), top=top)
    with pytest.raises(tp.ConfigError, match=r"LossCurvature measures the output.*Euclidean"):
        tp.TargetPropagation(tp.Direct(), metric=tp.LossCurvature(), top=top)


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(tp.ConfigError, match=r"fewer than two hidden layers.*use the rule bp"):
        start(tp.dtp_lee(), mlp((5, 7, 3), key=KEY))
    with pytest.raises(tp.ConfigError, match=r"3 units and the output 3.*`auxiliary_units`"):
        start(tp.ao_sdtp(), mlp((5, 7, 3, 3), key=KEY))
    with pytest.raises(tp.ConfigError, match="needs units 0 or above, not -1"):
        tp.ao_sdtp(auxiliary_units=-1)


def test_a_combination_with_another_top_says_so_in_its_equation():
    rule = tp.TargetPropagation(tp.Layerwise(), tp.Plain(), top=tp.GradientTop())
    assert rule.equation == "dh_{L-1} = J_L^T dh_L, dh_i = g_i(h_{i+1} + dh_{i+1}) - h_i, g_i(h) = t(Q_i h + c_i)"
