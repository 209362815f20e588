"""Rules around a rule keep the contract."""

import pytest

import targetprop as tp
from targetprop.testing import RuleChecks

WRAPPED = {
    "exact inverses": tp.InverseSlopes(tp.TargetPropExact()),
    "learned inverses": tp.FeedbackAfterStep(tp.InverseSlopes(tp.tp_ai())),
}


@pytest.fixture(scope="module", params=list(WRAPPED))
def checks(request) -> RuleChecks:
    return RuleChecks(WRAPPED[request.param])


NAMES = [pytest.param(name, marks=pytest.mark.slow) if name == "ensembles" else name for name in RuleChecks.names()]


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_around_a_rule_keeps_the_contract(checks, name):
    getattr(checks, f"check_{name}")()


def test_a_wrapper_says_which_rule_it_is_around():
    rule = tp.FeedbackAfterStep(tp.tp_ai())
    assert (rule.name, rule.equation) == ("tp-ai-after-step", tp.tp_ai().equation)
    assert tp.InverseSlopes(rule).feedback_after_step
    assert not tp.FeedbackAfterStep(tp.Backprop()).feedback_after_step
