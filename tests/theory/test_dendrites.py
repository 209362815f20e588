"""Networks with segregated dendrites: Meulemans 2019, chapter 6."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.dynamics.circuit import Circuit, Gains
from targetprop.dynamics.equilibria import Newton, Sweeps
from targetprop.dynamics.targets import MovingTarget
from targetprop.feedback.inverses import LUSolve
from targetprop.feedback.learners import NoLearning
from targetprop.feedback.mappings import ExactInverses, Layerwise
from targetprop.feedback.reconstruction import activity_reconstruction
from targetprop.losses import SoftmaxCrossEntropy, SquaredError
from targetprop.networks.activations import Identity, Tanh
from targetprop.networks.layers import Dense, evaluate, parameters
from targetprop.networks.network import Network, mlp
from targetprop.rules import ITP, SinglePhase, TwoPhase
from targetprop.rules.contract import Minibatch
from theory.smooth import Arsinh

KEY = jax.random.key(5)
SQUARE, ANY = (4, 3, 3, 3, 3), (5, 4, 6, 4, 3)
L = 4
EXACT = Sweeps(1e-10, 200)


class Case(NamedTuple):
    network: Network
    maps: tuple
    x: jax.Array
    dh: jax.Array


def square(activation=None):
    """A network of square layers, its exact inverses as plain functions of the activity, and a
    batch.
    """
    network = mlp(SQUARE, (activation or Arsinh(), activation or Arsinh()), key=KEY)
    maps = tuple(_inverse(layer) for layer in network.layers[1:])
    return Case(network, maps, *_batch(SQUARE))


def _inverse(layer):
    return lambda h: (layer.activation.inverse(h) - layer.bias) @ jnp.linalg.inv(layer.weight).T


def trained(activation=None, feedback_activation=None):
    """A network of any widths with random feedback, far from an inverse, and a batch."""
    network = mlp(ANY, (activation or Tanh(), activation or Identity()), key=KEY)
    maps = Layerwise(feedback_activation or Tanh()).init(network, key=jax.random.key(6))
    return Case(network, maps, *_batch(ANY))


def _batch(sizes):
    numbers = np.random.default_rng(2)
    return jnp.asarray(numbers.normal(size=(3, sizes[0]))), jnp.asarray(numbers.normal(size=(3, sizes[-1])))


def plain(g):
    return g if callable(g) and not isinstance(g, eqx.Module) else lambda h: g.at(h).h


def unrest(case, mu, h, target):
    """How far activities `h_0 .. h_L` are from equation (6.5), layer by layer."""
    f = [evaluate(layer, below).h for layer, below in zip(case.network.layers, h[:-1], strict=True)]
    g = [*(plain(map)(above) for map, above in zip(case.maps, h[2:], strict=True)), target]
    return [np.linalg.norm((1 - mu) * a + mu * b - x) for a, b, x in zip(f, g, h[1:], strict=True)]


def settled(case, rule, dh):
    """Activities `h_0 .. h_L` at rest, free and with a target."""
    feedback = rule.init(case.network, key=KEY) if isinstance(rule.mappings, ExactInverses) else case.maps
    rest = rule.equilibrium(case.network, feedback, case.network.trace(case.x))
    return rest, rule.with_target(case.network, feedback, Minibatch(rest, dh))


def exact_rule(mu, kind=SinglePhase, solver=EXACT):
    return kind(mu, ExactInverses(LUSolve()), NoLearning(), solver)


def jacobians(functions, points):
    """Per sample, the Jacobian of each function at its point."""
    return [jax.vmap(jax.jacfwd(lambda h, f=f: f(h[None])[0]))(h) for f, h in zip(functions, points, strict=True)]


def times(matrices, v):
    """The product of a chain of matrices with a vector, per sample; the last matrix acts first."""
    for matrix in reversed(matrices):
        v = jnp.einsum("bij,bj->bi", matrix, v)
    return v


def size(x):
    return float(jnp.linalg.norm(x))


@pytest.mark.parametrize("solver", [EXACT, Newton(1e-10, 40)], ids=["sweeps", "newton"])
@pytest.mark.parametrize("mu", [0.05, 0.3])
def test_fixed_points_satisfy_6_5(mu, solver):
    for case, rule in ((square(), exact_rule(mu, solver=solver)), (trained(), SinglePhase(mu, Layerwise(), solver=solver))):
        dh = 0.1 * case.dh
        rest, taught = settled(case, rule, dh)
        assert max(unrest(case, mu, rest.h, rest.output)) < 1e-10
        h = (case.x, *taught.activities)
        assert max(unrest(case, mu, h, h[-1] + dh)) < 1e-10


def test_without_a_target_exact_inverses_leave_the_forward_pass_in_place():
    """Section 6.4: by recursion, the activity of every layer is then the forward prediction
    alone.
    """
    case = square()
    forward = case.network.trace(case.x)
    assert max(unrest(case, 0.2, forward.h, forward.output)) < 1e-12
    rest, taught = settled(case, exact_rule(0.2), jnp.zeros_like(case.dh))
    for h, own, moved in zip(forward.h, rest.h, (case.x, *taught.activities), strict=True):
        np.testing.assert_array_equal(own, h)
        np.testing.assert_array_equal(moved, h)


@pytest.mark.parametrize("loss", [SquaredError(), SoftmaxCrossEntropy()], ids=["squared", "cross-entropy"])
def test_output_at_rest_with_a_target_that_follows_it(loss):
    """(6.12), with the error taken where the output has come to: `h_L = f_L(h_{L-1}) - rho
    stepsize e_L(h_L)`.
    """
    case, mu, stepsize = trained(), 0.2, 0.5
    target = jnp.array([0, 2, 1]) if isinstance(loss, SoftmaxCrossEntropy) else case.dh
    forward = case.network.trace(case.x)
    circuit = Circuit(case.network, case.maps, Gains.mixing(mu), 0.0)
    rest = circuit.at_rest(forward, EXACT.find(circuit.free(forward)).displacements)
    motion = circuit.with_target(rest, MovingTarget(loss, target, stepsize))
    h = [h + d for h, d in zip(motion.h, EXACT.find(motion).displacements, strict=True)]
    expected = case.network.layers[-1].at(h[-2]).h - mu / (1 - mu) * stepsize * loss.error(h[-1], target)
    np.testing.assert_allclose(h[-1], expected, atol=1e-11)


def test_exact_inverses_make_incremental_targets():
    """(6.9) and (6.13) hold without approximation as `r_i = rho [f_{i+1}^{-1}(f_{i+1}(h_i) +
    r_{i+1}) - h_i]` for `r_i = h_i - f_i(h_{i-1})`: incremental target propagation with `gamma =
    rho`, at the activities with a target.
    """
    case, mu = square(), 0.3
    rho, dh = mu / (1 - mu), 0.2 * case.dh
    _, taught = settled(case, exact_rule(mu), dh)
    h = (case.x, *taught.activities)
    f = [layer.at(below).h for layer, below in zip(case.network.layers, h[:-1], strict=True)]
    r = [own - predicted for own, predicted in zip(h[1:], f, strict=True)]
    np.testing.assert_allclose(r[-1], rho * dh, rtol=1e-8)
    for i in range(L - 1):
        np.testing.assert_allclose(r[i], rho * (case.maps[i](f[i + 1] + r[i + 1]) - h[i + 1]), rtol=1e-8, atol=1e-12)


def test_the_single_phase_rule_tends_to_itp():
    case, errors = square(), []
    for mu in (0.02, 0.01):
        rule = exact_rule(mu)
        itp = ITP(mu / (1 - mu), LUSolve())
        forward = case.network.trace(case.x)
        expected = itp.target_updates(case.network, itp.init(case.network, key=KEY), Minibatch(forward, case.dh))
        got = rule.target_updates(case.network, rule.init(case.network, key=KEY), Minibatch(forward, case.dh))
        errors.append([size(a - b) / size(b) for a, b in zip(got[:-1], expected[:-1], strict=True)])
    assert np.all(np.array(errors[1]) < 0.05)
    np.testing.assert_allclose(np.divide(*errors), 4, rtol=0.15)  # second order: so far do hidden activities move


@pytest.mark.parametrize("equation", ["6.9", "6.15"])
def test_orders_of_the_expansion_with_exact_inverses(equation):
    """(6.9) errs by third order in mu at layer L-1 (its Taylor expansion of `g` is to first order
    in a step of `mu^2`, and the signal itself is of second), (6.14) to (6.16) by one order of mu
    more than the signal.
    """
    case, errors = square(), []
    layers = [lambda x, layer=layer: layer.at(x).h for layer in case.network.layers[1:]]
    for mu in (0.02, 0.01):
        rho = mu / (1 - mu)
        _, taught = settled(case, exact_rule(mu), case.dh)
        h = (case.x, *taught.activities)
        f = [layer.at(below).h for layer, below in zip(case.network.layers, h[:-1], strict=True)]
        r = [own - predicted for own, predicted in zip(h[1:], f, strict=True)]
        inverses = [jnp.linalg.inv(j) for j in jacobians(layers, h[1:-1])]
        if equation == "6.9":
            above = [*(g(x) for g, x in zip(case.maps[1:], h[3:], strict=True)), h[-1] + case.dh]
            predicted = [mu**2 / (1 - mu) * times([inverses[i]], above[i] - f[i + 1]) for i in range(L - 1)]
        else:
            predicted = [rho ** (L - i) * times(inverses[i:], case.dh) for i in range(L - 1)]
        errors.append([size(own - other) / size(own) for own, other in zip(r[:-1], predicted, strict=True)])
    ratios = np.divide(*errors)
    expected = 2.0 ** np.arange(L - 1, 0, -1) if equation == "6.9" else 2.0
    np.testing.assert_allclose(ratios, expected, rtol=0.15)


def reconstruction_errors(case, h):
    """`g_i(f_{i+1}(h_i)) - h_i` for the hidden layers."""
    layers = zip(case.maps, case.network.layers[1:], h[1:-1], strict=True)
    return [plain(g)(layer.at(own).h) - own for g, layer, own in layers]


def test_learned_mappings_gather_reconstruction_errors():
    """(6.22) for linear mappings, where it holds exactly: the product of Jacobians in front of the
    reconstruction error of layer `j` runs over `k = i .. j-1`, and that error is taken at
    `f_{j+1}(h_j)`. As printed, over `k = i+1 .. j` and with `g_j(h_{j+1})`, it does not hold.
    """
    case, mu = trained(feedback_activation=Identity()), 0.2
    rho = mu / (1 - mu)
    _, taught = settled(case, SinglePhase(mu, Layerwise(Identity()), solver=EXACT), case.dh)
    h = (case.x, *taught.activities)
    errors = reconstruction_errors(case, h)
    q = [jnp.broadcast_to(g.dense.weight, (3, *g.dense.weight.shape)) for g in case.maps]
    for i in range(L - 1):
        found = h[i + 1] - case.network.layers[i].at(h[i]).h
        signal = rho ** (L - i) * times(q[i:], case.dh)
        gathered = [rho ** (j + 1 - i) * times(q[i:j], errors[j]) for j in range(i, L - 1)]
        np.testing.assert_allclose(found, signal + sum(gathered), rtol=1e-8, atol=1e-12)
        printed = [case.maps[j].at(h[j + 2]).h - h[j + 1] for j in range(L - 1)]
        at_own_layer = [rho ** (j + 1 - i) * times(q[i:j], printed[j]) for j in range(i, L - 1)]
        if i < L - 2:
            assert size(found - signal - sum(at_own_layer)) > 0.01 * size(found)


def test_reconstruction_errors_outgrow_the_signal_towards_the_input():
    """Section 6.5: they count `rho` times, the signal `rho^(L+1-i)` times."""
    case, shares = trained(), []
    for mu in (0.1, 0.05):
        rule = SinglePhase(mu, Layerwise(), solver=EXACT)
        _, taught = settled(case, rule, case.dh)
        total = rule.signals(taught)
        without = rule.signals(taught._replace(d=jax.tree.map(jnp.zeros_like, taught.d)))
        shares.append([size(error) / size(both - error) for both, error in zip(total[:-1], without[:-1], strict=True)])
    rho = [mu / (1 - mu) for mu in (0.1, 0.05)]
    expected = (rho[0] / rho[1]) ** np.arange(L - 1, 0, -1)
    np.testing.assert_allclose(np.divide(shares[1], shares[0]), expected, rtol=0.15)


def test_the_difference_of_two_phases_cancels_reconstruction_errors():
    """(6.31) to (6.36): the difference tends to the chain of the mappings' Jacobians times `dh_L`,
    however bad the mappings are as inverses, with an error of first order in mu.
    """
    case, errors = trained(), []
    forward = case.network.trace(case.x)
    assert min(map(size, reconstruction_errors(case, forward.h))) > 1
    q = jacobians([lambda h, g=g: g.at(h).h for g in case.maps], forward.h[2:])
    for mu in (0.02, 0.01):
        rule = TwoPhase(mu, Layerwise(), solver=EXACT)
        rest, _ = settled(case, rule, case.dh)
        got = rule.target_updates(case.network, case.maps, Minibatch(rest, case.dh))
        expected = [times(q[i:], case.dh) for i in range(L - 1)]
        errors.append([size(a - b) / size(b) for a, b in zip(got[:-1], expected, strict=True)])
    assert np.all(np.array(errors[1]) < 0.1)
    np.testing.assert_allclose(np.divide(*errors), 2, rtol=0.2)


def test_linear_two_phase_learns_nothing_from_reconstruction_errors():
    """In a linear circuit the difference solves the equations of the circuit without them: it is
    what dense algebra gives for the teaching signal alone, and biases of the feedback, which are
    reconstruction error only, do not move it.
    """
    case, mu = trained(Identity(), Identity()), 0.3
    shifted = eqx.tree_at(lambda maps: [g.dense.bias for g in maps], case.maps, [g.dense.bias + 1.0 for g in case.maps])
    rule = TwoPhase(mu, Layerwise(Identity()), solver=EXACT)
    one, other = (settled(case._replace(maps=maps), rule, case.dh)[1].d for maps in (case.maps, shifted))
    ends = np.cumsum((0, *ANY[1:]))
    circuit = -np.eye(ends[-1])
    for i, (layer, g) in enumerate(zip(case.network.layers[1:], case.maps, strict=True)):
        low, high = slice(ends[i], ends[i + 1]), slice(ends[i + 1], ends[i + 2])
        circuit[high, low] = (1 - mu) * layer.weight
        circuit[low, high] = mu * g.dense.weight
    circuit[high, high] += mu * np.eye(ANY[-1])
    current = np.concatenate([np.zeros((3, ends[-2])), mu * np.asarray(case.dh)], axis=1)
    expected = -np.linalg.solve(circuit, current.T).T
    for i in range(L):
        np.testing.assert_allclose(one[i], expected[:, ends[i] : ends[i + 1]], rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(other[i], one[i], rtol=1e-8, atol=1e-12)


def test_weight_dynamics_at_the_equilibrium():
    """(6.17) and (6.35), with `h^f_i` where the latter is printed with `h^f_{i-1}`: `D_i (h_i -
    ..) h_{i-1}^T`, slopes and inputs taken with the target.
    """
    case, mu = trained(), 0.1
    for kind in (SinglePhase, TwoPhase):
        rule = kind(mu, Layerwise(), solver=EXACT)
        rest, taught = settled(case, rule, case.dh)
        lesson = rule.credit(case.network, case.maps, Minibatch(rest, case.dh, key=KEY))
        h, free = (case.x, *taught.activities), rest.h
        for i, (layer, pullback, dh) in enumerate(
            zip(case.network.layers, lesson.trace.pullbacks, lesson.updates, strict=True)
        ):
            assert isinstance(layer, Dense)
            a = h[i] @ layer.weight.T + layer.bias
            towards = h[i + 1] - (layer.activation(a) if kind is SinglePhase else free[i + 1])
            scale = (mu / (1 - mu)) ** (L - i)
            expected = (layer.activation.slope(a) * towards).T @ h[i] / scale
            np.testing.assert_allclose(pullback(dh)[0].weight, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", [SinglePhase, TwoPhase])
def test_backward_weights_learn_at_the_equilibrium(kind):
    """(6.26) with the target in the single phase, (6.37) in the free one of two: `2 (g_i(h_{i+1})
    - h_i) t'(..) h_{i+1}^T`, averaged over the batch.
    """
    case, rule = trained(), kind(0.1, Layerwise(), solver=EXACT)
    rest, taught = settled(case, rule, case.dh)
    learned = rule.credit(case.network, case.maps, Minibatch(rest, case.dh, key=KEY)).feedback
    h = (case.x, *taught.activities) if kind is SinglePhase else rest.h
    for g, gradient, above, below in zip(case.maps, learned.gradients, h[2:], h[1:-1], strict=True):
        a = above @ g.dense.weight.T + g.dense.bias
        error = 2 * (jnp.tanh(a) - below) * (1 - jnp.tanh(a) ** 2) / 3
        np.testing.assert_allclose(gradient.dense.weight, error.T @ above, rtol=1e-8)
        np.testing.assert_allclose(gradient.dense.bias, error.sum(axis=0), rtol=1e-8)
    asleep = rule.feedback_step(case.network, case.maps, Minibatch(rest, 0 * rest.output, key=KEY))
    expected = activity_reconstruction(case.maps, rest.h[2:], rest.h[1:-1])
    for got, want in zip(jax.tree.leaves(parameters(asleep)), jax.tree.leaves(parameters(expected)), strict=True):
        np.testing.assert_array_equal(got, want)
