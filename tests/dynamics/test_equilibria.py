"""Circuits and how they are brought to rest."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.linalg import expm

from targetprop.dynamics._base import norms
from targetprop.dynamics.circuit import Circuit, Gains
from targetprop.dynamics.equilibria import Integration, Newton, Sweeps, jacobian
from targetprop.dynamics.targets import HardTarget, SoftTarget
from targetprop.dynamics.trajectories import trajectory
from targetprop.errors import ConfigError
from targetprop.feedback.mappings import Layerwise
from targetprop.networks.activations import Identity, LeakyReLU, Tanh
from targetprop.networks.convolution import ConvPool
from targetprop.networks.layers import Dense
from targetprop.networks.network import Network, mlp
from targetprop.rules import SinglePhase, TwoPhase
from targetprop.rules.contract import Minibatch

SIZES = (5, 6, 4, 5, 3)
SOLVERS = {"sweeps": Sweeps, "newton": Newton, "integration": Integration}
KEY = jax.random.key(0)


def _cast(tree, dtype):
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, tree)


@eqx.filter_jit
def motions(mu=0.2, activation=None, dtype=None, sizes=SIZES, scale=1.0):
    """A circuit's motion to its free rest, and from there with a target."""
    network = mlp(sizes, activation or Tanh(), key=KEY, dtype=jnp.float32)
    maps = Layerwise(activation or Tanh()).init(network, key=jax.random.key(1))
    numbers = np.random.default_rng(0)
    x, dh = (jnp.asarray(numbers.normal(size=(3, size)), jnp.float32) for size in (sizes[0], sizes[-1]))
    network, maps, x, dh = _cast((network, maps, x, dh), dtype or jnp.float32)
    maps = jax.tree.map(lambda leaf: scale * leaf if eqx.is_inexact_array(leaf) else leaf, maps)
    circuit = Circuit(network, maps, Gains.mixing(mu), 0.0)
    free = circuit.free(network.trace(x))
    rest = circuit.at_rest(network.trace(x), Newton(1e-6).find(free).d)
    return free, circuit.with_target(rest, SoftTarget(dh))


find = eqx.filter_jit(lambda solver, motion: solver.find(motion))


def apart(one, other):
    """The largest distance of two displacements, relative to the other's size, over layers and
    samples.
    """
    return float(jnp.max(norms(jax.tree.map(jnp.subtract, one, other)) / norms(other)))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("name", ["newton", "integration"])
def test_solvers_agree_to_their_tolerance(name, dtype):
    with jax.enable_x64(dtype == jnp.float64):
        tolerance = 1e-4 if dtype == jnp.float32 else 1e-8
        for motion in motions(dtype=dtype):
            one, other = (find(solver(tolerance, 2000), motion) for solver in (Sweeps, SOLVERS[name]))
            assert one.reached.all()
            assert other.reached.all()
            assert one.d[0].dtype == dtype
            # the slowest way back to rest takes several times tau: so much larger are errors than
            # velocities
            assert apart(other.d, one.d) < 10 * tolerance


@pytest.mark.parametrize("name", SOLVERS)
def test_float32_reaches_the_rest_of_float64(name):
    """The signal of the lowest layer is `rho^4` of the target's, and keeps its digits."""
    mu = 0.01
    single = find(SOLVERS[name](1e-5, 500), motions(mu, dtype=jnp.float32)[1])
    with jax.enable_x64(True):
        double = find(Newton(1e-11, 500), motions(mu, dtype=jnp.float64)[1])
        assert apart(tuple(x.astype(jnp.float64) for x in single.d), double.d) < 1e-4
        assert float(norms(double.d)[0].max()) < 1e-6


def test_a_linear_circuit_follows_the_matrix_exponential():
    with jax.enable_x64(True):
        motion = motions(activation=Identity(), dtype=jnp.float64)[1]
        times = jnp.array([0.0, 0.5, 2.0, 7.0])
        course = trajectory(motion, times, tolerance=1e-10)
        rest = jnp.concatenate(find(Newton(1e-12), motion).d, axis=1)
        matrices = jacobian(motion, motion.h)
        for k, t in enumerate(times):
            left = jnp.einsum("bij,bj->bi", jax.vmap(expm)(t * matrices), rest)
            np.testing.assert_allclose(jnp.concatenate([d[k] for d in course], axis=1), rest - left, atol=1e-8)


def test_the_jacobian_has_the_blocks_of_equation_6_40():
    mu = 0.2
    with jax.enable_x64(True):
        nudged = motions(mu, dtype=jnp.float64)[1]
        hard = eqx.tree_at(lambda m: m.target, nudged, HardTarget(nudged.h[-1]))
        ends = np.cumsum((0, *SIZES[1:]))
        for motion, corner in ((nudged, mu - 1), (hard, -1.0)):
            found = np.asarray(jacobian(motion, jax.tree.map(jnp.zeros_like, motion.h)))[0]
            expected = -np.eye(ends[-1])
            expected[ends[-2] :, ends[-2] :] *= -corner
            for i in range(len(SIZES) - 2):
                low, high = slice(ends[i], ends[i + 1]), slice(ends[i + 1], ends[i + 2])
                f, g = motion.circuit.network.layers[i + 1], motion.circuit.maps[i]
                own, above = motion.h[i][:1], motion.h[i + 1][:1]
                expected[high, low] = (1 - mu) * jax.jacobian(lambda h, f=f: f.at(h).h[0])(own)[:, 0]
                expected[low, high] = mu * jax.jacobian(lambda h, g=g: g.at(h).h[0])(above)[:, 0]
            np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_hard_target_makes_an_output_that_rests_between_prediction_and_target():
    """(6.3) and (6.5): `h_L = (1 - mu) f_L(h_{L-1}) + mu target`."""
    mu = 0.3
    nudged = motions(mu)[1]
    target = jnp.ones_like(nudged.h[-1])
    motion = eqx.tree_at(lambda m: m.target, nudged, HardTarget(target))
    h = [h + d for h, d in zip(motion.h, find(Sweeps(), motion).displacements, strict=True)]
    expected = (1 - mu) * motion.circuit.network.layers[-1].at(h[-2]).h + mu * target
    np.testing.assert_allclose(h[-1], expected, rtol=1e-3)


def test_networks_of_images_and_none_of_one_layer():
    with pytest.raises(ConfigError, match="two-phase learns feedback to hidden layers, but the network has none"):
        TwoPhase().init(mlp((4, 3), key=KEY), key=KEY)
    image = Network([ConvPool.create((1, 2), Tanh(), size=3, key=KEY), mlp((18, 4), key=KEY).layers[0]], (1, 6, 6))
    rule, x = TwoPhase(), jnp.linspace(0, 1, 72).reshape(2, 1, 6, 6)
    feedback = rule.init(image, key=KEY)
    rest = rule.equilibrium(image, feedback, image.trace(x))
    updates = rule.target_updates(image, feedback, Minibatch(rest, jnp.ones_like(rest.output)))
    assert [dh.shape for dh in updates] == [h.shape for h in rest.h[1:]]
    assert all(bool(jnp.all(jnp.isfinite(dh))) and bool(jnp.any(dh != 0)) for dh in updates)


def test_other_mixtures_compile_nothing_anew():
    traced = []

    @jax.jit
    def run(rule, network, feedback, x):
        traced.append(1)
        return rule.equilibrium(network, feedback, network.trace(x)).output

    network = mlp(SIZES, key=KEY)
    for mu in (0.1, 0.2):
        rule = jax.tree.map(jnp.asarray, TwoPhase(mu))
        run(rule, network, rule.init(network, key=KEY), jnp.ones((2, 5)))
    assert len(traced) == 1


@pytest.mark.parametrize("mu", [0.0, 0.5, -0.1, 1.0])
def test_a_mixture_out_of_range_is_refused(mu):
    with pytest.raises(ConfigError, match=r"between 0 and 0\.5"):
        SinglePhase(mu)


def test_a_circuit_without_rest_says_where_and_what_to_change():
    """Linear feedback so strong that the circuit runs away."""
    motion = motions(0.4, Identity(), scale=20.0)[1]
    assert np.max(np.linalg.eigvals(np.asarray(jacobian(motion, motion.h)[0])).real) > 0
    lost = find(Sweeps(), motion)
    assert not lost.reached.any()
    assert all(bool(jnp.isnan(d).all()) for d in lost.displacements)
    rule = TwoPhase(0.4, Layerwise(Identity()))
    network, maps = motion.circuit.network, motion.circuit.maps
    trace = network.trace(jnp.ones((2, 5)))
    (message,) = rule.advice(network, maps, Minibatch(trace, jnp.ones((2, 3))))
    for part in (
        "the free network reaches no equilibrium within 50 steps in 2 of 2 samples",
        "layer",
        "use a smaller mu",
        "Newton()",
    ):
        assert part in message
    with pytest.raises(ConfigError, match="needs steps above 0"):
        Sweeps(steps=0)


def test_every_sample_is_judged_by_itself():
    """A sample that finds no rest takes no other's targets away."""
    layer = Dense(jnp.eye(2), jnp.zeros(2), LeakyReLU(0.5))
    network = Network([layer, layer], 2)
    maps = Layerwise(Identity()).init(network, key=KEY)
    maps = eqx.tree_at(lambda m: m[0].dense.weight, maps, jnp.diag(jnp.array([0.5, 30.0])))
    circuit = Circuit(network, maps, Gains.mixing(0.3), 0.0)
    motion = circuit.with_target(network.trace(jnp.ones((2, 2))), SoftTarget(jnp.array([[1.0, 0.0], [1.0, 1.0]])))
    assert find(Sweeps(), motion).reached.tolist() == [True, False]
