"""Weights that learn continuously, together with the activities: Meulemans 2019, sections 6.4 to
6.6.
"""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.dynamics.circuit import Circuit, Gains, Motion
from targetprop.dynamics.equilibria import Sweeps
from targetprop.dynamics.targets import SoftTarget
from targetprop.errors import ConfigError
from targetprop.feedback.learners import ActivityReconstruction
from targetprop.feedback.mappings import ExactInverses, Layerwise, LearnedInverses, Mappings
from targetprop.feedback.regularizers import WeightDecay
from targetprop.networks.activations import Identity, LeakyReLU, Tanh
from targetprop.networks.convolution import ConvPool
from targetprop.networks.layers import evaluate, parameters
from targetprop.networks.network import Network, mlp
from targetprop.rules import SinglePhase, TwoPhase
from targetprop.rules.contract import Minibatch
from targetprop.rules.updates import local_gradients
from theory.joint_plasticity import Changes, PhaseTimes, Rates, learn_in_a_single_phase, learn_in_two_phases

SIZES, L, MU, BATCH = (4, 3, 4, 2), 3, 0.2, 3
KEY = jax.random.key(0)
FEEDBACK, INVERSES, LEARNER = Layerwise(Tanh()), LearnedInverses(), ActivityReconstruction(WeightDecay(0.1))


class Case(NamedTuple):
    """A network and its feedback, a batch, and how the target moves the output."""

    network: Network
    maps: Any
    x: jax.Array
    dh: jax.Array

    def circuit(self, mu=MU) -> Circuit:
        return Circuit(self.network, self.maps, Gains.mixing(mu), 0.0)

    def free(self, mu=MU) -> Motion:
        return self.circuit(mu).free(self.network.trace(self.x))

    def with_target(self, mu=MU) -> Motion:
        """From the forward pass, with the target."""
        return eqx.tree_at(lambda motion: motion.target, self.free(mu), SoftTarget(self.dh))


@eqx.filter_jit
def case(dtype=None, backward: Mappings = FEEDBACK) -> Case:
    """The same numbers in any type, but for rounding. Inverses are those of a square network whose
    units stay away from the kink, and as exact as the type allows."""
    trained = backward is FEEDBACK
    sizes, activation = (SIZES, Tanh()) if trained else ((4, 3, 3, 3), LeakyReLU(0.5))
    network = mlp(sizes, (activation, Identity() if trained else activation), key=KEY, dtype=jnp.float32)
    biases = [(0.5 if trained else 3.0) * (-1.0) ** jnp.arange(size, dtype=jnp.float32) for size in sizes[1:]]
    network = eqx.tree_at(lambda n: [layer.bias for layer in n.layers], network, biases)
    numbers = np.random.default_rng(1)
    x, dh = (jnp.asarray(numbers.normal(size=(BATCH, size)), jnp.float32) for size in (sizes[0], sizes[-1]))
    drawn = Case(network, backward.init(network, key=jax.random.key(1)) if trained else (), x, dh)
    made = jax.tree.map(lambda leaf: leaf.astype(dtype or jnp.float64) if eqx.is_inexact_array(leaf) else leaf, drawn)
    return made if trained else made._replace(maps=backward.init(made.network, key=KEY))


@eqx.filter_jit
def _single(made, mu, rates, times, learner):
    return learn_in_a_single_phase(made.with_target(mu), learner, rates, times, tolerance=1e-9)


def single(made, rates, times, mu=MU, learner=LEARNER):
    return _single(made, jnp.asarray(mu, made.x.dtype), rates, times, learner)


@eqx.filter_jit
def double(made, rates, times):
    return learn_in_two_phases(made.free(), SoftTarget(made.dh), LEARNER, rates, PhaseTimes(times, times), tolerance=1e-9)


def rates_of(forward, backward, dtype=None) -> Rates:
    return Rates(*(jnp.asarray(rate, dtype or jnp.float64) for rate in (forward, backward)))


def flat(tree) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def size(tree) -> float:
    return float(np.linalg.norm(flat(tree)))


def at(course: Changes, k: int) -> Changes:
    return jax.tree.map(lambda x: x[k], course)


@eqx.filter_jit
def at_rest(kind, made: Case):
    """What forward and backward weights learn at the equilibrium, as velocities at rates of 1:
    (6.17) and (6.26), or (6.35) and (6.37)."""
    rule = kind(MU, FEEDBACK, LEARNER, Sweeps(1e-12, 200))
    rest = rule.equilibrium(made.network, made.maps, made.network.trace(made.x))
    credit = rule.credit(made.network, made.maps, Minibatch(rest, made.dh, key=KEY))
    forward = local_gradients(made.network, credit.trace, credit.updates)
    return jax.tree.map(jnp.negative, (forward, credit.feedback.gradients))


# the equations once more, in absolute activities and weights


def _cost(layer, x, goal, scale):
    return jnp.sum((evaluate(layer, x).h - goal) ** 2) * scale


def plain_velocity(made: Case, phase: str, rates: Rates, held, y):
    """`d/dt (h, network, maps)`; `held` are the `h^f` of the learning phase."""
    (h, network, maps), rho = y, MU / (1 - MU)
    h = (made.x, *h)
    f = [evaluate(layer, below).h for layer, below in zip(network.layers, h[:-1], strict=True)]
    g = [*(evaluate(map_, above).h for map_, above in zip(maps, h[2:], strict=True)), h[-1]]
    g[-1] += made.dh if phase != "free" else 0.0
    moved = tuple((1 - MU) * a + MU * b - own for a, b, own in zip(f, g, h[1:], strict=True))
    layers = []
    for i, (layer, own) in enumerate(zip(network.layers, h[1:], strict=True)):
        # D (h_i - ..) is minus the gradient of 1/2 ||f_i - goal||^2 at the goal f_i + h_i - ..
        goal = own if phase == "single" else f[i] + own - held[i]
        rate = 0.0 if phase == "free" else rates.forward / rho ** (L - i)
        layers.append(jax.tree.map(lambda d, r=rate: -r * d, eqx.filter_grad(_cost)(layer, h[i], goal, 0.5 / BATCH)))
    rate = 0.0 if phase == "learning" else rates.backward
    back = []
    for g_i, above, own in zip(maps, h[2:], h[1:-1], strict=True):
        gradient = eqx.filter_grad(_cost)(g_i, above, own, 1 / BATCH)
        decayed = jax.tree.map(lambda d, p: -rate * (d + 2 * 0.1 * p), gradient, parameters(g_i))
        back.append(decayed)
    return moved, eqx.tree_at(lambda n: n.layers, parameters(network), tuple(layers)), tuple(back)


@eqx.filter_jit
def runge_kutta(made: Case, phase: str, rates: Rates, held, y, end):
    """Where classical Runge-Kutta steps of 1/400 lead."""

    def moved(y, v, dt):
        return eqx.apply_updates(y, jax.tree.map(lambda x: dt * x, v))

    arrays, rest = eqx.partition(y, eqx.is_inexact_array)

    def step(_, arrays):
        y, dt = eqx.combine(arrays, rest), 0.0025
        field = partial(plain_velocity, made, phase, rates, held)
        k1 = field(y)
        k2 = field(moved(y, k1, dt / 2))
        k3 = field(moved(y, k2, dt / 2))
        k4 = field(moved(y, k3, dt))
        slope = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4)
        return eqx.filter(moved(y, slope, dt), eqx.is_inexact_array)

    return eqx.combine(jax.lax.fori_loop(0, round(400 * end), step, arrays), rest)


def from_the_start(made):
    return made.network.trace(made.x).h[1:], made.network, made.maps


def same(found, expected, began):
    """Compare with what Runge-Kutta gives, `(h, network, maps)`, from activities `began`."""
    h, network, maps = expected
    np.testing.assert_allclose(flat((found.network, found.maps)), flat((network, maps)), rtol=1e-6, atol=1e-8)
    moved = [own - first for own, first in zip(h, began, strict=True)]
    np.testing.assert_allclose(flat(at(found.course[-1], -1).d), flat(moved), atol=1e-7)


@pytest.mark.parametrize("backward", [FEEDBACK, INVERSES], ids=["trained", "approximate"])
def test_a_single_phase_is_that_in_absolute_activities(backward):
    with jax.enable_x64(True):
        made, rates = case(backward=backward), rates_of(0.02, 0.1)
        start = from_the_start(made)
        expected = runge_kutta(made, "single", rates, start[0], start, 3.0)
        same(single(made, rates, jnp.array([1.0, 3.0])), expected, start[0])


def test_two_phases_are_those_in_absolute_activities():
    with jax.enable_x64(True):
        made, rates = case(), rates_of(0.02, 0.1)
        start = from_the_start(made)
        middle = runge_kutta(made, "free", rates, start[0], start, 3.0)
        found = double(made, rates, jnp.array([1.0, 3.0]))
        same(found, runge_kutta(made, "learning", rates, middle[0], middle, 3.0), middle[0])
        assert size(found.course[0].network) == size(found.course[1].maps) == 0


@pytest.mark.parametrize("kind", [SinglePhase, TwoPhase])
def test_slow_weights_learn_what_they_do_at_the_equilibrium(kind):
    """As the rates go to 0, the mean velocity over a time T differs from that at rest by the
    transient, which has an end: by `c / T`, `c` some `tau`. At a given T it differs from that
    limit by first order in the rates.
    """
    with jax.enable_x64(True):
        made, times = case(), jnp.array([60.0, 120.0])

        def mean_velocities(rate, k):
            rates = rates_of(rate, rate)
            if kind is SinglePhase:
                (course,) = single(made, rates, times).course
                changes = at(course, k)[1:]
            else:
                free, learning = double(made, rates, times).course
                changes = at(learning, k).network, at(free, k).maps
            return [flat(change) / (rate * times[k]) for change in changes]

        limit = [mean_velocities(1e-9, k) for k in range(2)]
        faster = [mean_velocities(rate, 0) for rate in (1e-5, 5e-6)]
        for i, expected in enumerate(map(flat, at_rest(kind, made))):
            one, other = (size(each[i] - expected) / size(expected) for each in limit)
            assert one < 3 * L / 60
            np.testing.assert_allclose(one / other, 2, rtol=1e-3)
            one, other = (size(each[i] - limit[0][i]) for each in faster)
            np.testing.assert_allclose(one / other, 2, rtol=0.02)


def test_two_phases_take_what_the_free_phase_leaves_for_a_signal():
    """Without a target the learning phase only ends what the free one has left. Fast backward
    weights leave a lag behind the moving rest, of first order in their rate. Without learning, a
    free phase of length T leaves what falls as the slowest mode of the circuit does.
    """
    with jax.enable_x64(True):
        made = case()
        made = made._replace(dh=jnp.zeros_like(made.dh))

        def left(backward, end):
            times = jnp.array([end / 2, end])
            return size(at(double(made, rates_of(0.0, backward), times).course[1], -1).d)

        lags = [left(rate, 60.0) for rate in (2e-4, 1e-4, 0.0)]
        np.testing.assert_allclose(lags[0] / lags[1], 2, rtol=0.05)
        assert lags[2] < 1e-3 * lags[1]
        short = [left(0.0, end) for end in (8.0, 12.0, 16.0)]
        np.testing.assert_allclose(np.log(short[0] / short[1]), np.log(short[1] / short[2]), rtol=0.1)
        assert 0.2 < np.log(short[1] / short[2]) / 4 < 1


def test_exact_inverses_without_a_target_leave_the_weights_alone():
    with jax.enable_x64(True):
        exact = case(backward=INVERSES)
        exact = exact._replace(dh=jnp.zeros_like(exact.dh))
        worse = exact._replace(maps=jax.tree.map(lambda leaf: 1.1 * leaf, exact.maps))
        rates, times, plain = rates_of(0.1, 0.1), jnp.array([10.0, 20.0]), ActivityReconstruction()
        still, moving = (single(each, rates, times, learner=plain).course[0] for each in (exact, worse))
        assert size(still) < 1e-11
        assert min(map(size, moving)) > 1e-3


def test_float32_keeps_the_digits_of_a_signal_that_decays():
    """At `mu = 0.01` that of the lowest layer is `rho^3`, a millionth of the target's. The
    rounding of the inverse is a reconstruction error, which counts `rho^-2` times as much.
    """
    found = []
    for dtype in (jnp.float32, jnp.float64):
        with jax.enable_x64(dtype == jnp.float64):
            made, times = case(dtype, INVERSES), jnp.array([10.0, 20.0], dtype)
            (course,) = single(made, rates_of(1e-4, 0.0, dtype), times, 0.01, ActivityReconstruction()).course
            assert {leaf.dtype for leaf in jax.tree.leaves(course)} == {jnp.dtype(dtype)}
            found.append([np.float64(x) for x in jax.tree.leaves((course.d, course.network))])
    for one, other in zip(*found, strict=True):
        assert size(one - other) < 10 * np.finfo(np.float32).eps / 0.01**2 * size(other)


def test_other_layers_and_mappings_are_refused():
    def go(network, x, backward):
        trace = network.trace(x)
        maps = backward.maps(network, backward.init(network, key=KEY), trace)
        motion = Circuit(network, maps, Gains.mixing(MU), 0.0).free(trace)
        return learn_in_a_single_phase(motion, LEARNER, Rates(0.1, 0.1), jnp.ones(1)).course

    image = Network([ConvPool.create((1, 2), Tanh(), size=3, key=KEY), mlp((18, 4), key=KEY).layers[0]], (1, 6, 6))
    square = mlp((3, 3, 3), (LeakyReLU(0.5), LeakyReLU(0.5)), key=KEY)
    with pytest.raises(ConfigError, match="layer 1 is a ConvPool: use a dense one"):
        eqx.filter_eval_shape(go, image, jnp.ones((2, 1, 6, 6)), Layerwise())
    with pytest.raises(ConfigError, match="to layer 1 is of type InvertedLayer: use Layerwise or LearnedInverses"):
        eqx.filter_eval_shape(go, square, jnp.ones((2, 3)), ExactInverses())
