"""Farias and Maziero 2018, equations (14) and (51), part by part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.diagnostics import TargetResidual, UpdateParts, decompose, hebbian_parts, target_residuals
from targetprop.diagnostics.warnings import training_warnings
from targetprop.networks.network import Network
from targetprop.rules.contract import Minibatch

TAU = 3.0
FROM_ZERO = tp.GradientTargets(tp.AtZero(), tp.Euler(TAU, 1))


def assert_close(one, other, rtol=1e-10):
    np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * np.abs(np.asarray(other)).max())


def test_each_part_is_the_gradient_of_its_term(dense):
    network, h = dense.network, dense.trace.h
    parts = hebbian_parts(FROM_ZERO, network, Minibatch(dense.trace, dense.output_update))
    target = h[-1] + dense.output_update
    for layer in (1, 2):
        above = Network(network.layers[layer:], network.shapes[layer])

        def cost(hl, above=above, layer=layer):
            return TAU ** (3 - layer) * jnp.sum((target - above(hl)) ** 2) / 2

        def activities(hl, above=above, layer=layer):
            squares = [jnp.sum(h**2) / 2 for h in above.trace(hl).h[1:-1]]
            return sum((TAU ** (k + 1) * square for k, square in enumerate(squares)), jnp.sum(0 * hl))

        assert_close(parts.backprop[layer - 1], -jax.grad(cost)(h[layer]))
        assert_close(parts.carried[layer - 1], -jax.grad(activities)(h[layer]), 1e-9)
        np.testing.assert_array_equal(parts.hebbian[layer - 1], -h[layer])
        np.testing.assert_allclose(parts.rest[layer - 1], 0, atol=1e-12)
    assert np.abs(parts.carried[0]).max() > 0.1


def test_the_hebbian_parts_are_what_is_there_without_an_error(dense):
    """One step is affine in the error: its parts are those of the expansion around no error."""
    batch = Minibatch(dense.trace, dense.output_update)
    expanded = decompose(FROM_ZERO, dense.network, None, batch)
    parts = hebbian_parts(FROM_ZERO, dense.network, Minibatch(dense.trace, dense.output_update))
    for i in range(2):
        assert_close(parts.backprop[i], expanded.signal[i])
        assert_close(parts.hebbian[i] + parts.carried[i], expanded.reconstruction[i])


def test_from_the_activity_the_rest_is_of_second_order_in_time(dense):
    rests = []
    for tau in (2e-4, 1e-4):
        rule = tp.GradientTargets(tp.AtActivity(), tp.Euler(tau, 5))
        parts = hebbian_parts(rule, dense.network, Minibatch(dense.trace, dense.output_update))
        assert not any(np.any(part) for part in (*parts.hebbian, *parts.carried))
        rests.append(np.linalg.norm(parts.rest[1]))
    assert rests[0] / rests[1] == pytest.approx(4, rel=1e-2)


def test_the_diagnostic_measures_parameter_updates(dense, oracle):
    sample = dense.sample(FROM_ZERO, None)
    found = UpdateParts()(sample)
    assert found.keys() == {"update_backprop", "update_hebbian", "update_carried", "update_rest"}
    parts = hebbian_parts(FROM_ZERO, dense.network, Minibatch(dense.trace, sample.batch.output_update))
    for name in ("backprop", "hebbian", "carried"):
        for layer in (1, 2):
            change = oracle.single_updates(dense, getattr(parts, name), layer).mean(axis=0)
            assert float(found[f"update_{name}"][layer - 1]) == pytest.approx(np.linalg.norm(change), rel=1e-9, abs=1e-15)


def test_only_gradient_targets_of_a_finite_time_have_these_parts(dense):
    with pytest.raises(tp.ConfigError, match="bp has no Hebbian part"):
        UpdateParts()(dense.sample(tp.Backprop(), None))
    rule = tp.GradientTargets(integrator=tp.SteadyState())
    with pytest.raises(tp.ConfigError, match="use Euler's method"):
        hebbian_parts(rule, dense.network, Minibatch(dense.trace, dense.output_update))


def test_a_target_that_leads_away_is_told(dense):
    """In absolute activities: `||ĥ_{i+1} - f_{i+1}(ĥ_i)|| / ||ĥ_{i+1} - h_{i+1}||`."""
    network, h = dense.network, dense.trace.h
    for tau, leads_away in ((0.5, False), (400.0, True)):
        sample = dense.sample(tp.GradientTargets(tp.AtActivity(), tp.Euler(tau, 1)), None)
        residuals = target_residuals(network, dense.trace, sample.updates)
        for i in (1, 2):
            goal, reached = h[i + 1] + sample.updates[i], network.layers[i].at(h[i] + sample.updates[i - 1]).h
            expected = np.linalg.norm(goal - reached, axis=1) / np.linalg.norm(sample.updates[i], axis=1)
            assert_close(residuals[i - 1], expected, 1e-9)
        found = TargetResidual()(sample)["target_residual"]
        said = training_warnings({"diagnostics/target_residual": [float(value) for value in found]})
        assert ("the target of hidden layer 2 moves layer 3 away from its target" in said) == leads_away
