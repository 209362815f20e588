import jax
import numpy as np
import pytest

import targetprop as tp
from targetprop.diagnostics import decompose
from targetprop.feedback.gauss_newton import PseudoInverse
from targetprop.rules import GaussNewtonTargets
from targetprop.rules.contract import Minibatch


def feedback_jacobian(g, above) -> np.ndarray:
    return np.asarray(jax.jacobian(lambda h: g.at(h[None]).h[0])(above))


@pytest.mark.parametrize("rule", [tp.tp(), tp.dtp()], ids=["tp", "dtp"])
def test_parts_of_chained_targets_are_the_thesis_formulas(dense, rule):
    """(5.57) and (5.58) with the Jacobians of the mappings written out, sample by sample."""
    feedback = rule.init(dense.network, key=jax.random.key(3))
    parts = decompose(rule, dense.network, feedback, Minibatch(dense.trace, dense.output_update))
    updates = rule.target_updates(dense.network, feedback, Minibatch(dense.trace, dense.output_update))
    h = [np.asarray(one) for one in dense.trace.h]
    for b in range(4):
        first, second = (feedback_jacobian(g, dense.trace.h[i][b]) for g, i in zip(feedback, (2, 3), strict=True))
        error = [np.asarray(g.at(dense.trace.h[i + 1]).h - h[i])[b] for i, g in enumerate(feedback, start=1)]
        signal = [first @ second @ dense.output_update[b], second @ dense.output_update[b]]
        rebuilt = [error[0] + first @ error[1], error[1]] if rule.name == "tp" else [0 * error[0], 0 * error[1]]
        for i in (0, 1):
            np.testing.assert_allclose(parts.signal[i][b], signal[i], rtol=1e-9)
            np.testing.assert_allclose(parts.reconstruction[i][b], rebuilt[i], rtol=1e-9, atol=1e-14)
            np.testing.assert_allclose(parts.taylor[i][b], updates[i][b] - signal[i] - rebuilt[i], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("rule", [tp.dtp(), tp.dtpdrl()], ids=lambda rule: rule.name)
def test_the_taylor_error_is_of_second_order(dense, rule):
    feedback = rule.init(dense.network, key=jax.random.key(3))
    sizes = [
        np.linalg.norm(
            decompose(rule, dense.network, feedback, Minibatch(dense.trace, scale * dense.output_update)).taylor[0]
        )
        for scale in (1e-2, 1e-3)
    ]
    assert sizes[0] > 0
    assert sizes[0] / sizes[1] == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize(
    "rule", [tp.Backprop(), tp.ddtp_linear(), GaussNewtonTargets(PseudoInverse())], ids=lambda rule: rule.name
)
def test_linear_rules_are_all_signal(dense, rule):
    feedback = rule.init(dense.network, key=jax.random.key(3))
    parts = decompose(rule, dense.network, feedback, Minibatch(dense.trace, dense.output_update))
    updates = rule.target_updates(dense.network, feedback, Minibatch(dense.trace, dense.output_update))
    for signal, reconstruction, taylor, dh in zip(*parts, updates, strict=False):
        np.testing.assert_allclose(signal, dh, rtol=1e-12)
        assert not np.any(reconstruction)
        np.testing.assert_allclose(taylor, 0, atol=1e-12 * np.abs(dh).max())


@pytest.mark.parametrize("kind", [tp.SinglePhase, tp.TwoPhase], ids=lambda kind: kind.name)
def test_parts_in_continuous_time(dense, kind):
    """The chain of Jacobians where the free network rests is the signal (the last term of (6.22));
    what a single phase learns there without a teacher is `rho (g_i(h_{i+1}) - h_i)`, scaled up;
    two phases learn nothing without one.
    """
    mu = 0.05
    rule = kind(mu, solver=tp.Sweeps(1e-10, 200))
    feedback = rule.init(dense.network, key=jax.random.key(3))
    rest = rule.equilibrium(dense.network, feedback, dense.trace)
    parts = decompose(rule, dense.network, feedback, Minibatch(rest, dense.output_update))
    updates = rule.target_updates(dense.network, feedback, Minibatch(rest, dense.output_update))
    rho, signal, chain = mu / (1 - mu), dense.output_update, []
    for g, above in zip(reversed(feedback), rest.h[:1:-1], strict=True):
        signal = np.stack([feedback_jacobian(g, h) @ dh for h, dh in zip(above, signal, strict=True)])
        chain.append(signal)
    for i, expected in enumerate(reversed(chain)):
        np.testing.assert_allclose(parts.signal[i], expected, rtol=1e-9)
        error = rho * (feedback[i].at(rest.h[i + 2]).h - rest.h[i + 1]) / rho ** (3 - i)
        if kind is tp.TwoPhase:
            error = 0 * error
        np.testing.assert_allclose(parts.reconstruction[i], error, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(parts.taylor[i], updates[i] - expected - error, rtol=1e-5, atol=1e-9)
