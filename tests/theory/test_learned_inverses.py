"""Meulemans 2019, section 4.3: what feedback of the form `Q s^{-1}(h)` learns, and when DTP with
it is Gauss-Newton.

Expectations over noise are exact: a batch whose second moment `X^T X / B` is the wanted matrix.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.diagnostics import decompose
from targetprop.errors import ConfigError
from targetprop.feedback.gauss_newton import PseudoInverse
from targetprop.feedback.learners import BenIsraelCohen, InverseLoss, ben_israel_cohen, regularized_inverse
from targetprop.feedback.maps import InverseFeedback, inverse_maps
from targetprop.feedback.noise import Gaussian
from targetprop.networks.activations import Identity, LeakyReLU, Tanh
from targetprop.networks.layers import Dense
from targetprop.networks.network import Network, mlp
from targetprop.rules import GaussNewtonTargets
from targetprop.rules.contract import Minibatch
from targetprop.rules.presets import dtp_ai, tp_ai

S = LeakyReLU(0.35)
SIGMA = 0.7
WIDTHS = pytest.mark.parametrize(("below", "above"), [(4, 4), (5, 3), (3, 5)], ids=["equal", "contracting", "expanding"])


def gaussian(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def covariance(seed: int, n: int) -> jax.Array:
    root = gaussian(seed, n, n)
    return root @ root.T + 0.1 * jnp.eye(n)


def batch_with_second_moment(gamma: jax.Array) -> jax.Array:
    """Samples, as rows, with `X^T X / B = gamma` exactly, and a mean that is not zero."""
    rows = np.linalg.qr(np.random.default_rng(9).standard_normal((8, len(gamma))))[0] * 8**0.5
    return jnp.asarray(rows) @ jnp.linalg.cholesky(gamma).T


@eqx.filter_jit
def learned(learner, q: jax.Array, w: jax.Array, x: jax.Array):
    """The gradient by `Q` and the loss of one layer pair on the samples `x`."""
    network = Network([Dense(jnp.eye(w.shape[1]), None, Identity()), Dense(w, None, S)], w.shape[1])
    g = InverseFeedback(Dense(q, None, Identity()), S, (w.shape[1],))
    step = learner.invert(network, (g,), [x])
    return step.gradients[0].linear.weight, step.losses[0]


# --- learning to invert ---------------------------------------------------------------------------------------------


@WIDTHS
def test_lemma_4_4_the_gradient_is_linear_in_the_second_moment(below, above):
    w, q, gamma = gaussian(0, above, below), gaussian(1, below, above), covariance(2, below)
    gradient, _ = learned(InverseLoss(), q, w, batch_with_second_moment(gamma))
    np.testing.assert_allclose(gradient, 2 * (q @ w - jnp.eye(below)) @ gamma @ w.T, rtol=1e-10, atol=1e-12)


@WIDTHS
def test_lemma_4_5_the_loss_on_white_noise_is_the_decoupled_energy(below, above):
    w, q = gaussian(0, above, below), gaussian(1, below, above)
    _, loss = learned(InverseLoss(), q, w, batch_with_second_moment(SIGMA**2 * jnp.eye(below)))
    energy = SIGMA**2 * sum((q[k] @ w[:, j] - (1.0 if j == k else 0.0)) ** 2 for j in range(below) for k in range(below))
    np.testing.assert_allclose(loss, energy, rtol=1e-12)


@pytest.mark.parametrize("colored", [False, True])
def test_theorem_4_6_square_layers_reach_the_inverse_for_any_noise_of_full_rank(colored):
    w = gaussian(0, 4, 4)
    x = batch_with_second_moment(covariance(2, 4) if colored else SIGMA**2 * jnp.eye(4))
    for q, stationary in ((jnp.linalg.inv(w), True), (jnp.linalg.inv(w) + 1e-3 * gaussian(1, 4, 4), False)):
        gradient, _ = learned(InverseLoss(), q, w, x)
        assert (np.linalg.norm(gradient) < 1e-10) == stationary


def test_theorem_4_6_noise_of_lower_rank_leaves_the_inverse_open():
    w, gamma = gaussian(0, 4, 4), jnp.diag(jnp.array([1.0, 1.0, 0.0, 0.0]))
    x = jnp.eye(4)[:2].repeat(2, axis=0) * 2**0.5
    np.testing.assert_allclose(x.T @ x / 4, gamma, atol=1e-15)
    silent = jnp.zeros((4, 4)).at[:, 3].set(1.0)  # acts on what the noise never excites
    gradient, loss = learned(InverseLoss(), jnp.linalg.inv(w) + silent @ jnp.linalg.inv(w), w, x)
    np.testing.assert_allclose(gradient, 0, atol=1e-10)
    np.testing.assert_allclose(loss, 0, atol=1e-20)


def test_theorem_4_6_contracting_layers_reach_the_pseudo_inverse_where_the_noise_keeps_the_row_space():
    """The thesis: only for white noise. Any second moment that maps the row space of W into itself
    will do.
    """
    w = gaussian(0, 3, 5)
    rows = jnp.linalg.pinv(w) @ w
    keeps = rows @ covariance(2, 5) @ rows + (jnp.eye(5) - rows) @ covariance(3, 5) @ (jnp.eye(5) - rows)
    for gamma, stationary in ((SIGMA**2 * jnp.eye(5), True), (keeps, True), (covariance(2, 5), False)):
        gradient, _ = learned(InverseLoss(), jnp.linalg.pinv(w), w, batch_with_second_moment(gamma))
        assert (np.linalg.norm(gradient) < 1e-9) == stationary
        reached = jnp.linalg.solve(w @ gamma @ w.T, w @ gamma).T
        gradient, _ = learned(InverseLoss(), reached, w, batch_with_second_moment(gamma))
        np.testing.assert_allclose(gradient, 0, atol=1e-9)


@WIDTHS
def test_theorem_4_7_the_minimum_with_weight_decay(below, above):
    w, strength = gaussian(0, above, below), 0.3
    x, learner = batch_with_second_moment(SIGMA**2 * jnp.eye(below)), InverseLoss(strength=strength)
    closed = regularized_inverse(w, strength / SIGMA**2)
    q = gaussian(1, below, above)
    curvature = 2 * (SIGMA**2 * np.linalg.norm(w, 2) ** 2 + strength)
    for _ in range(400):
        q = q - learned(learner, q, w, x)[0] / curvature
    np.testing.assert_allclose(q, closed, atol=1e-8)


@WIDTHS
def test_theorem_4_7_vanishing_weight_decay_gives_the_pseudo_inverse(below, above):
    w = gaussian(0, above, below)
    errors = [np.linalg.norm(regularized_inverse(w, damping) - jnp.linalg.pinv(w)) for damping in (1e-3, 1e-4, 1e-5)]
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("silent", [False, True], ids=["any", "silent"])
@WIDTHS
def test_theorem_4_7_needs_white_noise_where_the_columns_are_independent(below, above, silent):
    """The minimum for `Gamma = s^2 I + E` is that for white noise if and only if `(E K - K E +
    (strength / s^2) E) W^T = 0`, `K = W^T W`: in equal and expanding layers for `E = 0` only, in
    contracting ones for every `E` with `E W^T = 0`. Then the noise is not white.
    """
    w, strength = gaussian(0, above, below), 0.3
    beside = jnp.eye(below) - jnp.linalg.pinv(w) @ w if silent else jnp.eye(below)
    e, k = beside @ covariance(2, below) @ beside, w.T @ w
    condition = (e @ k - k @ e + strength / SIGMA**2 * e) @ w.T
    x = batch_with_second_moment(SIGMA**2 * jnp.eye(below) + e)
    gradient, _ = learned(InverseLoss(strength=strength), regularized_inverse(w, strength / SIGMA**2), w, x)
    same = np.linalg.norm(gradient) < 1e-8
    assert same == (np.linalg.norm(condition) < 1e-8) == silent
    assert (np.linalg.norm(e) > 0.1) == (not silent or below > above)


def test_theorem_4_7_in_expanding_layers_the_limit_needs_no_white_noise():
    """With independent columns the limit is the pseudo-inverse for any second moment of full
    rank.
    """
    w, gamma = gaussian(0, 5, 3), covariance(2, 3)
    damping = 1e-7
    reached = jnp.linalg.solve(w @ gamma @ w.T + damping * jnp.eye(5), w @ gamma).T
    gradient, _ = learned(InverseLoss(strength=damping), reached, w, batch_with_second_moment(gamma))
    np.testing.assert_allclose(gradient, 0, atol=1e-9)
    np.testing.assert_allclose(reached, jnp.linalg.pinv(w), atol=1e-5)


# --- the iteration of Ben-Israel and Cohen --------------------------------------------------------------------------


@WIDTHS
def test_one_step_on_white_noise_is_one_iteration(below, above):
    w, q = gaussian(0, above, below), gaussian(1, below, above)
    step, loss = learned(BenIsraelCohen(Gaussian(SIGMA)), q, w, batch_with_second_moment(SIGMA**2 * jnp.eye(below)))
    np.testing.assert_allclose(q - step, ben_israel_cohen(q, w), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(loss, SIGMA**2 * np.linalg.norm(q @ w - np.eye(below)) ** 2, rtol=1e-12)


@WIDTHS
def test_from_the_transpose_the_iteration_squares_its_error(below, above):
    w = gaussian(0, above, below)
    q, errors = w.T / jnp.linalg.norm(w, 2) ** 2, []
    for _ in range(20):
        errors.append(float(jnp.linalg.norm(jnp.linalg.pinv(w) @ w - q @ w, 2)))
        q = ben_israel_cohen(q, w)
    np.testing.assert_allclose(q, jnp.linalg.pinv(w), atol=1e-10)
    for before, after in itertools.pairwise(errors):
        assert after == pytest.approx(before**2, rel=1e-6, abs=1e-12)


def test_the_iteration_does_not_leave_the_null_space_of_the_weights():
    """In a contracting layer `W^† + N` with `W N = 0` is a fixed point, unlike for the gradient:
    noise makes it wander.
    """
    w = gaussian(0, 3, 5)
    stray = (jnp.eye(5) - jnp.linalg.pinv(w) @ w) @ gaussian(1, 5, 3)
    q = jnp.linalg.pinv(w) + stray
    assert np.linalg.norm(stray) > 0.5
    np.testing.assert_allclose(ben_israel_cohen(q, w), q, atol=1e-12)
    gradient, _ = learned(InverseLoss(), q, w, batch_with_second_moment(jnp.eye(5)))
    np.testing.assert_allclose(gradient, 2 * stray @ w @ w.T, atol=1e-10)


# --- the whole path -------------------------------------------------------------------------------------------------


def path(widths, seed=0, spoil=None):
    """Random weights `W_2 .. W_L` and slopes `D_2 .. D_L` between hidden layers and output of the
    given widths; `spoil` is an index of a weight that loses a rank.
    """
    weights = [np.asarray(gaussian(seed + i, n, m)) for i, (m, n) in enumerate(itertools.pairwise(widths))]
    if spoil is not None:
        u, s, v = np.linalg.svd(weights[spoil], full_matrices=False)
        s[-1] = 0
        weights[spoil] = u * s @ v
    slopes = [1 + np.abs(np.asarray(gaussian(seed + 50 + i, len(w)))) for i, w in enumerate(weights)]
    return list(zip(weights, slopes, strict=True))


def factorizes(layers) -> bool:
    """Whether `J_i^† = W_{i+1}^† D_{i+1}^{-1} .. W_L^† D_L^{-1}` for every hidden layer `i`
    (equation 5.48).
    """
    for i in range(len(layers)):
        jacobian = factored = np.eye(layers[i][0].shape[1])
        for w, slopes in layers[i:]:
            jacobian, factored = slopes[:, None] * (w @ jacobian), factored @ np.linalg.pinv(w) / slopes
        if not np.allclose(factored, np.linalg.pinv(jacobian), atol=1e-8):
            return False
    return True


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ((4, 4, 4, 4), True),
        ((6, 4, 4, 4), True),
        ((6, 3), True),
        ((3, 5), False),
        ((4, 4, 3), False),
        ((6, 5, 4), False),
        ((4, 4, 6), False),
        ((3, 4, 4), False),
        ((6, 4, 4, 3), False),
    ],
)
def test_lemma_4_8_the_pseudo_inverse_factorizes_where_the_widths_allow_it(widths, expected):
    for seed in range(5):
        assert factorizes(path(widths, 100 * seed)) == expected


@pytest.mark.parametrize("spoil", [0, 1, 2])
def test_lemma_4_8_needs_the_last_weight_of_full_rank_too(spoil):
    """The thesis asks it of W_2 .. W_{L-1} alone."""
    assert factorizes(path((5, 4, 4, 4)))
    assert not factorizes(path((5, 4, 4, 4), spoil=spoil))


def test_lemma_4_8_is_no_equivalence_for_special_matrices():
    """The proof leaves such cases out: a wide last layer with orthonormal rows after an orthogonal
    one, and equal slopes.
    """
    square = np.linalg.qr(np.asarray(gaussian(0, 4, 4)))[0]
    rows = np.linalg.qr(np.asarray(gaussian(1, 4, 3)))[0].T
    assert factorizes([(square, np.full(4, 2.0)), (rows, np.full(3, 3.0))])


@pytest.mark.parametrize(
    ("sizes", "exact"), [((3, 4, 4, 4), True), ((3, 6, 4, 4), True), ((3, 5, 3), True), ((3, 5, 5, 3), False)]
)
def test_theorem_4_9_dtp_ai_has_the_targets_of_gauss_newton(sizes, exact):
    network = mlp(sizes, S, bias=False, key=jax.random.key(0), dtype=jnp.float64)
    trace = network.trace(gaussian(0, 6, sizes[0]))
    dh = 1e-9 * gaussian(1, 6, sizes[-1])  # on one side of every kink
    rule = dtp_ai()
    ours = rule.target_updates(network, rule.init(network, key=jax.random.key(1)), Minibatch(trace, dh))
    theirs = GaussNewtonTargets(PseudoInverse()).target_updates(network, None, Minibatch(trace, dh))
    off = [float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b)) for a, b in zip(ours, theirs, strict=True)]
    assert (max(off) < 1e-8) == exact
    assert max(off) < 1e-8 or max(off) > 1e-2


# --- the targets ----------------------------------------------------------------------------------------------------


@pytest.fixture
def contracting():
    network = mlp((4, 5, 4, 3), S, key=jax.random.key(0), dtype=jnp.float64)
    layers = [eqx.tree_at(lambda d: d.bias, layer, gaussian(i, *layer.bias.shape)) for i, layer in enumerate(network.layers)]
    return Network(layers, 4)


def test_the_feedback_starts_at_the_pseudo_inverse_with_the_bias_that_belongs_to_it(contracting):
    """Where layers are equal the feedback is the exact inverse, biases included; in targets only
    its differences count.
    """
    maps = inverse_maps(contracting)
    for g, layer in zip(maps, contracting.layers[1:], strict=True):
        np.testing.assert_allclose(g.linear.weight, np.linalg.pinv(layer.weight), atol=1e-12)
    square = mlp((4, 4, 4), S, key=jax.random.key(3), dtype=jnp.float64)
    square = eqx.tree_at(lambda n: n.layers[1].bias, square, gaussian(0, 4))
    h = gaussian(4, 6, 4)
    np.testing.assert_allclose(inverse_maps(square)[0].at(square.layers[1].at(h).h).h, h, atol=1e-10)


@pytest.mark.parametrize("rule", [tp_ai(), dtp_ai()], ids=lambda rule: rule.name)
def test_targets_are_those_of_the_published_algorithms(contracting, rule):
    """Algorithms A.10 and A.12 with targets in absolute terms."""
    trace, maps, dh = contracting.trace(gaussian(0, 6, 4)), inverse_maps(contracting), gaussian(1, 6, 3)
    found = rule.target_updates(contracting, maps, Minibatch(trace, dh))
    target = trace.output + dh
    for i in (2, 1):
        g, h, above = maps[i - 1], trace.h[i], trace.h[i + 1]
        target = g.at(target).h + (h - g.at(above).h if rule.name == "dtp-ai" else 0)
        np.testing.assert_allclose(found[i - 1], target - h, atol=1e-10)


def test_equation_4_84_reconstruction_errors_of_tp_ai_add_up_and_dtp_ai_has_none(contracting):
    trace, rule = contracting.trace(gaussian(0, 6, 4)), tp_ai()
    maps, dh = inverse_maps(contracting), gaussian(1, 6, 3)
    parts = decompose(rule, contracting, maps, Minibatch(trace, dh))
    g2, g1 = maps[1], maps[0]
    own = g2.at(trace.h[3]).h - trace.h[2]
    slopes = 1 / S.slope(contracting.layers[1].at(trace.h[1]).a)
    through = (own * slopes) @ g1.linear.weight.T
    np.testing.assert_allclose(parts.reconstruction[1], own, atol=1e-10)
    np.testing.assert_allclose(parts.reconstruction[0], g1.at(trace.h[2]).h - trace.h[1] + through, atol=1e-10)
    assert np.linalg.norm(own) > 0.1
    for error in decompose(dtp_ai(), contracting, maps, Minibatch(trace, dh)).reconstruction:
        np.testing.assert_array_equal(error, 0)


def test_activations_without_an_inverse_on_the_whole_line_are_refused():
    with pytest.raises(ConfigError, match="Layer 2 cannot be inverted: Tanh"):
        inverse_maps(mlp((3, 4, 4, 2), Tanh(), key=jax.random.key(0)))
