"""Comparisons by given numbers: feedback of given weights, and what is refused with one clear
error.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.losses import LossOnFirstUnits
from targetprop.networks import layers
from targetprop.rules import RULES

KEY = jax.random.key(0)
SIZES = (4, 3, 5, 2)
X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)
LABELS = jnp.array([0, 1, 1])
LOSS = tp.SoftmaxCrossEntropy()
NUMBERS = np.random.default_rng(1)
PAIRS = [(NUMBERS.normal(size=(a, b)), NUMBERS.normal(size=a)) for a, b in ((3, 5), (5, 2))]


@pytest.fixture(scope="module")
def network():
    return tp.mlp(SIZES, key=KEY)


def narrow(pairs):
    return [tuple(np.asarray(each, np.float32) for each in pair) for pair in pairs]


def test_a_step_of_dtp_with_given_weights_is_that_of_numpy():
    """In float64, in a context of `precision`, with the formula in absolute targets."""
    with tp.precision("float64"):
        network = tp.mlp(SIZES, key=KEY)
        feedback = tp.with_feedback(tp.dtp(), network, PAIRS)
        found = tp.minibatch_step(tp.dtp(), network, feedback, tp.Example(LOSS, jnp.asarray(X, jnp.float64), LABELS, 0.1))
        assert isinstance(found, tp.MinibatchStep)
        h = [np.asarray(X, np.float64)]
        for i, layer in enumerate(network.layers):
            a = h[-1] @ np.asarray(layer.weight).T
            h.append(np.tanh(a) if i < 2 else a)
    p = np.exp(h[3]) / np.exp(h[3]).sum(axis=1, keepdims=True)
    targets = [h[3] - 0.1 * (p - np.eye(2)[np.asarray(LABELS)])]
    for (q, c), own, above in zip(PAIRS[::-1], (h[2], h[1]), (h[3], h[2]), strict=True):
        targets.insert(0, np.tanh(targets[0] @ q.T + c) + own - np.tanh(above @ q.T + c))
    for dh, target, own in zip(found.updates, targets, h[1:], strict=True):
        np.testing.assert_allclose(dh, target - own, rtol=1e-9, atol=1e-13)
    for i, (target, own, below) in enumerate(zip(targets, h[1:], h, strict=False)):
        local = (target - own) * ((1 - own**2) if i < 2 else 1.0)
        np.testing.assert_allclose(found.gradients.layers[i].weight, -local.T @ below / 3, rtol=1e-9, atol=1e-13)


def test_given_weights_stand_where_the_rule_reads_them(network):
    dense = tp.with_feedback(
        tp.ddtp_linear(), network, narrow([(np.ones((3, 2)), [1.0, 2, 3]), (np.zeros((5, 2)), [0.0] * 5)])
    )
    np.testing.assert_array_equal(dense[0].at(jnp.ones((1, 2))).h, [[3.0, 4, 5]])
    without = tp.with_feedback(tp.dtp(), network, [q for q, _ in narrow(PAIRS)])
    np.testing.assert_array_equal(without[1].dense.bias, 0)
    np.testing.assert_array_equal(without[1].dense.weight, narrow(PAIRS)[1][0])
    b = tp.with_feedback(tp.FeedbackAlignment(), network, [q for q, _ in narrow(PAIRS)])
    np.testing.assert_array_equal(b[0], narrow(PAIRS)[0][0])
    rule = tp.ddtp_rhl(width=6)
    r, d = narrow([(NUMBERS.normal(size=(6, 2)), NUMBERS.normal(size=6))])[0]
    q = narrow([(NUMBERS.normal(size=(3, 6)), np.zeros(3)), (NUMBERS.normal(size=(5, 2)), np.zeros(5))])
    feedback = tp.with_feedback(rule, network, q, hidden=(r, d))
    found = tp.minibatch_step(rule, network, feedback, tp.Example(LOSS, X, LABELS, 0.1)).updates[0]
    output, dh = np.asarray(network(X)), np.asarray(tp.output_update(LOSS, network(X), LABELS, 0.1))
    g = [np.tanh(np.tanh(h @ r.T + d) @ q[0][0].T) for h in (output + dh, output)]
    np.testing.assert_allclose(found, g[0] - g[1], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("maps", "hidden", "words"),
    [
        ([(PAIRS[0][0].T, PAIRS[0][1]), PAIRS[1]], None, r"Q of mapping 1 of dtp has the shape \(5, 3\).*its transpose"),
        ([PAIRS[0], (PAIRS[1][0], np.ones(4))], None, r"c of mapping 2 of dtp has the shape \(4,\), but must have \(5,\)"),
        (PAIRS[:1], None, "1 entries, but dtp has 2 mappings"),
        ([("a", "b"), PAIRS[1]], None, "Q of mapping 1 of dtp is a str"),
        (PAIRS, PAIRS[0], "no random hidden layer: leave out `hidden`"),
    ],
    ids=["transposed", "bias", "too few", "words", "hidden"],
)
@pytest.mark.filterwarnings("ignore:There are float64")
def test_weights_that_do_not_fit_are_refused(network, maps, hidden, words):
    with pytest.raises(tp.ConfigError, match=words):
        tp.with_feedback(tp.dtp(), network, maps, hidden=hidden)


def test_a_bias_for_a_mapping_without_one_is_refused(network):
    with pytest.raises(tp.ConfigError, match="mapping 1 of fa has none: give Q alone"):
        tp.with_feedback(tp.FeedbackAlignment(), network, narrow(PAIRS))
    with pytest.raises(tp.ConfigError, match="bp has 0 mappings"):
        tp.with_feedback(tp.Backprop(), network, narrow(PAIRS))


@pytest.mark.parametrize("entry", [tp.minibatch_step, "value_and_grad"], ids=["minibatch_step", "value_and_grad"])
def test_feedback_of_another_rule_is_refused(network, entry):
    def go(feedback, rule=tp.dtp()):  # noqa: B008
        if entry == "value_and_grad":
            return tp.value_and_grad(rule, LOSS)(network, feedback, X, LABELS, key=KEY)
        return entry(rule, network, feedback, tp.Example(LOSS, X, LABELS))

    right = tp.with_feedback(tp.dtp(), network, narrow(PAIRS))
    turned = jax.tree.map(lambda leaf: leaf.T, right)
    for wrong, words in (
        (list(right), "The feedback is a list of another structure"),
        ([q for q, _ in PAIRS], "The feedback is a list of another structure"),
        (None, r"start from rule\.init"),
        (right[:1], "write tp.with_feedback"),
        (turned, r"dense\.weight` of dtp has the shape \(5, 3\), but must have \(3, 5\): give its transpose"),
    ):
        with pytest.raises(tp.ConfigError, match=words):
            go(wrong)


def test_a_rule_around_a_rule_takes_its_noise(network):
    """The feedback of the wrapped rule learns from the given noise, as it does by itself."""
    feedback = tp.with_feedback(tp.dtp(), network, narrow(PAIRS))
    noise = tp.NoiseDraw([0.1 * jnp.ones((3, n)) for n in SIZES[1:-1]])
    example = tp.Example(LOSS, X, LABELS, noise=noise)
    tanh_output = tp.mlp(SIZES, tp.LeakyReLU(0.3), key=KEY)
    one, other = (
        tp.minibatch_step(rule, tanh_output, feedback, example).feedback for rule in (tp.dtp(), tp.InverseSlopes(tp.dtp()))
    )
    assert isinstance(other, tp.FeedbackStep)
    np.testing.assert_array_equal(one.losses, other.losses)


def test_a_rule_without_a_draw_is_told_what_it_lacks(network):
    class Silent(tp.Backprop):
        learns_feedback = True

    with pytest.raises(TypeError, match="If it learns from noise, its class needs the method `draw`"):
        tp.minibatch_step(Silent(), network, None, tp.Example(LOSS, X, LABELS, noise=tp.NoiseDraw([])))


def test_a_network_without_a_hidden_layer_teaches_no_feedback():
    """Every rule either works there, or says so when its feedback is made."""
    network, taught = tp.mlp((4, 2), tp.LeakyReLU(0.3), key=KEY), set()
    for name, make in RULES.items():
        rule = make()
        if rule.learns_feedback:
            taught.add(name)
            with pytest.raises(tp.ConfigError, match="but the network has none: give it a hidden layer"):
                rule.init(network, key=KEY)
        else:
            (dh,) = tp.assign(rule, network, rule.init(network, key=KEY), tp.Example(LOSS, X, LABELS, key=KEY)).updates
            assert dh.shape == (3, 2)
    assert {"dtp", "ddtp-linear", "two-phase"} <= taught


# --- labels and batches ---------------------------------------------------------------------------------------------

ONE_HOT = np.eye(2, dtype=np.float32)[np.array([0, 1, 1])]
WRONG = [
    (LOSS, np.array([0, 1, 2]), r"run from 0 to 2, but the network has 2 outputs: use labels from 0 to 1"),
    (LOSS, np.array([-1, 1, 0]), "run from -1 to 1"),
    (LOSS, ONE_HOT, r"needs labels, .* the targets are float32 \(3, 2\): if they are one-hot, give jnp.argmax"),
    (LOSS, ONE_HOT.astype(int), r"Whole numbers are labels, .*one-hot"),
    (LOSS, np.array([0.0, 1.0, 1.0]), "needs labels, one whole number for each sample"),
    (LOSS, np.array([True, False, True]), r"bool \(3,\)"),
    (tp.SquaredError(), np.array([0, 1, 2]), "run from 0 to 2"),
]


@pytest.mark.parametrize(("loss", "y", "words"), WRONG)
def test_targets_that_do_not_fit_the_loss_are_refused(network, loss, y, words):
    y = jnp.asarray(y)
    example = tp.Example(loss, X, y)
    for go in (
        lambda: tp.minibatch_step(tp.Backprop(), network, None, example),
        lambda: tp.assign(tp.Backprop(), network, None, example),
        lambda: tp.value_and_grad(tp.Backprop(), loss)(network, None, X, y),
    ):
        with pytest.raises(tp.ConfigError, match=words):
            go()


def test_the_compiled_step_checks_labels_outside(network):
    state = tp.init_state(tp.Recipe(tp.Backprop()), network)
    assert np.isfinite(tp.step(state, (X, LABELS))[1].loss)
    with pytest.raises(tp.ConfigError, match="run from 0 to 7"):
        tp.step(state, (X, jnp.array([0, 1, 7])))
    with pytest.raises(tp.ConfigError, match="one-hot"):
        tp.step(state, (X, jnp.asarray(ONE_HOT)))


def test_auxiliary_outputs_have_no_labels(network):
    """The label 1 is an output, but not one that the loss sees."""
    with pytest.raises(tp.ConfigError, match="has 1 outputs"):
        tp.assign(tp.Backprop(), network, None, tp.Example(LossOnFirstUnits(LOSS, 1), X, LABELS))


def test_a_loss_of_a_user_takes_any_target(network):
    loss = tp.LossFunction(lambda h, y: jnp.sum((h - y[:, None]) ** 2, axis=1))
    y = jnp.array([7, -3, 100])
    (value, _), _ = tp.value_and_grad(tp.Backprop(), loss)(network, None, X, y)
    np.testing.assert_allclose(value, np.mean(np.sum((np.asarray(network(X)) - y[:, None]) ** 2, axis=1)), rtol=1e-5)


def test_an_empty_batch_is_refused(network):
    for go in (tp.minibatch_step, tp.assign):
        with pytest.raises(tp.ConfigError, match="The batch is empty"):
            go(tp.Backprop(), network, None, tp.Example(LOSS, X[:0], LABELS[:0]))


# --- precision ------------------------------------------------------------------------------------------------------


def test_float64_weights_that_become_float32_warn_once(network):
    layers._say_narrowed.cache_clear()
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), network)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        for _ in range(3):
            tp.assign(tp.Backprop(), wide, None, tp.Example(LOSS, X, LABELS))
            tp.with_feedback(tp.dtp(), network, PAIRS)
            tp.init_state(tp.Recipe(tp.Backprop()), wide)
    assert len(found) == 1
    assert "float64 arrays of NumPy" in str(found[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network(X)
        tp.with_feedback(tp.dtp(), network, narrow(PAIRS))
        with tp.precision("float64"):
            assert wide(X).dtype == np.float64
