"""What holds for every rule in the registry; a new rule is tested here by being registered."""

import json
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from rules import pinned
from targetprop.feedback.noise import Gaussian
from targetprop.networks.network import mlp
from targetprop.rules import GENERAL, RULES
from targetprop.testing import RuleCheckError, RuleChecks, check_rule
from targetprop.testing.cases import LOSS, SIZES, TASK, double, image_network, same, samples
from targetprop.training import program

KEY = jax.random.key(0)


@pytest.fixture(scope="module", params=list(RULES))
def checks(request) -> RuleChecks:
    return RuleChecks(RULES[request.param]())


# Seeds agree to 1e-9 where programs of one and of several are optimized alike.
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name == "ensembles" else name for name in RuleChecks.names()]


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_keeps_the_contract(checks, name):
    getattr(checks, f"check_{name}")()


def test_training_gives_the_numbers_of_the_regression_file(checks):
    """They pin the library across a refactoring; see `pinned.py`."""
    with jax.enable_x64(True):
        found = pinned.summary(checks.training.reference)
    expected = json.loads(pinned.FILE.read_text())[checks.rule.name]
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=pinned.TOLERANCE, atol=pinned.TOLERANCE)


@pytest.mark.parametrize("name", list(RULES))
def test_feedback_starts_at_random_or_from_the_weights(name):
    rule, network = RULES[name](), mlp(SIZES, key=KEY)
    if name not in GENERAL:
        with pytest.raises(tp.ConfigError, match=r"(?i)layer 2"):
            rule.init(image_network(), key=KEY)
        return
    feedback = rule.init(network, key=jax.random.key(2))
    if feedback is not None:
        assert not same(rule.init(network, key=jax.random.key(3)), feedback)


def test_feedback_alignment_names_the_rule_that_takes_other_layers():
    with pytest.raises(tp.ConfigError, match=r"needs dense layers.* dfa"):
        tp.FeedbackAlignment().init(image_network(), key=KEY)


def test_noise_is_the_same_numbers_in_both_precisions():
    network, x, noise = mlp(SIZES, key=KEY), jnp.ones((4, SIZES[0])), Gaussian(0.5)
    single = [*noise.on_layers(network.trace(x), KEY), noise.standard(KEY, (3, 2), jnp.float32)]
    with jax.enable_x64(True):
        trace = double(network).trace(double(x))
        wide = [*noise.on_layers(trace, KEY), noise.standard(KEY, (3, 2), jnp.float64)]
        assert {entry.dtype for entry in wide} == {jnp.dtype(jnp.float64)}
        for one, other in zip(single, wide, strict=True):
            np.testing.assert_array_equal(np.asarray(one, np.float64), np.asarray(other))


def test_labels_do_not_reach_predictions():
    """The evaluated score is that of outputs computed from the inputs alone, whatever the labels
    are.
    """
    network, data = mlp(SIZES, key=KEY), samples()
    evaluate = jax.jit(program.evaluate)
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
        assert rule.name == rule().name == name
        assert rule.equation == rule().equation
        assert rule.source == rule().source
        assert rule.__doc__
    assert len({rule.equation for rule in RULES.values()}) == len(RULES)


# --- the tool itself ------------------------------------------------------------------------------------------------


class Mine(tp.Rule):
    """Backpropagation with a positive factor, as a user may write it."""

    factor: float = 0.5

    name: ClassVar[str] = "mine"
    equation: ClassVar[str] = "dh_i = factor J_{i+1}^T dh_{i+1}"
    source: ClassVar[str] = "a test"

    def target_updates(self, network, feedback, batch):
        *hidden, last = tp.Backprop().target_updates(network, feedback, batch)
        return (*(self.factor * dh for dh in hidden), last)


class Wrong(Mine):
    """Leaves the first hidden layer without targets, and says that its feedback learns, which it
    does not.
    """

    @property
    def learns_feedback(self):
        return True

    def target_updates(self, network, feedback, batch):
        first, *others = super().target_updates(network, feedback, batch)
        return (0 * first, *others)


def test_a_rule_of_ones_own_is_checked_with_one_call():
    report = check_rule(Mine())
    assert not report.failed
    assert [result.name for result in report.results] == list(RuleChecks.names())
    assert str(report).startswith(f"mine: {len(report.results)} of {len(report.results)} checks hold")


def test_a_report_says_which_checks_fail_and_why():
    with pytest.raises(RuleCheckError) as caught:
        check_rule(Wrong())
    text = str(caught.value)
    assert "FAILED every_layer_moves" in text
    assert "a sample has no target update" in text
    assert "FAILED feedback_gradients" in text
    assert "learns_feedback and feedback_step do not agree" in text
    assert "ok     last_update" in text
    with pytest.raises(TypeError, match="is not a rule"):
        check_rule(Wrong)
