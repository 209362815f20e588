"""Weights that learn along with the activities."""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.activations import Identity, LeakyReLU, Tanh
from targetprop.convolution import ConvPool
from targetprop.dynamics.circuit import Circuit, Gains, Motion
from targetprop.dynamics.equilibria import Newton, trajectory
from targetprop.dynamics.plasticity import (
    Along,
    AtEquilibrium,
    Rates,
    State,
    learn_in_a_single_phase,
    learn_in_two_phases,
)
from targetprop.dynamics.teachers import Held
from targetprop.errors import ConfigError
from targetprop.feedback.backward import ApproximateInverses, Backward, ExactInverses, TrainedFeedback
from targetprop.feedback.reconstruction import WeightDecay
from targetprop.network import Network, evaluate, mlp, parameters
from targetprop.rules import SinglePhase, TwoPhase
from targetprop.updates import local_gradients

pytestmark = pytest.mark.usefixtures("quick_compilation")

SIZES, L, MU, BATCH = (4, 3, 4, 2), 3, 0.2, 3
KEY = jax.random.key(0)
FEEDBACK = TrainedFeedback(Tanh(), WeightDecay(0.1))


class Case(NamedTuple):
    """A network and its feedback, a batch, and how the teacher moves the output."""

    network: Network
    maps: Any
    x: jax.Array
    dh: jax.Array

    def circuit(self, mu=MU) -> Circuit:
        return Circuit(self.network, self.maps, Gains.mixing(mu), 0.0)

    def free(self, mu=MU) -> Motion:
        return self.circuit(mu).free(self.network.trace(self.x))

    def taught(self, mu=MU) -> Motion:
        """From where the forward pass is, with the teacher."""
        return eqx.tree_at(lambda motion: motion.teacher, self.free(mu), Held(self.dh))


def case(backward: Backward = FEEDBACK, activation=None, sizes=SIZES, dtype=None) -> Case:
    network = mlp(sizes, activation or Tanh(), output_activation=activation, key=KEY, dtype=jnp.float32)
    moved = [jnp.linspace(-0.5, 0.5, size) for size in sizes[1:]]
    network = eqx.tree_at(lambda n: [layer.bias for layer in n.layers], network, moved)
    numbers = np.random.default_rng(1)
    x, dh = (jnp.asarray(numbers.normal(size=(BATCH, size)), jnp.float32) for size in (sizes[0], sizes[-1]))
    made = Case(network, backward.init(network, key=jax.random.key(1)), x, dh)
    return jax.tree.map(lambda leaf: leaf.astype(dtype or jnp.float64) if eqx.is_inexact_array(leaf) else leaf, made)


@eqx.filter_jit
def single(motion, rates, times, backward=FEEDBACK, tolerance=1e-9):
    return learn_in_a_single_phase(motion, backward, rates, times, tolerance=tolerance)


@eqx.filter_jit
def double(motion, teacher, rates, free, learning, backward=FEEDBACK, tolerance=1e-9):
    return learn_in_two_phases(motion, teacher, backward, rates, free, learning, tolerance=tolerance)


def flat(tree) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def size(tree) -> float:
    return float(np.linalg.norm(flat(tree)))


def at(course: State, k: int) -> State:
    return jax.tree.map(lambda x: x[k], course)


def rules(kind, plasticity=None):
    return kind(MU, FEEDBACK, Newton(1e-12), plasticity or AtEquilibrium())


def at_rest(kind, made: Case):
    """What forward and backward weights learn at the equilibrium, as velocities at rates of 1: (6.17) and (6.26), or (6.35)
    and (6.37)."""
    rule = rules(kind)
    rest = rule.settle(made.network, made.maps, made.network.trace(made.x))
    lesson, feedback = rule.learn(made.network, made.maps, rest, made.dh, key=KEY)
    forward = local_gradients(made.network, lesson.trace, lesson.updates)
    return jax.tree.map(jnp.negative, (forward, feedback.gradients))


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
    """Where classical Runge-Kutta steps of 1/100 lead."""

    def moved(y, v, dt):
        return eqx.apply_updates(y, jax.tree.map(lambda x: dt * x, v))

    arrays, rest = eqx.partition(y, eqx.is_inexact_array)

    def step(_, arrays):
        y, dt = eqx.combine(arrays, rest), 0.01
        field = partial(plain_velocity, made, phase, rates, held)
        k1 = field(y)
        k2 = field(moved(y, k1, dt / 2))
        k3 = field(moved(y, k2, dt / 2))
        k4 = field(moved(y, k3, dt))
        slope = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4)
        return eqx.filter(moved(y, slope, dt), eqx.is_inexact_array)

    return eqx.combine(jax.lax.fori_loop(0, round(100 * end), step, arrays), rest)


INVERSES = ApproximateInverses(WeightDecay(0.1))


@pytest.mark.parametrize("backward", [FEEDBACK, INVERSES], ids=["trained", "approximate"])
def test_the_equations_are_those_in_absolute_activities(backward):
    with jax.enable_x64(True):
        made = case() if backward is FEEDBACK else case(backward, Identity())
        rates, times = Rates(0.02, 0.1), jnp.array([1.0, 3.0])
        start = (made.network.trace(made.x).h[1:], made.network, made.maps)
        found = single(made.taught(), rates, times, backward)
        h, network, maps = runge_kutta(made, "single", rates, None, start, 3.0)
        np.testing.assert_allclose(flat((found.network, found.maps)), flat((network, maps)), rtol=1e-6, atol=1e-8)
        moved = [own - first for own, first in zip(h, start[0], strict=True)]
        np.testing.assert_allclose(flat(at(found.course[0], -1).d), flat(moved), atol=1e-7)

        found = double(made.free(), Held(made.dh), rates, times, times, backward)
        middle = runge_kutta(made, "free", rates, None, start, 3.0)
        h, network, maps = runge_kutta(made, "learning", rates, middle[0], middle, 3.0)
        np.testing.assert_allclose(flat((found.network, found.maps)), flat((network, maps)), rtol=1e-6, atol=1e-8)
        moved = [own - first for own, first in zip(h, middle[0], strict=True)]
        np.testing.assert_allclose(flat(at(found.course[1], -1).d), flat(moved), atol=1e-7)
        assert size(found.course[0].network) == size(found.course[1].maps) == 0


@pytest.mark.parametrize("kind", [SinglePhase, TwoPhase])
def test_slow_weights_learn_what_they_do_at_the_equilibrium(kind):
    """As the rates go to 0, the mean velocity over a time T differs from that at rest by the transient, which has an end:
    by `c / T`, `c` some `tau`. At a given T it differs from that limit by first order in the rates."""
    with jax.enable_x64(True):
        made, times = case(), jnp.array([60.0, 120.0])

        def mean_velocities(rate, k):
            rates = Rates(rate, rate)
            if kind is SinglePhase:
                (course,) = single(made.taught(), rates, times).course
                changes = at(course, k)[1:]
            else:
                free, learning = double(made.free(), Held(made.dh), rates, times, times).course
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


def test_exact_inverses_without_a_teacher_leave_the_weights_alone():
    with jax.enable_x64(True):
        backward = ApproximateInverses()
        exact = case(backward, LeakyReLU(0.5), (4, 3, 3, 3))
        worse = exact._replace(maps=jax.tree.map(lambda leaf: 1.1 * leaf, exact.maps))
        rates, times = Rates(0.1, 0.1), jnp.array([20.0])
        still, moving = (single(made.free(), rates, times, backward).course[0] for made in (exact, worse))
        assert size(still) < 1e-11
        assert min(map(size, moving)) > 1e-3


def test_float32_keeps_the_digits_of_a_signal_that_decays():
    """At `mu = 0.01` that of the lowest layer is a millionth of the teacher's."""
    course = {}
    for dtype in (jnp.float32, jnp.float64):
        with jax.enable_x64(dtype == jnp.float64):
            made, times = case(dtype=dtype), jnp.array([20.0], dtype)
            found = double(made.free(0.01), Held(made.dh), Rates(1e-4, 1e-3), times, times, tolerance=1e-6)
            assert {leaf.dtype for leaf in jax.tree.leaves(eqx.filter(found, eqx.is_array))} == {jnp.dtype(dtype)}
            course[dtype] = jax.tree.map(np.float64, (found.course[0].maps, found.course[1].network.layers))
    for one, other in zip(jax.tree.leaves(course[jnp.float32]), jax.tree.leaves(course[jnp.float64]), strict=True):
        assert size(one - other) < 1e-3 * size(other)


def test_other_layers_and_mappings_are_refused():
    image = Network([ConvPool.create(1, 2, Tanh(), size=3, key=KEY), mlp((18, 4), key=KEY).layers[0]], (1, 6, 6))
    square = mlp((3, 3, 3), LeakyReLU(0.5), output_activation=LeakyReLU(0.5), key=KEY)
    for network, x, backward, message in (
        (image, jnp.ones((2, 1, 6, 6)), TrainedFeedback(), "layer 1 is a ConvPool: use a dense one"),
        (square, jnp.ones((2, 3)), ExactInverses(), "to layer 1 is a ExactInverse: use TrainedFeedback"),
    ):
        trace = network.trace(x)
        maps = backward.maps(network, backward.init(network, key=KEY), trace)
        motion = Circuit(network, maps, Gains.mixing(MU), 0.0).free(trace)
        with pytest.raises(ConfigError, match=message):
            learn_in_a_single_phase(motion, backward, Rates(0.1, 0.1), jnp.ones(1))


@eqx.filter_jit
def learned(rule, made):
    rest = rule.settle(made.network, made.maps, made.network.trace(made.x))
    lesson, feedback = rule.learn(made.network, made.maps, rest, made.dh, key=KEY)
    updates = rule.target_updates(made.network, made.maps, rest, made.dh)
    return lesson, feedback.gradients, local_gradients(made.network, lesson.trace, lesson.updates), updates


@pytest.mark.parametrize("kind", [SinglePhase, TwoPhase])
def test_learning_along_tends_to_learning_at_the_equilibrium(kind):
    """By `c / duration`, `c` some `tau`; the target updates are those at rest throughout."""
    with jax.enable_x64(True):
        made = case()
        rest, errors = learned(rules(kind), made), []
        for duration in (25.0, 50.0):
            found = learned(rules(kind, jax.tree.map(jnp.asarray, Along(duration, 500))), made)
            np.testing.assert_allclose(flat(found[3]), flat(rest[3]), rtol=1e-12)
            errors.append([size(flat(a) - flat(b)) / size(b) for a, b in zip(found[1:3], rest[1:3], strict=True)])
        learn = errors if kind is SinglePhase else [error[1:] for error in errors]
        assert np.max(learn[1]) < 3 * L / 50
        # the sum over times 25/500 apart misses half a step of the integral
        np.testing.assert_allclose(np.divide(*learn), 2 * (1 - 0.025) / (1 - 0.05), rtol=0.03)
        if kind is TwoPhase:
            assert errors[0][0] == errors[1][0] == 0  # the mappings learn in the free phase


def test_the_rows_of_a_lesson_are_those_of_the_trajectory():
    with jax.enable_x64(True):
        made, rule = case(), rules(TwoPhase, Along(6.0, 4))
        rest = rule.settle(made.network, made.maps, made.network.trace(made.x))
        lesson = rule.lesson(made.network, made.maps, rest, made.dh, key=KEY)
        course = trajectory(made.circuit().taught(rest, Held(made.dh)), jnp.array([1.5, 3.0, 4.5, 6.0]), tolerance=1e-12)
        for i, (d, dh, x) in enumerate(zip(course, lesson.updates, lesson.trace.h, strict=False)):
            assert dh.shape == (4 * BATCH, SIZES[i + 1])
            assert x.shape == (4 * BATCH, SIZES[i])
            scaled = dh.reshape(4, BATCH, -1) * (MU / (1 - MU)) ** (L - i)
            np.testing.assert_allclose(scaled, d, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(lesson.trace.h[1].reshape(4, BATCH, -1), rest.h[1] + course[0], atol=1e-10)


@pytest.mark.parametrize(("duration", "samples"), [(0.0, 4), (-1.0, 4), (5.0, 0)])
def test_nothing_is_learned_in_no_time(duration, samples):
    with pytest.raises(ConfigError, match="use 1 sample or more, and a duration above 0"):
        Along(duration, samples)


def test_training_along_the_way_learns_as_at_the_equilibrium():
    x = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    y = np.argmax(x[:, :2], axis=1).astype(np.int32)
    data = tp.Dataset("toy", x[:48], y[:48], x[48:], y[48:], (4,), 2)
    losses = []
    for plasticity in (AtEquilibrium(), Along(40.0, 40)):
        rule = TwoPhase(plasticity=plasticity)
        recipe = tp.Recipe(rule, architecture=tp.MLP((4, 4)), batch_size=12, validation=12, schedule=tp.Schedule(4))
        result = tp.train(recipe.replace(optimizer=tp.SGD(0.3), stepsize=0.5), data, seeds=2, progress=False)
        assert result.finished
        losses.append([[epoch["train_loss"] for epoch in seed.history] for seed in result.seeds])
    resting, along = np.array(losses)
    assert np.all(along[:, -1] < along[:, 0])
    assert np.all(np.abs(along - resting)[:, -1] < 0.1 * (resting[:, 0] - resting[:, -1]))
