"""Gradient targets: Farias and Maziero 2018, equations (3), (12) to (16), Appendices B and D."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.dynamics.gradient_flow import AtActivity, AtZero, HuberCost, LocalCost, QuadraticCost
from targetprop.dynamics.integrators import Euler, PerLayerIntegrator, SteadyState
from targetprop.errors import ConfigError, UserError
from targetprop.losses import SquaredError
from targetprop.networks.activations import Identity, LeakyReLU, ReLU, Sigmoid, Tanh
from targetprop.networks.initializers import orthogonal
from targetprop.networks.layers import split_parameters
from targetprop.networks.network import mlp
from targetprop.rules import Backprop, GradientTargets
from targetprop.rules.by_numbers import minibatch_step
from targetprop.rules.contract import Example, Minibatch

SIZES = (5, 7, 6, 4, 3)
DEPTH = len(SIZES) - 1
TAU = 3.0
LOSS = SquaredError()
step = eqx.filter_jit(minibatch_step)


def network(activation, sizes=SIZES, dtype=jnp.float64, **options):
    return mlp(sizes, (activation, activation), key=jax.random.key(3), dtype=dtype, **options)


def batch(sizes=SIZES, dtype=jnp.float64):
    """Two samples with inputs and targets in (0, 1)."""
    numbers = np.random.default_rng(1)
    return [jnp.asarray(numbers.uniform(size=(2, size)), dtype) for size in (sizes[0], sizes[-1])]


def assert_close(one, other, rtol=1e-10):
    one, other = np.asarray(one), np.asarray(other)
    assert np.linalg.norm(one - other) <= rtol * np.linalg.norm(other)


ACTIVATIONS = pytest.mark.parametrize("activation", [Sigmoid(), ReLU(), LeakyReLU(), Tanh()], ids=lambda a: type(a).__name__)


@ACTIVATIONS
def test_one_step_from_the_activity_is_backpropagation_scaled_by_tau(activation):
    net, (x, y) = network(activation), batch()
    rule = GradientTargets(AtActivity(), Euler(TAU, 1))
    for i, (dh, bp) in enumerate(
        zip(
            step(rule, net, None, Example(LOSS, x, y)).updates,
            step(Backprop(), net, None, Example(LOSS, x, y)).updates,
            strict=True,
        ),
        start=1,
    ):
        assert_close(dh, TAU ** (DEPTH - i) * bp)


@ACTIVATIONS
def test_appendix_d_one_step_from_zero_descends_costs_and_squared_activities(activation):
    """Equation (51), with tau: `dw_l = -∂/∂w_l (tau^{q-l} C_q + sum_{i=l}^{q-1} tau^{i-l}
    ||y_i||^2 / 2)` for every layer `q` with a known target, the output (`q = L`) and any below it;
    (14) is `q = l + 1`.
    """
    net, (x, y) = network(activation), batch()
    found = step(GradientTargets(AtZero(), Euler(TAU, 1)), net, None, Example(LOSS, x, y))
    h = net.trace(x).h
    trained, kept = split_parameters(net)

    @eqx.filter_jit
    def descent(layer, q):
        target = h[q] + found.updates[q - 1]

        def objective(trained):
            y = eqx.combine(trained, kept).trace(x).h
            cost = TAU ** (q - layer) * jnp.sum((target - y[q]) ** 2) / 2
            return (cost + sum(TAU ** (i - layer) * jnp.sum(y[i] ** 2) / 2 for i in range(layer, q))) / len(x)

        return jax.grad(objective)(trained).layers[layer - 1]

    for layer in range(1, DEPTH):
        for q in range(layer + 1, DEPTH + 1):
            expected, gradient = descent(layer, q), found.gradients.layers[layer - 1]
            assert_close(gradient.weight, expected.weight)
            assert_close(gradient.bias, expected.bias)


def test_several_euler_steps_are_those_of_the_algorithm():
    """Appendix B in absolute targets, with dense matrices: the first derivative at the forward
    pass, the next ones at the target (as the published code does).
    """
    net, (x, y) = network(Sigmoid(), bias=False), batch()
    taus, steps = (0.7, 2.0, 5.0), (4, 3, 1)
    integrators = PerLayerIntegrator(tuple(Euler(tau, count) for tau, count in zip(taus, steps, strict=True)))
    h = [np.asarray(value) for value in net.trace(x).h]
    for start in (AtActivity(), AtZero()):
        found = step(GradientTargets(start, integrators), net, None, Example(LOSS, x, y)).updates
        above = np.asarray(y)
        for i in (3, 2, 1):
            weight = np.asarray(net.layers[i].weight)
            moving, output = (h[i] if isinstance(start, AtActivity) else 0 * h[i]), h[i + 1]
            for _ in range(steps[i - 1]):
                moving = moving + taus[i - 1] * ((above - output) * output * (1 - output)) @ weight
                output = 1 / (1 + np.exp(-moving @ weight.T))
            assert_close(found[i - 1], moving - h[i])
            above = moving


# --- the target of infinite time ------------------------------------------------------------------------------------

LIMIT = SteadyState(1e-8, solver=diffrax.Tsit5())


@pytest.mark.parametrize("sizes", [(4, 6, 3), (4, 3, 6)], ids=["contracting", "expanding"])
def test_the_limit_in_a_linear_layer_is_the_pseudo_inverse(sizes):
    net, (x, y) = network(Identity(), sizes), batch(sizes)
    h, weight = net.trace(x).h, np.asarray(net.layers[1].weight)
    from_activity = step(GradientTargets(AtActivity(), LIMIT), net, None, Example(LOSS, x, y)).updates
    assert_close(from_activity[0], np.asarray(y - h[2]) @ np.linalg.pinv(weight).T, 1e-6)
    from_zero = step(GradientTargets(AtZero(), LIMIT), net, None, Example(LOSS, x, y)).updates
    assert_close(h[1] + from_zero[0], np.asarray(y) @ np.linalg.pinv(weight).T, 1e-6)


def test_the_limit_in_an_invertible_network_is_the_inverse():
    sizes = (4, 4, 4, 4)
    net = network(LeakyReLU(0.5), sizes, initializer=orthogonal())
    x, y = batch(sizes)
    h, dh = net.trace(x).h, step(GradientTargets(AtActivity(), LIMIT), net, None, Example(LOSS, x, y)).updates
    for i in (2, 1):
        weight, above = np.asarray(net.layers[i].weight), h[i + 1] + dh[i]
        assert_close(h[i] + dh[i - 1], np.linalg.solve(weight, np.where(above > 0, above, above / 0.5).T).T, 1e-6)


def test_euler_steps_approach_the_limit():
    sizes = (4, 3, 4)
    net, (x, y) = network(Tanh(), sizes), batch(sizes)
    limit = step(GradientTargets(AtActivity(), LIMIT), net, None, Example(LOSS, x, y)).updates[0]
    reached = step(GradientTargets(AtActivity(), Euler(0.5, 2000)), net, None, Example(LOSS, x, y)).updates[0]
    assert_close(reached, limit, 1e-6)


def test_float32_follows_a_small_error_as_float64_does():
    """The target update is 1e-6 of the activity: a difference of two float32 activities would have
    one correct digit.
    """
    results = []
    for dtype in (jnp.float32, jnp.float64):
        net = jax.tree.map(lambda leaf, dtype=dtype: leaf.astype(dtype), network(Sigmoid(), dtype=jnp.float32))
        x, y = batch(dtype=jnp.float32)
        stepsize = jnp.asarray(1e-6, dtype)
        rule = GradientTargets(AtActivity(), Euler(0.5, 20))
        results.append(step(rule, net, None, Example(LOSS, x.astype(dtype), y.astype(dtype), stepsize)).updates)
    for one, other in zip(*results, strict=True):
        assert one.dtype == jnp.float32
        assert_close(one, other, 1e-5)


def test_the_limit_in_float32():
    sizes = (4, 6, 3)
    net, (x, y) = network(Identity(), sizes, jnp.float32), batch(sizes, jnp.float32)
    dh = step(GradientTargets(AtActivity(), SteadyState()), net, None, Example(LOSS, x, y, jnp.float32(1e-6))).updates
    assert dh[0].dtype == jnp.float32
    assert_close(dh[0], np.asarray(dh[1]) @ np.linalg.pinv(np.asarray(net.layers[1].weight)).T, 1e-2)


# --- local costs ----------------------------------------------------------------------------------------------------


class LogCosh(LocalCost):
    """Somebody's own: `sum log cosh(residual)`."""

    def value(self, h, residual):
        return jnp.sum(jnp.log(jnp.cosh(residual)), axis=1)

    def descent(self, h, residual):
        return jnp.tanh(residual)


@pytest.mark.parametrize("cost", [QuadraticCost(), HuberCost(0.05), LogCosh()], ids=lambda cost: type(cost).__name__)
def test_a_cost_gives_the_flow_and_the_local_update(cost):
    """Equations (3) and (5), differentiated by JAX. The output layer has the squared distance to
    its target.
    """
    net, (x, y) = network(Tanh(), (5, 4, 4, 3)), batch((5, 4, 4, 3))
    rule = GradientTargets(AtActivity(), Euler(TAU, 1), cost)
    h, found = net.trace(x).h, step(rule, net, None, Example(LOSS, x, y))
    dh = rule.target_updates(net, None, Minibatch(net.trace(x), y - h[-1]))
    assert_close(dh[1], -TAU * jax.grad(lambda h2: jnp.sum((y - net.layers[2].at(h2).h) ** 2) / 2)(h[2]))

    def paid(layer, below, target):
        reached = layer.at(below).h
        return jnp.sum(cost.value(reached, target - reached))

    assert_close(dh[0], -TAU * jax.grad(paid, argnums=1)(net.layers[1], h[1], h[2] + dh[1]))
    gradients = [eqx.filter_grad(paid)(layer, h[i], h[i + 1] + dh[i]) for i, layer in enumerate(net.layers[:2])]
    for layer, expected in zip(found.gradients.layers, gradients, strict=False):
        assert_close(layer.weight, expected.weight / len(x))


# --- targets that do not exist ---------------------------------------------------------------------------------------


def complaints(net, rule, x, y):
    trace = net.trace(x)
    return rule.advice(net, None, Minibatch(trace, y - trace.output))


def test_a_sound_target_gives_no_complaint():
    sizes = (4, 3, 4)
    net, (x, y) = network(Tanh(), sizes), batch(sizes)
    for integrator in (Euler(400.0, 1), Euler(0.05, 20), LIMIT):
        assert not complaints(net, GradientTargets(AtActivity(), integrator), x, y)


def test_a_step_size_beyond_stability_is_named_with_its_layer():
    """Explicit Euler on a linear layer is stable if and only if `tau < 2 / s^2` with `s` the
    largest singular value.
    """
    sizes = (5, 7, 6, 4)
    net, (x, y) = network(Identity(), sizes), batch(sizes)
    limits = [2 / np.linalg.norm(np.asarray(layer.weight), 2) ** 2 for layer in net.layers[1:]]

    def rule(*share):
        return GradientTargets(
            AtActivity(), PerLayerIntegrator(tuple(Euler(s * tau, 200) for s, tau in zip(share, limits, strict=True)))
        )

    assert not complaints(net, rule(0.9, 0.9), x, y)
    assert complaints(net, rule(1.1, 0.9), x, y)[0].startswith("the target of layer 1 raises the cost of layer 2")
    assert complaints(net, rule(1.1, 1.1), x, y)[0].startswith("the target of layer 2 raises the cost of layer 3")
    with pytest.raises(UserError, match=r"of layer 1, 2 are not finite: the target of layer 2 is not finite.* smaller tau"):
        minibatch_step(rule(1e3, 1e3), net, None, Example(LOSS, x, y))


def test_a_flow_that_does_not_come_to_rest_is_named_with_its_layer():
    sizes = (5, 4, 4, 3)
    net, (x, y) = network(Tanh(), sizes), batch(sizes)
    rule = GradientTargets(AtActivity(), PerLayerIntegrator((Euler(), SteadyState(1e-6, 5, diffrax.Tsit5()))))
    with pytest.raises(UserError, match="finite: the flow of the target of layer 2 is not at rest after 5 steps in 2 of 2"):
        minibatch_step(rule, net, None, Example(LOSS, x, y))


def test_settings_that_make_no_sense():
    with pytest.raises(ConfigError, match="needs steps above 0"):
        Euler(1.0, 0)
    net, (x, y) = network(Tanh()), batch()
    with pytest.raises(ConfigError, match="hidden layer 3"):
        minibatch_step(GradientTargets(AtActivity(), PerLayerIntegrator((Euler(), Euler()))), net, None, Example(LOSS, x, y))
