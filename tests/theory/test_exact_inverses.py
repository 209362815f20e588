"""TP, ITP and GAIT-prop through exact inverses against backpropagation: Ahmad, van Gerven and
Ambrogioni 2020, equations (8) to (21), and Meulemans 2019, Theorem 4.1. Matrices are dense and in
double precision.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targetprop.errors import ConfigError
from targetprop.feedback.inverses import LUSolve
from targetprop.losses import LossOnFirstUnits, SoftmaxCrossEntropy, SquaredError
from targetprop.networks.activations import Identity, LeakyReLU, Softplus, Tanh
from targetprop.networks.initializers import orthogonal
from targetprop.networks.invertible import invertible_mlp
from targetprop.networks.network import mlp
from targetprop.rules import ITP, Backprop, GAITProp, TargetPropExact
from targetprop.rules.contract import Minibatch, output_update
from targetprop.rules.updates import local_gradients
from theory.smooth import Arsinh

WIDTH, BATCH = 6, 4


def net(depth=4, activation=None, initializer=None, seed=0):
    """A network of square layers, with biases; random weights unless an initializer is given."""
    made = invertible_mlp(
        (WIDTH,) * (depth + 1), activation or Tanh(), initializer=initializer, key=jax.random.key(seed), dtype=jnp.float64
    )
    biases = list(0.1 * np.random.default_rng(seed).normal(size=(depth, WIDTH)))
    return eqx.tree_at(lambda n: [layer.bias for layer in n.layers], made, [jnp.asarray(b) for b in biases])


def batch(seed=1):
    numbers = np.random.default_rng(seed)
    return jnp.asarray(numbers.normal(size=(BATCH, WIDTH))), jnp.asarray(numbers.normal(size=(BATCH, WIDTH)))


@eqx.filter_jit
def ask(rule, network, x, y, stepsize=1.0, loss=None):
    """The trace, the target updates and the local gradients of the weights."""
    trace = network.trace(x)
    dh = output_update(loss or SquaredError(), trace.output, y, stepsize)
    updates = rule.target_updates(network, rule.init(network, key=jax.random.key(0)), Minibatch(trace, dh))
    gradients = local_gradients(network, trace, updates)
    return trace, updates, weights_of(gradients)


def weights_of(network):
    """The weights of all layers, of the dense part of those with auxiliary units below."""
    return [getattr(layer, "dense", layer).weight for layer in network.layers]


def slopes(network, trace):
    """`A_l` of each layer and sample, `(batch, n, n)`."""
    return [
        np.einsum("bi,ij->bij", layer.activation.slope(point.a), np.eye(WIDTH))
        for layer, point in zip(network.layers, trace.points, strict=True)
    ]


def product(factors):
    result = np.eye(WIDTH)
    for factor in factors:
        result = result @ factor
    return result


def distance(got, expected):
    return float(np.linalg.norm(np.asarray(got) - expected) / np.linalg.norm(expected))


EXACT = {"inverse": LUSolve()}


def test_equation_8_bp_is_f_transposed_f_times_tp_in_linear_networks():
    network, (x, y) = net(activation=Identity()), batch()
    _, _, tp = ask(TargetPropExact(**EXACT), network, x, y)
    _, _, bp = ask(Backprop(), network, x, y)
    weights = [np.asarray(layer.weight) for layer in network.layers]
    for i in range(4):
        f = product(weights[:i:-1])  # W_L .. W_{l+1}
        np.testing.assert_allclose(f.T @ f @ tp[i], bp[i], rtol=1e-9, atol=1e-12)
        assert i == 3 or distance(tp[i], bp[i]) > 0.1


def test_tp_is_bp_in_linear_networks_with_orthogonal_weights():
    network, (x, y) = net(activation=Identity(), initializer=orthogonal()), batch()
    _, tp, _ = ask(TargetPropExact(**EXACT), network, x, y)
    _, bp, _ = ask(Backprop(), network, x, y)
    for ours, theirs in zip(tp, bp, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)


def connection(rule, network, trace):
    """`M` of (15) or `N` of (20) at each layer and sample, without the powers of gamma, which our
    updates are free of.
    """
    a = slopes(network, trace)
    w = [np.asarray(layer.weight) for layer in network.layers]
    down = [np.swapaxes(a_j @ w_j, -1, -2) for a_j, w_j in zip(a, w, strict=True)]  # W_j^T A_j
    up = [(np.linalg.inv(a_j) if isinstance(rule, GAITProp) else a_j) @ w_j for a_j, w_j in zip(a, w, strict=True)]
    return [a[i] @ product(down[i + 1 :]) @ product(up[:i:-1]) @ np.linalg.inv(a[i]) for i in range(len(w))]


@pytest.mark.parametrize("orthonormal", [False, True], ids=["random", "orthogonal"])
@pytest.mark.parametrize("rule", [ITP(None, **EXACT), GAITProp(None, **EXACT)], ids=["itp", "gait"])
def test_equations_14_15_and_19_20_connect_with_bp(rule, orthonormal):
    """In the limit, the local error of BP is M (of ITP) or N (of GAIT) times ours, sample by
    sample; (8) in nonlinear networks.
    """
    network, (x, y) = net(initializer=orthogonal() if orthonormal else None), batch()
    trace, ours, _ = ask(rule, network, x, y)
    _, bp, _ = ask(Backprop(), network, x, y)
    matrices = connection(rule, network, trace)
    for a, matrix, own, theirs in zip(slopes(network, trace), matrices, ours, bp, strict=True):
        local = np.einsum("bij,bj->bi", matrix @ a, own)
        np.testing.assert_allclose(local, np.einsum("bij,bj->bi", a, theirs), rtol=1e-8, atol=1e-11)
    identity = max(np.abs(matrix - np.eye(WIDTH)).max() for matrix in matrices[:-1])
    assert (identity < 1e-12) == (orthonormal and isinstance(rule, GAITProp))


@pytest.mark.parametrize("depth", [2, 5, 8])
def test_equation_21_gait_is_bp_with_orthogonal_weights_as_gamma_falls(depth):
    """In a nonlinear network, in every layer: the limit is BP, and what is missing falls in
    proportion to gamma.
    """
    network, (x, y) = net(depth, Arsinh(), orthogonal()), batch()
    _, bp, _ = ask(Backprop(), network, x, y)
    gammas = 10.0 ** -np.arange(2, 6)
    rules = [eqx.tree_at(lambda rule: rule.gamma, GAITProp(**EXACT), jnp.asarray(gamma)) for gamma in gammas]
    found = [ask(rule, network, x, y)[1] for rule in rules]
    limit = ask(GAITProp(None, **EXACT), network, x, y)[1]
    for layer in range(depth - 1):
        errors = [distance(updates[layer], bp[layer]) for updates in found]
        assert np.polyfit(np.log(gammas), np.log(errors), 1)[0] == pytest.approx(1, abs=0.1)
        assert distance(limit[layer], bp[layer]) < 1e-12


@pytest.mark.parametrize(
    "activation", [Softplus(), Tanh(), LeakyReLU(0.1)], ids=lambda activation: type(activation).__name__
)
def test_the_limit_is_bp_for_bounded_activations_and_other_losses_too(activation):
    """The target of the output is `h_L - dl/dh_L` for any loss; auxiliary outputs and auxiliary
    units get no signal.
    """
    network = invertible_mlp((7, 6, 6, 4, 4), activation, initializer=orthogonal(), key=jax.random.key(0), dtype=jnp.float64)
    x, labels = jnp.asarray(np.random.default_rng(1).normal(size=(5, 7))), jnp.array([0, 2, 1, 0, 1])
    loss = LossOnFirstUnits(SoftmaxCrossEntropy(), 3)
    _, own, gradients = ask(GAITProp(None, **EXACT), network, x, labels, loss=loss)
    _, bp, _ = ask(Backprop(), network, x, labels, loss=loss)
    for ours, theirs in zip(own, bp, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-14)
    np.testing.assert_array_equal(own[3][:, 3:], 0)
    np.testing.assert_array_equal(own[1][:, 4:], 0)
    np.testing.assert_array_equal(gradients[1][4:], 0)
    expected = jax.grad(lambda net: jnp.mean(loss.value(net(x), labels)))(network)
    for ours, layer in zip(gradients, weights_of(expected), strict=True):
        np.testing.assert_allclose(ours, layer, rtol=1e-9, atol=1e-14)


def test_equation_22_targets_are_those_of_the_augmented_inverse():
    """The literal targets of a network of shrinking width, auxiliary units copied, give the same
    updates.
    """
    network = invertible_mlp((7, 6, 5, 3), Arsinh(), key=jax.random.key(3), dtype=jnp.float64)
    numbers = np.random.default_rng(1)
    x, y = jnp.asarray(numbers.normal(size=(5, 7))), jnp.asarray(numbers.normal(size=(5, 3)))
    gamma = (0.3, 0.2)
    trace, own, _ = ask(GAITProp(gamma, **EXACT), network, x, y)
    for ours, theirs in zip(own, literal(network, trace, y, gamma), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def literal(network, trace, y, gamma):
    """Algorithm 1 as printed, in absolute targets, with the powers of gamma of (21)."""
    target, scale = y, 1.0
    updates = [target - trace.output]
    for i in range(network.depth - 1, 0, -1):
        dense, point = getattr(network.layers[i], "dense", network.layers[i]), trace.points[i]
        share = gamma[i - 1] * dense.activation.slope(point.a) ** 2
        mixed = (1 - share) * point.h + share * target
        inverse = jnp.linalg.solve(dense.weight, (dense.activation.inverse(mixed) - dense.bias).T).T
        target = jnp.concatenate([inverse, point.x[:, inverse.shape[1] :]], axis=1)
        scale = scale * gamma[i - 1]
        updates.append((target - point.x) / scale)
    return updates[::-1]


def test_with_random_weights_gait_is_not_bp():
    network, (x, y) = net(), batch()
    _, own, _ = ask(GAITProp(None, **EXACT), network, x, y)
    _, bp, _ = ask(Backprop(), network, x, y)
    assert min(distance(a, b) for a, b in zip(own[:-1], bp[:-1], strict=True)) > 0.1


def test_float32_and_a_small_gamma_lose_nothing():
    """5 orthogonal layers of 128 leaky ReLUs, gamma 1e-3: every layer's update is parallel to
    BP's. The literal form, which divides differences of nearly equal numbers by 1e-3 to 1e-12, is
    noise in the lower layers.
    """
    width = 128
    network = invertible_mlp(
        (width,) * 6, LeakyReLU(0.1), initializer=orthogonal(), key=jax.random.key(0), dtype=jnp.float32
    )
    numbers = np.random.default_rng(0)
    x = jnp.asarray(numbers.random((16, width)), jnp.float32)
    y = jax.nn.one_hot(jnp.asarray(numbers.integers(0, 10, 16)), width, dtype=jnp.float32)
    y = y.at[:, 10:].set(network(x)[:, 10:])
    trace, own, _ = ask(GAITProp(1e-3, **EXACT), network, x, y)
    _, bp, _ = ask(Backprop(), network, x, y)
    assert {dh.dtype for dh in own} == {jnp.dtype(jnp.float32)}
    ours, theirs, printed = (
        [np.asarray(layer.weight, np.float64).ravel() for layer in local_gradients(network, trace, updates).layers]
        for updates in (own, bp, literal(network, trace, y, (1e-3,) * 4))
    )
    assert min(cosines(ours, theirs)) >= 0.9999
    assert max(cosines(printed, theirs)[:3]) < 0.7


def cosines(some, others):
    return [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(some, others, strict=True)]


# --- Meulemans 2019, Theorem 4.1 ------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_targets_through_exact_inverses_descend(seed):
    """For a vanishing stepsize, the target update of any layer has the inner product `||dh_L||^2 >
    0` with BP's, whatever the weights: `(J^{-1} v) . (J^T v) = v . v`. With linear layers, so have
    the weight updates of a sample a positive one.
    """
    numbers = np.random.default_rng(seed)
    x, y = jnp.asarray(numbers.normal(size=(BATCH, WIDTH))), jnp.asarray(numbers.normal(size=(BATCH, WIDTH)))
    network = net(seed=seed)
    _, own, _ = ask(ITP(None, **EXACT), network, x, y)
    _, bp, _ = ask(Backprop(), network, x, y)
    for ours, theirs in zip(own, bp, strict=True):
        np.testing.assert_allclose(np.sum(ours * theirs, axis=1), np.sum(own[-1] ** 2, axis=1), rtol=1e-5)


def test_theorem_4_1_fails_for_unequal_slopes():
    """With slopes `D` of layer 1, the inner product of the weight updates is `||x||^2 v^T J D^2
    J^{-1} v`, which may be negative.
    """
    made = mlp((2, 2, 2), LeakyReLU(0.1), bias=False, key=jax.random.key(0), dtype=jnp.float64)
    weights = [jnp.eye(2), jnp.array([[1.0, 3.0], [0.0, 1.0]])]
    network = eqx.tree_at(lambda n: [layer.weight for layer in n.layers], made, weights)
    x = jnp.array([[1.0, -1.0]])  # slopes 1 and 0.1
    y = network(x) + jnp.array([[1e-6, 1e-6]])  # a vanishing displacement
    _, _, tp = ask(TargetPropExact(**EXACT), network, x, y)
    _, _, bp = ask(Backprop(), network, x, y)
    v, j, d = np.array([1e-6, 1e-6]), np.asarray(weights[1]), np.diag([1.0, 0.1])
    expected = float(x[0] @ x[0]) * v @ j @ d**2 @ np.linalg.inv(j) @ v
    assert np.sum(tp[0] * bp[0]) == pytest.approx(expected, rel=1e-6)
    assert expected < 0


def test_a_gamma_for_each_layer_must_be_complete():
    network, (x, y) = net(activation=Identity()), batch()
    with pytest.raises(ConfigError, match=r"2 numbers for 3 layers"):
        ask(ITP((0.1, 0.1), **EXACT), network, x, y)
    with pytest.raises(ConfigError, match=r"Layer 2 .* Tanh takes values in a part"):
        ask(ITP(0.1, **EXACT), net(), x, y)
