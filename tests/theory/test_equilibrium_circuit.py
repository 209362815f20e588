"""GAIT-prop as a shift of equilibria in a linear circuit: Ahmad et al. 2020, Appendix A, and its
extension to depth.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.dynamics import chain
from targetprop.dynamics.circuit import Circuit, Gains
from targetprop.dynamics.equilibria import Integration, Sweeps
from targetprop.dynamics.targets import InjectedCurrent
from targetprop.feedback.mappings import ExactInverses
from targetprop.networks.activations import Identity
from targetprop.networks.layers import Dense
from targetprop.networks.network import Network
from targetprop.rules import TargetPropExact
from targetprop.rules.contract import Minibatch
from theory.circuit_stability import stability

WIDTH, BATCH = 4, 3


@eqx.filter_jit
def found(solver, motion):
    return solver.find(motion)


def setting(depth, nu, dtype=jnp.float64):
    """A circuit whose first layer is the identity, so that the input is the current into layer 1;
    the weights `W_2 .. W_L`, the forward pass and the current `t_L`.
    """
    numbers = np.random.default_rng(depth)
    u, s, v = np.linalg.svd(numbers.standard_normal((depth - 1, WIDTH, WIDTH)))
    weights = [np.eye(WIDTH), *(u * (s + 0.5)[:, None] @ v)]
    network = Network([Dense(jnp.asarray(w, dtype), None, Identity()) for w in weights], WIDTH)
    x, current = (jnp.asarray(rows, dtype) for rows in numbers.standard_normal((2, BATCH, WIDTH)))
    trace, method = network.trace(x), ExactInverses()
    maps = method.maps(network, method.init(network, key=jax.random.key(0)), trace)
    return Circuit(network, maps, Gains.coupling(jnp.asarray(nu, dtype))), weights[1:], trace, current


def at_rest(solver, circuit, trace, current):
    """The activities of the free circuit at rest, and how far the current moves them."""
    free = found(solver, circuit.free(trace, echo=False))
    rest = circuit.at_rest(trace, free.displacements)
    nudged = found(solver, circuit.with_target(rest, InjectedCurrent(current)))
    return rest.h[1:], nudged.displacements


def relative(one, other):
    return np.linalg.norm(np.asarray(one, np.float64) - other) / np.linalg.norm(other)


@pytest.mark.parametrize(
    ("dtype", "precise", "tolerance"), [(jnp.float64, 1e-10, 1e-8), (jnp.float32, 1e-4, 1e-3)], ids=["float64", "float32"]
)
@pytest.mark.parametrize("kind", [Integration, Sweeps])
def test_two_layers_come_to_rest_at_equations_25_and_26(kind, dtype, precise, tolerance):
    nu = 0.3
    circuit, (w,), trace, current = setting(2, nu, dtype)
    y, moved = at_rest(kind(precise), circuit, trace, current)
    x, t_2 = (np.asarray(rows, np.float64) for rows in (trace.h[0], current))
    gamma, t_1 = nu / (1 - nu), np.linalg.solve(w, t_2.T).T
    assert relative(y[0], (1 + gamma) * x) < tolerance
    assert relative(moved[0], gamma * t_1) < tolerance
    assert relative(y[0] + moved[0], (1 + nu / (1 - nu)) * x + nu / (1 - nu) * t_1) < tolerance
    # which the paper does not print: the output layer overshoots what is injected
    assert relative(y[1] + moved[1], (1 + gamma) * (x @ w.T + t_2)) < tolerance


@pytest.mark.parametrize("depth", [2, 3, 6])
def test_at_any_depth_activities_and_targets_are_those_of_the_chain(depth):
    nu = 0.8 * chain.largest_coupling(depth)
    circuit, weights, trace, current = setting(depth, nu)
    y, moved = at_rest(Sweeps(1e-12), circuit, trace, current)
    system = np.eye(depth * WIDTH)
    for i, w in enumerate(weights):
        lower, upper = slice(i * WIDTH, (i + 1) * WIDTH), slice((i + 1) * WIDTH, (i + 2) * WIDTH)
        system[upper, lower], system[lower, upper] = -w, -nu * np.linalg.inv(w)
    driven = np.zeros((2, BATCH, depth, WIDTH))
    driven[0, :, 0], driven[1, :, -1] = np.asarray(trace.h[0]), np.asarray(current)
    solved = np.linalg.solve(system, driven.reshape(2 * BATCH, -1).T).T.reshape(driven.shape)
    inverted = np.asarray(current)
    scales = list(zip(chain.amplification(depth, nu), chain.target_shares(depth, nu), strict=True))
    for i in range(depth - 1, -1, -1):
        amplified, share = scales[i]
        assert relative(y[i], solved[0, :, i]) < 1e-8
        assert relative(moved[i], solved[1, :, i]) < 1e-8
        assert relative(y[i], amplified * np.asarray(trace.h[i + 1])) < 1e-8
        assert relative(moved[i], share * inverted) < 1e-8
        if i:
            inverted = np.linalg.solve(weights[i - 1], inverted.T).T


def test_what_the_current_moves_are_the_targets_of_target_propagation_times_the_shares():
    """The current is the displacement that the rule gives the output. The paper's `t_2`, a target,
    would differ from it by the activity of the output."""
    depth, nu = 4, 0.2
    circuit, _, trace, current = setting(depth, nu)
    _, moved = at_rest(Sweeps(1e-12), circuit, trace, current)
    rule = TargetPropExact()
    updates = rule.target_updates(
        circuit.network, rule.init(circuit.network, key=jax.random.key(0)), Minibatch(trace, current)
    )
    for d, share, dh in zip(moved, chain.target_shares(depth, nu), updates, strict=True):
        assert relative(d, share * np.asarray(dh)) < 1e-8


@pytest.mark.parametrize("depth", [2, 3, 4, 9])
def test_minors_amplification_and_shares_are_the_inverse_of_the_chain(depth):
    for nu in (0.01, 0.2, 0.9 * chain.largest_coupling(depth)):
        matrix = np.eye(depth) - np.eye(depth, k=-1) - nu * np.eye(depth, k=1)
        determinants = [np.linalg.det(matrix[:n, :n]) for n in range(1, depth + 1)]
        np.testing.assert_allclose(chain.minors(depth, nu), [1, *determinants])
        inverse = np.linalg.inv(matrix)
        np.testing.assert_allclose(chain.amplification(depth, nu), inverse[:, 0])
        np.testing.assert_allclose(chain.target_shares(depth, nu), inverse[:, -1], atol=1e-15)
    np.testing.assert_allclose(chain.target_shares(2, 0.2), [0.2 / 0.8, 1 / 0.8])
    np.testing.assert_allclose(chain.amplification(2, 0.2), [1 / 0.8, 1 / 0.8])


def test_coupling_has_a_limit_that_falls_with_depth():
    assert chain.largest_coupling(2) == pytest.approx(1)
    assert chain.largest_coupling(3) == pytest.approx(1 / 2)
    assert chain.largest_coupling(5) == pytest.approx(1 / 3)
    assert chain.largest_coupling(10_000) == pytest.approx(1 / 4)
    for depth in (2, 3):
        limit = chain.largest_coupling(depth)
        circuit, _, trace, _ = setting(depth, limit)
        motion = circuit.free(trace, echo=False)
        rates = stability(motion, tuple(map(jnp.zeros_like, motion.h))).spectral_abscissa
        np.testing.assert_allclose(rates, 0, atol=1e-6)
        assert chain.minors(depth, limit)[-1] == pytest.approx(0, abs=1e-12)


def test_beyond_the_limit_there_is_a_rest_but_the_circuit_does_not_come_to_it():
    circuit, _, trace, _ = setting(3, 0.7)
    motion = circuit.free(trace, echo=False)
    assert not found(Integration(1e-4, 300), motion).reached.any()
    there = found(Sweeps(1e-4), motion)
    assert there.reached.all()
    assert np.all(stability(motion, there.d).spectral_abscissa > 0)
    assert chain.amplification(3, 0.7)[0] == pytest.approx((1 - 0.7) / (1 - 2 * 0.7))  # negative: no forward pass any more


@pytest.mark.parametrize("depth", [2, 3, 7])
def test_the_first_share_stays_below_one_up_to_a_coupling_that_falls_with_depth(depth):
    """For two layers up to 1/2, as printed; for three up to 1/3."""
    limit = chain.coupling_of_full_share(depth)
    assert chain.target_shares(depth, limit)[-2] == pytest.approx(1)
    assert chain.target_shares(depth, 0.99 * limit)[-2] < 1
    assert limit < chain.largest_coupling(depth)
    assert chain.coupling_of_full_share(2) == pytest.approx(1 / 2)
    assert chain.coupling_of_full_share(3) == pytest.approx(1 / 3)
