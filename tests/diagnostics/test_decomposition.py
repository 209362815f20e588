import jax
import numpy as np
import pytest

import targetprop as tp
from targetprop.diagnostics import decompose
from targetprop.gauss_newton import PseudoInverse
from targetprop.rules import GaussNewtonTargets


def feedback_jacobian(g, above) -> np.ndarray:
    return np.asarray(jax.jacobian(lambda h: g.at(h[None]).h[0])(above))


@pytest.mark.parametrize("rule", [tp.TP(), tp.DTP()], ids=["tp", "dtp"])
def test_parts_of_chained_targets_are_the_thesis_formulas(dense, rule):
    """(5.57) and (5.58) with the Jacobians of the mappings written out, sample by sample."""
    feedback = rule.init(dense.network, key=jax.random.key(3))
    parts = decompose(rule, dense.network, feedback, dense.trace, dense.output_update)
    updates = rule.target_updates(dense.network, feedback, dense.trace, dense.output_update)
    h = [np.asarray(one) for one in dense.trace.h]
    for b in range(4):
        first, second = (feedback_jacobian(g, dense.trace.h[i][b]) for g, i in zip(feedback, (2, 3), strict=True))
        error = [np.asarray(g.at(dense.trace.h[i + 1]).h - h[i])[b] for i, g in enumerate(feedback, start=1)]
        signal = [first @ second @ dense.output_update[b], second @ dense.output_update[b]]
        rebuilt = [error[0] + first @ error[1], error[1]] if isinstance(rule, tp.TP) else [0 * error[0], 0 * error[1]]
        for i in (0, 1):
            np.testing.assert_allclose(parts.signal[i][b], signal[i], rtol=1e-9)
            np.testing.assert_allclose(parts.reconstruction[i][b], rebuilt[i], rtol=1e-9, atol=1e-14)
            np.testing.assert_allclose(parts.taylor[i][b], updates[i][b] - signal[i] - rebuilt[i], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("rule", [tp.DTP(), tp.DTPDRL()], ids=lambda rule: rule.name)
def test_the_taylor_error_is_of_second_order(dense, rule):
    feedback = rule.init(dense.network, key=jax.random.key(3))
    sizes = [
        np.linalg.norm(decompose(rule, dense.network, feedback, dense.trace, scale * dense.output_update).taylor[0])
        for scale in (1e-2, 1e-3)
    ]
    assert sizes[0] > 0
    assert sizes[0] / sizes[1] == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize(
    "rule", [tp.Backprop(), tp.DDTPLinear(), GaussNewtonTargets(PseudoInverse())], ids=lambda rule: rule.name
)
def test_linear_rules_are_all_signal(dense, rule):
    feedback = rule.init(dense.network, key=jax.random.key(3))
    parts = decompose(rule, dense.network, feedback, dense.trace, dense.output_update)
    updates = rule.target_updates(dense.network, feedback, dense.trace, dense.output_update)
    for signal, reconstruction, taylor, dh in zip(*parts, updates, strict=False):
        np.testing.assert_allclose(signal, dh, rtol=1e-12)
        assert not np.any(reconstruction)
        np.testing.assert_allclose(taylor, 0, atol=1e-12 * np.abs(dh).max())
