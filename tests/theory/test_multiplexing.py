"""Multiplexing: Meulemans 2019, section 6.9, and what stands wrongly there
(docs/papers/thesis2019.md).
"""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.dynamics.equilibria import Integration, Sweeps
from targetprop.dynamics.multiplexing import Multiplex
from targetprop.dynamics.targets import HardTarget, MovingTarget, SoftTarget
from targetprop.dynamics.trajectories import trajectory
from targetprop.feedback.learners import NoLearning
from targetprop.feedback.mappings import ExactInverses, LearnedInverses
from targetprop.feedback.maps import layerwise_maps
from targetprop.feedback.regularizers import WeightDecay
from targetprop.losses import SquaredError
from targetprop.networks.activations import Identity, LeakyReLU, Sigmoid, Tanh
from targetprop.networks.initializers import orthogonal
from targetprop.networks.invertible import invertible_mlp
from targetprop.networks.network import mlp
from targetprop.rules import BurstChannel, TargetPropagation, TargetPropExact
from targetprop.rules.contract import Minibatch
from targetprop.rules.presets import dtp, multiplexing

SIZES = (4, 6, 5, 5, 3)
DEPTH = len(SIZES) - 1
SHORT = (4, 6, 5, 3)  # where it is integrated
KEY = jax.random.key(0)


def numbers(*shape, seed=1, dtype=jnp.float64):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def with_biases(layers, dense=lambda layer: layer):
    """Layers whose biases are not zero."""
    drawn = [numbers(dense(layer).bias.shape[0], seed=i) / 2 for i, layer in enumerate(layers)]
    moved = [eqx.tree_at(lambda part: dense(part).bias, layer, bias) for layer, bias in zip(layers, drawn, strict=True)]
    return tuple(moved)


@functools.cache
def model(activation, feedback_activation, sizes=SIZES):
    """A network and its mappings, with biases."""
    net = mlp(sizes, activation, key=KEY, dtype=jnp.float64)
    net = eqx.tree_at(lambda net: net.layers, net, with_biases(net.layers))
    maps = layerwise_maps(net, feedback_activation, key=jax.random.key(1))
    return net, with_biases(maps, lambda g: g.dense)


def single(tree):
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, tree)


def arrays(layers):
    """Weights, biases and nonlinearities as NumPy has them."""
    plain = {Identity: lambda a: a, Tanh: np.tanh, Sigmoid: lambda a: 1 / (1 + np.exp(-a))}
    return [(np.asarray(d.weight), np.asarray(d.bias), plain[type(d.activation)]) for d in layers]


def assert_close(one, other, rtol=1e-12):
    one, other = np.asarray(one), np.asarray(other)
    assert np.linalg.norm(one - other) <= rtol * np.linalg.norm(other)


def relative(one, other):
    return np.linalg.norm(np.asarray(one) - np.asarray(other)) / np.linalg.norm(other)


@eqx.filter_jit
def rest(net, maps, x, output_target=None):
    """Both signals at rest: of the free phase from silence, or of the learning phase with a
    target.
    """
    model_ = Multiplex(net, maps)
    motion = model_.free(x) if output_target is None else model_.with_target(net.trace(x), output_target)
    return motion.signals(motion.rest())


@eqx.filter_jit
def target_updates(rule, net, feedback, x, dh):
    return rule.target_updates(net, feedback, Minibatch(net.trace(x), dh))


SYSTEMS = pytest.mark.parametrize(
    ("activation", "feedback_activation"),
    [(Tanh(), Tanh()), (Sigmoid(), Sigmoid())],
    ids=["tanh", "rates and probabilities"],
)

# --- where it rests -------------------------------------------------------------------------------------------------


@SYSTEMS
def test_the_closed_form_is_the_chain_of_both_mappings(activation, feedback_activation):
    """(6.47) to (6.50) in NumPy, from silence (where sigmoids fire at 1/2), under each output
    target.
    """
    net, maps = model(activation, feedback_activation)
    x, y = numbers(3, SIZES[0]), numbers(3, SIZES[-1], seed=2)
    h = [np.asarray(x)]
    for weight, bias, s in arrays(net.layers):
        h.append(s(h[-1] @ weight.T + bias))

    def chain(top):
        p = [top]
        for weight, bias, t in reversed(arrays([g.dense for g in maps])):
            p.append(t(p[-1] @ weight.T + bias))
        return p[::-1]

    rates, bursts = rest(net, maps, x)
    for found, expected in zip((*rates, *bursts), (*h[1:], *chain(h[-1])), strict=True):
        assert_close(found, expected)
    error = np.asarray(SquaredError().error(jnp.asarray(h[-1]), y))
    for output_target, target in (
        (SoftTarget(jnp.asarray(-0.1 * error)), h[-1] - 0.1 * error),
        (MovingTarget(SquaredError(), y, 0.1), h[-1] - 0.1 * error),
        (HardTarget(y), np.asarray(y)),
    ):
        rates, bursts = rest(net, maps, x, output_target)
        for found, expected in zip((*rates, *bursts), (*h[1:], *chain(target)), strict=True):
            assert_close(found, expected)


def lipschitz(motion):
    """The largest singular value of each compartment's weight; the slopes are 1 at most."""
    weights = [getattr(part.synapses, "dense", part.synapses).weight for part in (*motion.basal, *motion.apical)]
    return [np.linalg.norm(np.asarray(weight, np.float64), 2) for weight in weights]


def bounds(motion, rest, tolerance):
    """How far from the rest a state may be whose velocity is `tolerance` times its displacement:
    `d_i` misses the current of what arrives by the velocity, and that misses the current at rest
    by what the part before does. Per part.
    """
    sizes = [np.linalg.norm(part, axis=1).max() for part in rest]
    norms, depth = lipschitz(motion), len(motion.basal)
    order = [*range(depth), *range(len(rest) - 1, depth - 1, -1)]  # up, then down from the output
    found, before = {}, 0.0
    for index in order:
        before = (tolerance * sizes[index] + norms[index] * before) / (1 - tolerance)
        found[index] = before
    return [found[i] for i in range(len(rest))]


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_integration_ends_at_the_closed_form(dtype):
    net, maps = model(Tanh(), Tanh(), SHORT)
    x, push = numbers(3, SHORT[0]), 1e-6 * numbers(3, SHORT[-1], seed=2)
    tolerance = 1e-8 if dtype == jnp.float64 else 1e-4
    if dtype == jnp.float32:
        net, maps, x, push = single((net, maps, x, push))
    model_ = Multiplex(net, maps)
    find = eqx.filter_jit(Integration(tolerance).find)
    for motion in (model_.free(x), model_.with_target(net.trace(x), SoftTarget(push))):
        found = find(motion)
        rest = motion.rest()
        assert np.all(found.reached)
        assert {part.dtype for part in found.d} == {jnp.dtype(dtype)}
        for part, expected, bound in zip(found.d, rest, bounds(motion, rest, tolerance), strict=True):
            assert np.linalg.norm(part - expected, axis=1).max() <= bound
    assert all(np.all(part == 0) for part in found.d[: len(SHORT) - 1]), "the target does not reach the event rates"


def test_a_target_next_to_the_output_is_not_lost_in_float32():
    """1e-6 of the output is four bits of float32; the updates have all of their digits."""
    net, maps = model(Tanh(), Tanh())
    x, push = numbers(3, SIZES[0]), 1e-6 * numbers(3, SIZES[-1], seed=2)
    expected = multiplexing().target_updates(net, maps, Minibatch(net.trace(x), push))
    net, maps, x, push = single((net, maps, x, push))
    motion = Multiplex(net, maps).with_target(net.trace(x), SoftTarget(push))
    for dh, exact in zip(motion.changes(motion.rest()).burst_probabilities, expected, strict=True):
        assert relative(dh, exact) < 1e-5


def test_sweeps_find_it_at_once():
    net, maps = model(Tanh(), Tanh())
    motion = Multiplex(net, maps).free(numbers(3, SIZES[0]))
    found = Sweeps(1e-10, steps=2).find(motion)
    assert np.all(found.reached)
    for part, expected in zip(found.d, motion.rest(), strict=True):
        assert_close(part, expected)


# --- how it gets there ----------------------------------------------------------------------------------------------


def gamma(n, t):
    """The response of `n` filters in a row to a step: `1 - exp(-t) sum_{k<n} t^k / k!`."""
    return 1 - np.exp(-t) * sum(t**k / math.factorial(k) for k in range(n))


def test_linear_channels_are_chains_of_filters():
    """From silence a layer's event rate has passed `i` filters, its burst probability `2 L - i`;
    after the target has stepped, `L - i`.
    """
    net = mlp(SHORT, Identity(), bias=False, key=KEY, dtype=jnp.float64)
    maps = layerwise_maps(net, Identity(), key=jax.random.key(1))
    x, times = numbers(2, SHORT[0]), jnp.array([0.5, 2.0, 6.0])
    model_ = Multiplex(net, maps)
    learning = model_.with_target(net.trace(x), SoftTarget(numbers(2, SHORT[-1], seed=2)))
    follow = eqx.filter_jit(functools.partial(trajectory, tolerance=1e-9))
    for motion, passed in ((model_.free(x), (1, 2, 3, 5, 4)), (learning, (1, 2, 3, 2, 1))):
        path, rest = follow(motion, times), motion.rest()
        for part, end, n in zip(path, rest, passed, strict=True):
            share = gamma(n, np.asarray(times))[:, None, None]
            np.testing.assert_allclose(part, share * np.asarray(end), rtol=0, atol=1e-7 * np.abs(end).max())


# --- Taylor expansions ----------------------------------------------------------------------------------------------


@eqx.filter_jit
def expanded(net, maps, x, errors, stepsize, output_error):
    trace = net.trace(x)
    h = trace.h
    maps = tuple(
        eqx.tree_at(lambda g: g.dense.bias, g, (jnp.arctanh(below + r) - above @ g.dense.weight.T)[0])
        for g, r, below, above in zip(maps, errors, h[1:-1], h[2:], strict=True)
    )
    free = Multiplex(net, maps).with_target(trace, SoftTarget(0 * output_error))
    learning = Multiplex(net, maps).with_target(trace, SoftTarget(-stepsize * output_error))
    updates = multiplexing().target_updates(net, maps, Minibatch(trace, -stepsize * output_error))
    jacobians = [jax.jacfwd(lambda x, g=g: g.at(x[None]).h[0])(x[0]) for g, x in zip(maps, h[2:], strict=True)]
    changes = learning.changes(learning.rest())
    signals = [motion.signals(motion.rest()).burst_probabilities for motion in (free, learning)]
    return h, *signals, changes.burst_probabilities, updates, jacobians


class Expansion:
    """Mappings `g_i = tanh(Q_i h + c_i)` with `g_i(h_{i+1}) = h_i + error r_i` on one sample, of
    any Jacobian: `c_i` sees to it. So reconstruction errors can be made as small as one likes, and
    nothing else changes to zeroth order.
    """

    def __init__(self, error: float, stepsize: float):
        self.output_error = numbers(1, SIZES[-1], seed=3)
        self.errors = [error * numbers(1, n, seed=10 + i) for i, n in enumerate(SIZES[1:-1])]
        known = numbers(1, SIZES[0]), self.errors, jnp.asarray(stepsize), self.output_error
        found = expanded(*model(Tanh(), Tanh()), *known)
        self.h, self.free, self.learning, self.changes, self.updates, self.jacobians = found

    def product(self, i, j):
        """`J_{g_i} .. J_{g_{j-1}}`."""
        return functools.reduce(np.matmul, map(np.asarray, self.jacobians[i - 1 : j - 1]), np.eye(SIZES[i]))

    def reconstruction(self, i):
        """The second and third terms of (6.53)."""
        return sum(np.asarray(self.errors[j - 1])[0] @ self.product(i, j).T for j in range(i, DEPTH))

    def signal(self, i):
        """`J_{g_i} .. J_{g_{L-1}} e_L`."""
        return np.asarray(self.output_error)[0] @ self.product(i, DEPTH).T


def order(error):
    """By which power of the scale an error falls, from two scales."""
    coarse, fine = error(2e-3), error(1e-3)
    return np.log2(coarse / fine)


@pytest.mark.parametrize("i", [1, 2, 3])
def test_equations_6_53_and_6_57_to_second_order(i):
    """The burst probabilities, with reconstruction errors and stepsize shrinking together."""

    def missed(scale, learning):
        at = Expansion(scale, scale if learning else 0.0)
        expected = at.h[i][0] + at.reconstruction(i) - (scale * at.signal(i) if learning else 0)
        found = (at.learning if learning else at.free)[i - 1][0]
        return np.linalg.norm(found - expected)

    for learning in (False, True) if i < DEPTH - 1 else (True,):  # (6.52) is exact
        assert order(lambda scale, learning=learning: missed(scale, learning)) == pytest.approx(2, abs=0.1)
    first = Expansion(1e-3, 0.0)
    assert missed(1e-3, True) < 0.1 * np.linalg.norm(first.reconstruction(i))


def test_equation_6_56_has_a_minus():
    """Printed: `h_{L-1} + (g_{L-1}(h_L) - h_{L-1}) + stepsize J e_L`; that misses by twice the
    signal, the other sign by its square.
    """
    i, stepsize = DEPTH - 1, 1e-3
    at = Expansion(1e-3, stepsize)
    reconstructed = at.h[i][0] + at.errors[i - 1][0]
    found, signal = at.learning[i - 1][0], stepsize * at.signal(i)
    assert np.linalg.norm(found - (reconstructed - signal)) < 1e-2 * np.linalg.norm(signal)
    assert relative(found - (reconstructed + signal), -2 * signal) < 1e-2


@pytest.mark.parametrize("i", [1, 2])
def test_reconstruction_errors_cancel_to_first_order(i):
    """(6.59): with steps that vanish, the update per step misses `-J .. J e_L` by the order of the
    reconstruction errors, through the Jacobians alone. Without the difference, reconstruction
    errors fill it.
    """

    def missed(error):
        at = Expansion(error, 1e-6)
        return relative(at.changes[i - 1][0], -1e-6 * at.signal(i))

    assert order(missed) == pytest.approx(1, abs=0.1)
    at = Expansion(1e-3, 1e-6)
    assert missed(1e-3) < 1e-2
    plain = at.learning[i - 1][0] - at.h[i][0]
    assert np.linalg.norm(plain) > 100 * np.linalg.norm(1e-6 * at.signal(i))


def test_the_printed_index_of_6_58_fits_no_layer():
    """`ĥ^f_{i-1}` has the width of another layer; the difference of the phases in layer `i` is the
    rule.
    """
    at = Expansion(0.1, 0.05)
    assert at.free[0].shape != at.learning[1].shape
    for dh, learning, free in zip(at.updates, at.learning, at.free, strict=True):
        assert_close(dh, learning - free)


# --- among the other rules ------------------------------------------------------------------------------------------


def test_with_linear_mappings_it_is_difference_target_propagation():
    net, _ = model(Tanh(), Tanh())
    x, dh = numbers(3, SIZES[0]), numbers(3, SIZES[-1], seed=2)

    def both(activation):
        rules = multiplexing(feedback_activation=activation), dtp(feedback_activation=activation)
        return [target_updates(rule, net, rule.init(net, key=KEY), x, dh) for rule in rules]

    for one, other in zip(*both(Identity()), strict=True):
        np.testing.assert_array_equal(one, other)
    ours, theirs = both(Tanh())  # evaluated elsewhere, from the second mapping on
    np.testing.assert_array_equal(ours[-2], theirs[-2])
    assert relative(ours[0], theirs[0]) > 1e-3


def test_with_exact_inverses_it_is_target_propagation():
    """Where there are no reconstruction errors; with auxiliary units, and for learned inverses at
    the pseudo-inverse of square layers too.
    """
    for sizes, backwards in (((7, 6, 4, 3), (ExactInverses(),)), ((4, 5, 5, 5), (LearnedInverses(),))):
        net = invertible_mlp(sizes, LeakyReLU(0.3), initializer=orthogonal(), key=KEY)
        x, dh = numbers(3, sizes[0]), 0.1 * numbers(3, sizes[-1], seed=2)
        rules = [TargetPropExact(), *(TargetPropagation(mappings, BurstChannel(), NoLearning()) for mappings in backwards)]
        expected, *found = (target_updates(rule, net, rule.init(net, key=KEY), x, dh) for rule in rules)
        for updates in found:
            for one, other in zip(updates, expected, strict=True):
                assert_close(one, other, 1e-10)


# --- what the mappings learn ----------------------------------------------------------------------------------------


def test_each_mapping_learns_to_match_event_rates_by_itself():
    net, maps = model(Sigmoid(), Sigmoid())
    trace = net.trace(numbers(3, SIZES[0]))
    rule = multiplexing(WeightDecay(0.01), Sigmoid())
    step = eqx.filter_jit(rule.feedback_step)(net, maps, Minibatch(trace, 0 * trace.output, key=KEY))

    def losses(own, others):
        """Of all mappings; what comes from above passes the `others`."""
        p, found = trace.output, []
        for (q, c), (q_above, c_above), h in zip(reversed(own), reversed(others), reversed(trace.h[1:-1]), strict=True):
            missed = jax.nn.sigmoid(p @ q.T + c) - h
            found.append(jnp.mean(jnp.sum(missed**2, axis=1)) + 0.01 * (jnp.sum(q**2) + jnp.sum(c**2)))
            p = jax.nn.sigmoid(p @ q_above.T + c_above)
        return jnp.stack(found[::-1])

    weights = [(g.dense.weight, g.dense.bias) for g in maps]
    np.testing.assert_allclose(step.losses, losses(weights, weights), rtol=1e-12)
    gradients = jax.jit(jax.grad(lambda own: jnp.sum(losses(own, weights))))(weights)
    for found, (q, c) in zip(step.gradients, gradients, strict=True):
        assert_close(found.dense.weight, q)
        assert_close(found.dense.bias, c)


def test_exact_inverses_learn_nothing():
    net = invertible_mlp((4, 5, 5, 5), LeakyReLU(0.3), key=KEY)
    rule = TargetPropagation(ExactInverses(), BurstChannel(), NoLearning())
    trace = net.trace(numbers(3, 4))
    assert rule.feedback_step(net, rule.init(net, key=KEY), Minibatch(trace, 0 * trace.output, key=KEY)) is None
