import re
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.errors import ConfigError
from targetprop.losses import SoftmaxCrossEntropy, SquaredError
from targetprop.networks.activations import Activation, LeakyReLU, Sigmoid, Tanh
from targetprop.networks.layers import evaluate, parameters
from targetprop.networks.network import Network, mlp
from targetprop.rules import Backprop
from targetprop.rules.contract import Minibatch, output_update
from targetprop.rules.presets import ddtp_linear, dtp, dtpdrl, tp
from targetprop.rules.updates import local_gradients

SIZES = (8, 7, 6, 4, 3)
STEPSIZE = 1e-6
NUMBERS = np.random.default_rng(0)
Y = jnp.array([2, 0, 1, 1])


def double(tree):
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if eqx.is_inexact_array(leaf) else leaf, tree)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), SquaredError()], ids=lambda loss: type(loss).__name__)
def test_output_update_is_per_sample(loss):
    h = jnp.asarray(NUMBERS.normal(size=(4, 3)))
    together = output_update(loss, h, Y, 0.3)
    alone = jnp.concatenate([output_update(loss, h[b : b + 1], Y[b : b + 1], 0.3) for b in range(4)])
    np.testing.assert_allclose(together, alone, rtol=1e-14)
    np.testing.assert_allclose(together, -0.3 * loss.error(h, Y), rtol=1e-14)


@pytest.mark.usefixtures("float64")
def test_local_gradients_are_those_of_the_local_losses():
    network = mlp(SIZES, key=jax.random.key(0), dtype=jnp.float64)
    trace = network.trace(jnp.asarray(NUMBERS.normal(size=(4, SIZES[0]))))
    updates = [jnp.asarray(0.1 * NUMBERS.normal(size=h.shape)) for h in trace.h[1:]]
    targets = [h + dh for h, dh in zip(trace.h[1:], updates, strict=True)]

    def local_losses(network: Network):
        outputs = [evaluate(layer, h).h for layer, h in zip(network.layers, trace.h[:-1], strict=True)]
        return sum(jnp.mean(jnp.sum((t - h) ** 2, axis=1)) / 2 for t, h in zip(targets, outputs, strict=True))

    expected = eqx.filter_jit(eqx.filter_grad(local_losses))(network)
    got = local_gradients(network, trace, updates)
    assert jax.tree.structure(got) == jax.tree.structure(expected) == jax.tree.structure(parameters(network))
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-15)


# --- small stepsizes in float32 -------------------------------------------------------------------------------------


class Setting(NamedTuple):
    """A network that is right about `y` by some margin, and feedback mappings of the layer-wise
    and of the direct rules.
    """

    network: Network
    layerwise: tuple
    direct: tuple
    x: jax.Array
    y: jax.Array


def setting(activation: Activation) -> Setting:
    network = mlp(SIZES, activation, key=jax.random.key(0))
    network = eqx.tree_at(lambda n: n.layers[-1].weight, network, replace_fn=lambda weight: 4 * weight)
    layerwise = dtp(feedback_activation=activation).init(network, key=jax.random.key(1))
    direct = ddtp_linear().init(network, key=jax.random.key(2))
    x = jnp.asarray(NUMBERS.normal(size=(4, SIZES[0])), jnp.float32)
    return Setting(network, layerwise, direct, x, jnp.argmax(network(x), axis=1))


@eqx.filter_jit
def displacements(s: Setting):
    """The target updates of every rule, as the library propagates them."""
    trace = s.network.trace(s.x)
    dh = output_update(SoftmaxCrossEntropy(), trace.output, s.y, STEPSIZE)
    rules = {"bp": (Backprop(), None), "tp": (tp(), s.layerwise), "dtp": (dtp(), s.layerwise)}
    rules |= {"dtpdrl": (dtpdrl(), s.layerwise), "ddtp-linear": (ddtp_linear(), s.direct)}
    return {name: rule.target_updates(s.network, feedback, Minibatch(trace, dh)) for name, (rule, feedback) in rules.items()}


@eqx.filter_jit
def subtractions(s: Setting):
    """The same for DTP and DDTP as the algorithms are printed: absolute targets, less the
    activities.
    """
    h = s.network.trace(s.x).h
    target = h[-1] - STEPSIZE * SoftmaxCrossEntropy().error(h[-1], s.y)
    direct = [g.at(target).h + below - g.at(h[-1]).h - below for g, below in zip(s.direct, h[1:-1], strict=True)]
    layerwise = [target - h[-1]]
    for g, below, above in zip(s.layerwise[::-1], h[-2:0:-1], h[:1:-1], strict=True):
        target = g.at(target).h + below - g.at(above).h
        layerwise.append(target - below)
    return {"dtp": layerwise[::-1], "ddtp-linear": [*direct, layerwise[0]]}


def relative_errors(got, expected):
    return [float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(map(np.asarray, got), expected, strict=True)]


@pytest.mark.parametrize("activation", [Tanh(), Sigmoid(), LeakyReLU()], ids=lambda activation: type(activation).__name__)
def test_float32_keeps_small_target_updates_where_subtraction_loses_them(activation):
    single = setting(activation)
    got, naive = displacements(single), subtractions(single)
    with jax.enable_x64(True):
        wide = jax.tree.map(np.asarray, displacements(double(single)))
        naive_wide = jax.tree.map(np.asarray, subtractions(double(single)))

    for name in got:
        assert max(relative_errors(got[name], wide[name])) < 1e-4, name
    for name in naive:
        # In float64 both forms are the same rule, so what float32 loses, it loses to the
        # subtraction.
        assert max(relative_errors(naive_wide[name], wide[name])) < 1e-6, name
        assert min(relative_errors(naive[name], wide[name])[:-1]) > 0.1, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda dh: dh[1:], "There are 3 target `updates` for 4 layers"),
        (lambda dh: (dh[0], dh[1][:, :5], *dh[2:]), "dh_2 is float32 (4, 5), but the activity of layer 2 is float32 (4, 6)"),
        (lambda dh: (*dh[:3], dh[3][0]), "dh_4 is float32 (3,), but the activity of layer 4 is float32 (4, 3)"),
        (lambda dh: (jnp.zeros(dh[0].shape, int), *dh[1:]), "dh_1 is int32 (4, 7), but the activity of layer 1 is float32"),
    ],
)
def test_target_updates_that_do_not_fit_are_refused_by_layer_also_while_tracing(change, message):
    network = mlp(SIZES, key=jax.random.key(0))
    trace = network.trace(jnp.ones((4, SIZES[0])))
    updates = change(tuple(jnp.zeros_like(h) for h in trace.h[1:]))
    with pytest.raises(ConfigError, match=re.escape(message)):
        local_gradients(network, trace, updates)
    with pytest.raises(ConfigError, match=re.escape(message)):
        eqx.filter_eval_shape(local_gradients, network, trace, updates)
