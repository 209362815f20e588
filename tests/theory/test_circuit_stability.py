"""The Jacobian of a circuit at rest, its spectrum and its growth (Meulemans 2019, section 6.7)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.dynamics import stability as st
from targetprop.dynamics.circuit import Circuit, Gains
from targetprop.dynamics.targets import HardTarget, SoftTarget
from targetprop.feedback.mappings import ExactInverses
from targetprop.networks.activations import Identity, LeakyReLU
from targetprop.networks.layers import Dense
from targetprop.networks.network import Network, mlp
from theory.circuit_stability import feedback_error, kreiss_bound, stability

MUS = (0.05, 0.3, 0.4999, 0.5, 0.8)


def gaussian(depth, width, seed=0, batch=5):
    """`J_2 .. J_L`, well conditioned: at least 0.5 from singular."""
    numbers = np.random.default_rng(seed)
    u, s, v = np.linalg.svd(numbers.standard_normal((depth - 1, batch, width, width)))
    return list(u * (s + 0.5)[..., None, :] @ v)


def orthogonal(depth, width, seed=0, batch=5):
    return list(np.linalg.qr(np.random.default_rng(seed).standard_normal((depth - 1, batch, width, width)))[0])


def inverses(blocks):
    return [np.linalg.inv(block) for block in blocks]


def sorted_eigenvalues(matrices):
    return np.sort_complex(np.linalg.eigvals(matrices))[..., ::-1]


@pytest.mark.parametrize("depth", [2, 3, 6])
@pytest.mark.parametrize("mu", MUS)
def test_with_exact_inverses_the_spectrum_knows_nothing_of_the_weights(depth, mu):
    blocks = gaussian(depth, 3)
    found = sorted_eigenvalues(st.circuit_jacobian(blocks, inverses(blocks), Gains.mixing(mu)))
    k = np.arange(1, depth + 1)
    expected = np.repeat(-1 + 2 * np.sqrt(mu * (1 - mu)) * np.cos(k * np.pi / (depth + 1)), 3)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-8)
    np.testing.assert_allclose(st.exact_spectrum(depth, Gains.mixing(mu)), expected[::3], atol=1e-14)
    assert np.all(expected < 0)


def test_in_the_coordinates_of_the_paths_the_circuit_is_a_chain_of_single_units():
    blocks, gains = gaussian(4, 3), Gains.mixing(0.2)
    t = np.zeros((5, 12, 12))
    for i, path in enumerate(st.paths(blocks)):
        t[:, 3 * i : 3 * i + 3, 3 * i : 3 * i + 3] = path
    moved = np.linalg.solve(t, st.circuit_jacobian(blocks, inverses(blocks), gains) @ t)
    chain = np.array([[-1, 0.2, 0, 0], [0.8, -1, 0.2, 0], [0, 0.8, -1, 0.2], [0, 0, 0.8, -1]])
    np.testing.assert_allclose(moved, np.broadcast_to(np.kron(chain, np.eye(3)), moved.shape), atol=1e-10)
    np.testing.assert_allclose(st.path_condition(blocks), np.linalg.cond(t))


@pytest.mark.parametrize("depth", [2, 5])
@pytest.mark.parametrize("mu", MUS)
def test_with_a_target_that_keeps_its_distance_the_circuit_is_stable_too(depth, mu):
    """The chain plus `I` is a non-negative matrix whose rows sum to `mu`, 1, .., 1: one that loses
    probability.
    """
    blocks, gains = gaussian(depth, 2), Gains.mixing(mu)
    found = sorted_eigenvalues(st.circuit_jacobian(blocks, inverses(blocks), gains, echo=True))
    chain = np.diag(np.full(depth - 1, mu), 1) + np.diag(np.full(depth - 1, 1 - mu), -1)
    chain[-1, -1] = mu
    np.testing.assert_allclose(chain.sum(axis=1), [mu, *[1.0] * (depth - 1)])
    expected = np.repeat(np.sort(np.linalg.eigvals(chain).real)[::-1] - 1, 2)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-8)
    np.testing.assert_allclose(st.exact_spectrum(depth, gains, echo=True), expected[::2], atol=1e-12)
    assert expected[0] < 0


def test_negative_eigenvalues_do_not_make_a_matrix_negative_definite():
    """Two layers: the symmetric part splits by the singular values `s` of `W_2`, with eigenvalues
    `-1 ± ((1 - mu) s + mu / s) / 2`.
    """
    mu = 0.1
    limits = (1 + np.array([-1, 1]) * np.sqrt(1 - mu * (1 - mu))) / (1 - mu)
    s = np.array([0.02, 0.06, 1.0, 2.0, 2.5, *limits])
    matrices = st.circuit_jacobian([s[:, None, None]], [1 / s[:, None, None]], Gains.mixing(mu))
    np.testing.assert_allclose(st.spectral_abscissa(matrices), -1 + np.sqrt(mu * (1 - mu)))
    found = st.numerical_abscissa(matrices)
    np.testing.assert_allclose(found, -1 + ((1 - mu) * s + mu / s) / 2, atol=1e-12)
    np.testing.assert_array_equal(found[:5] > 0, [True, False, False, False, True])
    np.testing.assert_allclose(found[5:], 0, atol=1e-12)


@pytest.mark.parametrize("mu", MUS)
def test_orthogonal_weights_let_nothing_grow(mu):
    """The symmetric part has 1/2 beside the diagonal, whatever `mu` is."""
    blocks = orthogonal(5, 3)
    matrices = st.circuit_jacobian(blocks, inverses(blocks), Gains.mixing(mu))
    np.testing.assert_allclose(st.numerical_abscissa(matrices), -1 + np.cos(np.pi / 6), atol=1e-12)
    np.testing.assert_allclose(st.transient_growth(matrices, np.linspace(0, 5, 21)), 1)


def test_growth_between_two_units_is_that_of_the_written_out_exponential():
    """`exp(t J) = exp(-t) [[cosh ct, (mu / s) sinh ct / c], [(1 - mu) s sinh ct / c, cosh ct]]`,
    `c^2 = mu (1 - mu)`.
    """
    mu, s, times = 0.2, np.array([0.1, 1.0, 10.0]), np.linspace(0, 6, 13)
    matrices = st.circuit_jacobian([s[:, None, None]], [1 / s[:, None, None]], Gains.mixing(mu))
    c = np.sqrt(mu * (1 - mu))
    for t, row in zip(times, st.displacement_norms(matrices, times), strict=True):
        for size, found in zip(s, row, strict=True):
            sinh, cosh = np.sinh(c * t) / c, np.cosh(c * t)
            flow = np.exp(-t) * np.array([[cosh, mu / size * sinh], [(1 - mu) * size * sinh, cosh]])
            assert found == pytest.approx(np.linalg.norm(flow, 2))
    growth = st.transient_growth(matrices, times)
    assert growth[1] == pytest.approx(1)
    assert growth[2] > 2


def test_growth_lies_between_the_bound_of_kreiss_and_the_condition_of_the_paths():
    """`J = T (K ⊗ I) T^{-1}`, and the exponential of the chain never exceeds 1."""
    blocks = gaussian(4, 3, seed=2)
    matrices = st.circuit_jacobian(blocks, inverses(blocks), Gains.mixing(0.1))
    growth = st.transient_growth(matrices, np.linspace(0, 10, 101))
    bound = kreiss_bound(matrices, np.geomspace(0.01, 100, 60))
    assert np.all(bound <= growth * (1 + 1e-3))
    assert np.all(growth <= st.path_condition(blocks))
    assert np.any(bound > 1.1)
    np.testing.assert_array_equal(st.numerical_abscissa(matrices) > 0, growth > 1)


@pytest.mark.parametrize("echo", [False, True])
def test_the_bound_for_approximate_inverses_holds_and_is_attained(echo):
    numbers, blocks, gains = np.random.default_rng(4), gaussian(4, 3, batch=40), Gains.mixing(0.3)
    for error in (0.02, 0.3, 2.0):
        scaled = [(1 + error) * inverse for inverse in inverses(blocks)]
        reached = st.spectral_abscissa(st.circuit_jacobian(blocks, scaled, gains, echo))
        bound = st.exact_spectrum(4, gains, echo, error)[0]
        np.testing.assert_allclose(reached, bound, atol=1e-9)
        np.testing.assert_allclose(feedback_error(blocks, scaled), error)
    noisy = [inverse + 0.2 * numbers.standard_normal(inverse.shape) for inverse in inverses(blocks)]
    found = st.spectral_abscissa(st.circuit_jacobian(blocks, noisy, gains, echo))
    bounds = np.array([st.exact_spectrum(4, gains, echo, error)[0] for error in feedback_error(blocks, noisy)])
    assert np.all(found <= bounds)
    assert np.any(found > st.exact_spectrum(4, gains, echo)[0] + 0.01)


def test_beyond_the_tolerated_error_some_feedback_is_unstable():
    for depth, mu in ((2, 0.3), (5, 0.1), (9, 0.5)):
        gains = Gains.mixing(mu)
        error = st.tolerated_error(depth, gains)
        assert st.exact_spectrum(depth, gains, error=error)[0] == pytest.approx(0, abs=1e-12)
    assert st.tolerated_error(9, Gains.mixing(0.5)) == pytest.approx(np.tan(np.pi / 10) ** 2)
    assert st.tolerated_error(100, Gains.mixing(0.1)) > (1 - 2 * 0.1) ** 2 / (4 * 0.1 * 0.9)


def circuit(network, trace, mu):
    method = ExactInverses()
    return Circuit(network, method.maps(network, method.init(network, key=jax.random.key(0)), trace), Gains.mixing(mu))


def test_networks_at_their_equilibrium_have_the_spectrum_of_the_theory():
    """A free network of leaky ReLUs, and a linear one under a fixed target."""
    nonlinear = mlp([3, 4, 4, 4], LeakyReLU(0.3), key=jax.random.key(1))
    trace = nonlinear.trace(jax.random.normal(jax.random.key(2), (3, 3)))
    motion = circuit(nonlinear, trace, 0.2).free(trace)
    rest = tuple(map(jnp.zeros_like, motion.h))
    found = stability(motion, rest)
    blocks = [
        np.asarray(point.h / point.a)[:, :, None] * np.asarray(layer.weight)
        for point, layer in zip(trace.points[1:], nonlinear.layers[1:], strict=True)
    ]  # s(a) / a is the slope
    blocks[-1] = np.broadcast_to(np.asarray(nonlinear.layers[-1].weight), blocks[-1].shape)
    expected = st.circuit_jacobian(blocks, inverses(blocks), Gains.mixing(0.2), echo=True)
    np.testing.assert_allclose(found.jacobian, expected, atol=1e-8)
    np.testing.assert_allclose(found.spectral_abscissa, st.exact_spectrum(3, Gains.mixing(0.2), echo=True)[0], atol=1e-6)
    np.testing.assert_allclose(found.numerical_abscissa, st.numerical_abscissa(expected), atol=1e-8)

    linear = mlp([3, 4, 4, 4], Identity(), key=jax.random.key(1))
    trace = linear.trace(jax.random.normal(jax.random.key(2), (3, 3)))
    motion = circuit(linear, trace, 0.2).with_target(trace, HardTarget(trace.output + 1))
    anywhere = stability(motion, rest)  # a linear network has one Jacobian
    np.testing.assert_allclose(anywhere.spectral_abscissa, st.exact_spectrum(3, Gains.mixing(0.2))[0], atol=1e-6)


def test_exact_inverses_do_not_make_every_network_with_a_target_stable():
    """Under a target `h_2 != f_2(h_1)`, so the slopes of `f_2` and of its inverse belong to
    different points, and (6.42) fails. Two units, weights 1, slope 0.1 below zero, `mu = 0.2`,
    target -2.5:

        h_1 = 0.8 + 0.2 s^{-1}(h_2),     h_2 = 0.8 s(h_1) - 0.5

    where `h_1 > 0 > h_2` the unit above answers with `s = 1`, `s^{-1} = 10`: eigenvalues `-1 ±
    sqrt(10 * 0.16)`.
    """
    one = jnp.ones((1, 1))
    network = Network([Dense(one, None, Identity()), Dense(one, None, LeakyReLU(0.1))], 1)
    trace = network.trace(one)
    motion = circuit(network, trace, 0.2).with_target(trace, HardTarget(jnp.full((1, 1), -2.5)))
    for h_1, h_2, expected in (
        (0.7 / 0.84, 0.8 * 0.7 / 0.84 - 0.5, -1 + 0.4),
        (1 / 3, 0.8 / 3 - 0.5, -1 + np.sqrt(1.6)),
        (-0.2 / 0.84, -0.08 * 0.2 / 0.84 - 0.5, -1 + 0.4),
    ):
        d = (jnp.full((1, 1), h_1) - motion.h[0], jnp.full((1, 1), h_2) - motion.h[1])
        np.testing.assert_allclose(motion.velocity(d), 0, atol=1e-12)
        assert stability(motion, d).spectral_abscissa[0] == pytest.approx(expected)
    held = circuit(network, trace, 0.2).with_target(trace, SoftTarget(jnp.zeros((1, 1))))
    assert stability(held, tuple(map(jnp.zeros_like, held.h))).spectral_abscissa[0] < 0
