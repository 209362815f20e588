"""Models of Equinox as networks and back. The oracle is the model itself: `jax.vmap(model)` and
`eqx.filter_grad` of it.
"""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equinox import nn

import targetprop as tp
from targetprop.networks.layers import difference, evaluate
from targetprop.networks.recognition import Sample, recognize
from targetprop.rules import RULES
from targetprop.rules.contract import Example

KEY = jax.random.key(0)
LOSS = tp.SoftmaxCrossEntropy()
LABELS = jnp.array([0, 2, 1, 1])


class Residual(eqx.Module):
    """A block with a skip connection, as users write them."""

    norm: nn.LayerNorm
    linear: nn.Linear

    def __call__(self, x):
        return x + self.linear(jax.nn.silu(self.norm(x)))


class Doubled(nn.Sequential):
    """A sequence that is called in another way."""

    def __call__(self, x, *, key=None):
        return 2 * super().__call__(x)


def mlp(width=5, depth=2, **options) -> nn.MLP:
    return nn.MLP(5, 3, width, depth, **options, key=KEY)


def convolutional(act=jnp.tanh) -> nn.Sequential:
    return nn.Sequential(
        [
            nn.Conv2d(1, 2, 3, padding=1, key=KEY),
            nn.Lambda(act),
            nn.MaxPool2d(3, 2, 1),
            nn.Lambda(jnp.ravel),
            nn.Linear(18, 4, key=KEY),
            nn.Lambda(act),
            nn.Linear(4, 3, key=KEY),
        ]
    )


def residual() -> Residual:
    return Residual(nn.LayerNorm(8), nn.Linear(8, 8, key=KEY))


class Case(NamedTuple):
    model: Any
    input_shape: tuple[int, ...]
    layers: str
    """The first letters of the layers: dense or per sample."""


CASES = {
    "mlp": lambda: Case(mlp(activation=jnp.tanh), (5,), "D D D"),
    "mlp without hidden layers leaves its activation out": lambda: Case(mlp(depth=0, final_activation=jnp.tanh), (5,), "D"),
    "mlp without biases": lambda: Case(mlp(use_bias=False, final_activation=jax.nn.sigmoid), (5,), "D D D"),
    "mlp with scan": lambda: Case(mlp(depth=3, scan=True, final_activation=jax.nn.relu), (5,), "D D D D"),
    "mlp with scan and one hidden layer": lambda: Case(mlp(depth=1, scan=True), (5,), "D D"),
    "mlp with learned activations": lambda: Case(mlp(activation=nn.PReLU(), final_activation=nn.PReLU(0.1)), (5,), "P P P"),
    "mlp with learned activations and scan": lambda: Case(mlp(depth=3, scan=True, activation=nn.PReLU()), (5,), "P P P D"),
    "mlp with unknown activations": lambda: Case(
        mlp(activation=jax.nn.gelu, final_activation=lambda a: a**2 + jnp.max(a)), (5,), "P P P"
    ),
    "convolutional": lambda: Case(convolutional(), (1, 5, 5), "P D D"),
    "strided": lambda: Case(
        nn.Sequential(
            [
                nn.Conv2d(1, 3, 3, stride=2, use_bias=False, key=KEY),
                nn.Lambda(jax.nn.softplus),
                nn.Conv2d(3, 4, (3, 2), stride=(1, 2), padding=((2, 0), (0, 1)), key=KEY),
                nn.AvgPool2d(2, 2),
                nn.Lambda(jax.nn.gelu),
                nn.ConvTranspose2d(4, 2, 2, key=KEY),
                nn.MaxPool2d(2, 2, use_ceil=True),
                nn.Conv2d(2, 2, 2, dilation=2, padding="SAME", padding_mode="circular", key=KEY),
                nn.GroupNorm(1, 2),
                nn.Dropout(0.5, inference=True),
                nn.AdaptiveAvgPool2d(1),
                nn.Lambda(jnp.ravel),
                nn.Linear(2, 3, key=KEY),
            ]
        ),
        (1, 9, 8),
        "P P P P P D",
    ),
    "list": lambda: Case(
        [lambda x: x[None], nn.Conv1d(1, 2, 2, key=KEY), jax.nn.relu, jnp.ravel, residual(), nn.Linear(8, 3, key=KEY)],
        (5,),
        "P P D",
    ),
    "tuple with sequences inside": lambda: Case(
        (
            jnp.ravel,
            nn.Linear(6, 4, key=KEY),
            [nn.Lambda(lambda x: jax.nn.leaky_relu(x, 0.3)), nn.MLP(4, 3, 2, 1, key=KEY)],
            nn.Sequential([nn.Identity(), nn.Linear(3, 2, key=KEY)]),
            nn.PReLU(),
            jax.nn.softmax,
        ),
        (2, 3),
        "D D D P",
    ),
    "a sequence that is called in another way": lambda: Case([Doubled([nn.Linear(5, 3, key=KEY)])], (5,), "P"),
}


@pytest.fixture(params=CASES)
def case(request) -> Case:
    with jax.enable_x64(True):
        return CASES[request.param]()


def call(model, x):
    """A model on one sample."""
    return functools.reduce(lambda h, part: call(part, h), model, x) if type(model) in (list, tuple) else model(x)


def normal(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def changed(network: tp.Network) -> tp.Network:
    """Other weights, all of them."""
    return jax.tree.map(lambda leaf: leaf + 0.1 * jnp.cos(jnp.arange(leaf.size).reshape(leaf.shape)), network)


def same(one, other) -> bool:
    """Whether two trees are equal leaf for leaf, arrays with their type."""
    leaves, others = jax.tree.leaves(one), jax.tree.leaves(other)
    pairs = zip(leaves, others, strict=True)
    equal = (a.dtype == b.dtype and np.array_equal(a, b) if eqx.is_array(a) else a is b for a, b in pairs)
    return jax.tree.structure(one) == jax.tree.structure(other) and all(equal)


@pytest.mark.usefixtures("float64")
def test_the_network_is_the_model_on_a_batch(case):
    network = tp.from_equinox(case.model, case.input_shape)
    x = normal(1, 6, *case.input_shape)
    np.testing.assert_allclose(network(x), jax.vmap(lambda x: call(case.model, x))(x), rtol=1e-12, atol=1e-14)
    assert " ".join(type(layer).__name__[0] for layer in network.layers) == case.layers
    assert network.input_shape == case.input_shape


@pytest.mark.usefixtures("float64")
def test_weights_go_there_and_back(case):
    network = tp.from_equinox(case.model, case.input_shape)
    assert same(tp.to_equinox(network, like=case.model), case.model)
    arrays, rest = eqx.partition(network, eqx.is_inexact_array)
    trained = eqx.combine(changed(arrays), rest)
    model = tp.to_equinox(trained, like=case.model)
    x = normal(2, 6, *case.input_shape)
    np.testing.assert_allclose(jax.vmap(lambda x: call(model, x))(x), trained(x), rtol=1e-12, atol=1e-14)
    moved = [not np.array_equal(*pair) for pair in zip(*map(_arrays, (model, case.model)), strict=True)]
    assert all(moved)


def _arrays(tree) -> list:
    return [leaf for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf) and leaf.size]


@pytest.mark.usefixtures("float64")
def test_differences_are_those_of_the_layer(case):
    network = tp.from_equinox(case.model, case.input_shape)
    trace = network.trace(normal(3, 4, *case.input_shape))
    for layer, point in zip(network.layers, trace.points, strict=True):
        if isinstance(layer, tp.Dense):  # has tests of its own
            continue
        dx = normal(4, 2, *point.x.shape)
        expected = jnp.stack([evaluate(layer, point.x + d).h for d in dx]) - point.h
        np.testing.assert_allclose(difference(layer, point, dx), expected, atol=1e-12)
        np.testing.assert_allclose(difference(layer, point, dx[0]), expected[0], atol=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        lambda: nn.Conv2d(1, 2, 3, stride=2, padding=1, key=KEY),
        lambda: nn.ConvTranspose2d(1, 2, 2, key=KEY),
        lambda: nn.Conv2d(1, 2, 2, padding_mode="REFLECT", padding=1, key=KEY),
    ],
    ids=["convolution", "transposed convolution", "reflecting border"],
)
def test_tiny_displacements_survive_in_float32(model):
    parts = [model(), jax.nn.sigmoid, nn.MaxPool2d(2, 2), nn.AvgPool2d(2, 1), jnp.transpose, jnp.ravel]
    network = tp.from_equinox([lambda x: x.reshape(1, 8, 8), *parts], (64,))
    x, dx = normal(5, 3, 64).astype(jnp.float32), 1e-12 * normal(6, 3, 64).astype(jnp.float32)
    moved = difference(network.layers[0], evaluate(network.layers[0], x), dx)
    with jax.enable_x64(True):
        double = jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if eqx.is_inexact_array(leaf) else leaf, network)
        _, tangent = jax.jvp(double, (jnp.asarray(x, jnp.float64),), (jnp.asarray(dx, jnp.float64),))
    np.testing.assert_allclose(moved, tangent, rtol=1e-4, atol=1e-4 * np.abs(tangent).max())


@pytest.mark.parametrize(
    ("function", "activation"),
    [
        (jnp.tanh, tp.Tanh()),
        (jax.nn.tanh, tp.Tanh()),
        (nn.Lambda(jax.lax.tanh), tp.Tanh()),
        (lambda x: jnp.tanh(x), tp.Tanh()),
        (jax.nn.relu, tp.ReLU()),
        (lambda x: jnp.maximum(x, 0), tp.ReLU()),
        (jax.nn.sigmoid, tp.Sigmoid()),
        (nn.Lambda(jax.nn.softplus), tp.Softplus()),
        (jax.nn.leaky_relu, tp.LeakyReLU(0.01)),
        (functools.partial(jax.nn.leaky_relu, negative_slope=0.2), tp.LeakyReLU(0.2)),
        (lambda x: jax.nn.leaky_relu(x, 1 / 3), tp.LeakyReLU(1 / 3)),
        (lambda x: x, tp.Identity()),
        (jax.nn.identity, tp.Identity()),
        (nn.Identity(), tp.Identity()),
        (nn.Dropout(inference=True), tp.Identity()),
        (tp.Softplus(), tp.Softplus()),
    ],
)
def test_known_activations_are_recognized(function, activation):
    found = recognize(function, Sample((4,), jnp.float32))
    assert eqx.tree_equal(found, activation)
    a = jnp.linspace(-3, 3, 13)
    np.testing.assert_allclose(found(a), function(a), rtol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        jax.nn.gelu,
        jax.nn.silu,
        jax.nn.softmax,
        jax.nn.elu,
        jax.nn.relu6,
        jax.nn.standardize,
        lambda x: 2 * jnp.tanh(x),
        lambda x: jnp.tanh(x) + jnp.arange(4.0),
        lambda x: jax.nn.leaky_relu(x, -0.1),
        lambda x: jax.nn.leaky_relu(x, 0.0),
        lambda x: jnp.maximum(x, 0.5),
        lambda x: jnp.flip(x),
    ],
)
def test_other_functions_are_not_taken_for_known_ones(function):
    assert recognize(function, Sample((4,), jnp.float32)) is None


def test_the_shape_of_the_input_is_inferred_from_a_linear_part():
    assert tp.from_equinox(mlp()).input_shape == (5,)
    assert tp.from_equinox([nn.Linear(4, 2, key=KEY)]).input_shape == (4,)
    assert tp.from_equinox(convolutional(), (1, 5, 5)).shapes == ((1, 5, 5), (2, 3, 3), (4,), (3,))
    with pytest.raises(tp.ConfigError, match=r"begins with a Conv2d: give `input_shape`.*\(1, 28, 28\)"):
        tp.from_equinox(convolutional())


STATEFUL = nn.BatchNorm(3, "batch", mode="batch")


class Inside(eqx.Module):
    """A module of a user around another one."""

    inner: Any
    weight: jax.Array

    def __call__(self, x):
        return self.inner(x * self.weight)


def linear(inputs: int = 5, outputs: int = 3) -> nn.Linear:
    return nn.Linear(inputs, outputs, key=KEY)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: linear(), r"does not take a Linear apart.*list of its layers"),
        (lambda: residual(), r"does not take a Residual apart"),
        (lambda: Doubled([linear()]), r"does not take a Doubled apart"),
        (list, "no weights"),
        (lambda: [jnp.tanh, nn.PReLU()], "no weights"),
        (lambda: [linear(), STATEFUL], r"Part 2 of the model, a BatchNorm, keeps a state.*LayerNorm"),
        (lambda: [linear(), Inside(STATEFUL, jnp.ones(3))], r"an Inside, contains a BatchNorm, which keeps a state"),
        (lambda: [linear(), nn.Dropout(0.3)], r"Part 2 .*a Dropout, drops units at random.*inference_mode"),
        (lambda: [linear(), Inside(nn.Dropout(0.3), jnp.ones(3))], r"an Inside, contains a Dropout, which drops"),
        (lambda: [linear(), "tanh"], r"Part 2 .*a str, cannot be called"),
        (lambda: [linear("scalar", 3)], r'Part 1 .*a Linear, is "scalar".*size 1'),
        (lambda: [linear(5, "scalar")], r'Part 1 .*a Linear, is "scalar".*size 1'),
        (lambda: nn.MLP(5, "scalar", 4, 1, key=KEY), r'An MLP with a "scalar" size.*size 1'),
        (lambda: [linear(), linear(4)], r"Part 2 .*a Linear, does not take a sample of shape \(3,\), but \(4,\).*ravel"),
        (lambda: [linear(), nn.Conv2d(1, 2, 3, key=KEY)], r"Part 2 .*a Conv2d, does not take a sample of shape \(3,\)"),
        (lambda: [linear(), nn.GRUCell(3, 3, key=KEY)], r"Part 2 .*a GRUCell, does not take a sample"),
        (lambda: [linear(), lambda x: (x, x)], r"Part 2 .*the function <lambda>, gives .*one array"),
        (lambda: [linear(), jnp.argmax], r"Part 2 .*the function argmax, gives .*real numbers"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(model, message):
    with pytest.raises(tp.ConfigError, match=f"(?s){message}"):
        tp.from_equinox(model(), 5)


def test_weights_go_back_only_to_the_model_that_they_are_from():
    network = tp.from_equinox(mlp())
    with pytest.raises(tp.ConfigError, match="The network has 3 layers, the model 4"):
        tp.to_equinox(network, like=mlp(depth=3))
    with pytest.raises(tp.ConfigError, match=r"(?s)Layer 1 of the network is Dense.*Tanh"):
        tp.to_equinox(network, like=mlp(activation=jnp.tanh))
    with pytest.raises(tp.ConfigError, match=r"(?s)Layer 1 of the network is Dense"):
        tp.to_equinox(network, like=mlp(width=4))


# --- rules ----------------------------------------------------------------------------------------------------------


class Twins(NamedTuple):
    """A model, its network, and the same network of the library's own layers."""

    model: Any
    adapted: tp.Network
    own: tp.Network


def dense_twins() -> Twins:
    model = mlp(activation=jnp.tanh)
    ends = (tp.Tanh(), tp.Tanh(), tp.Identity())
    own = [tp.Dense(part.weight, part.bias, act) for part, act in zip(model.layers, ends, strict=True)]
    return Twins(model, tp.from_equinox(model), tp.Network(own, 5))


def convolutional_twins() -> Twins:
    model = convolutional()
    conv, first, last = (model.layers[i] for i in (0, 4, 6))
    own = [
        tp.ConvPool(conv.weight, conv.bias.ravel(), tp.Tanh()),
        tp.Dense(first.weight, first.bias, tp.Tanh()),
        tp.Dense(last.weight, last.bias, tp.Identity()),
    ]
    return Twins(model, tp.from_equinox(model, (1, 5, 5)), tp.Network(own, (1, 5, 5)))


@pytest.mark.usefixtures("float64")
def test_an_adapted_mlp_is_the_network_of_dense_layers():
    """So what holds for every rule on dense layers, which the contract suite checks, holds here."""
    twins = dense_twins()
    assert eqx.tree_equal(twins.adapted, twins.own)


@eqx.filter_jit
def _step(rule, network, x):
    feedback = rule.init(network, key=jax.random.key(2))
    credit = tp.assign(rule, network, feedback, Example(LOSS, x, LABELS, 1.0, jax.random.key(3)))
    learned = None if credit.feedback is None else credit.feedback.gradients
    return credit.updates, tp.local_gradients(network, credit.trace, credit.updates), learned


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("rule", ["dtp", "ddtp-linear", "bp", "dfa"])
def test_targets_are_those_of_the_library_s_own_layers(rule):
    twins = convolutional_twins()
    x = normal(7, 4, 1, 5, 5)
    mine, other = (_step(RULES[rule](), network, x) for network in (twins.adapted, twins.own))
    for ours, theirs in zip(jax.tree.leaves((mine[0], mine[2])), jax.tree.leaves((other[0], other[2])), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-13)
    for ours, theirs in zip(jax.tree.leaves(mine[1]), jax.tree.leaves(other[1]), strict=True):
        np.testing.assert_allclose(ours.ravel(), theirs.ravel(), rtol=1e-9, atol=1e-13)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("twins", [dense_twins, convolutional_twins])
def test_gradients_of_backpropagation_are_those_of_the_model(twins):
    model, network, _ = twins()
    x = normal(7, 4, *network.input_shape)

    def loss(model):
        return jnp.mean(LOSS.value(jax.vmap(model)(x), LABELS))

    gradients = tp.to_equinox(_step(tp.Backprop(), network, x)[1], like=model)
    for ours, theirs in zip(_arrays(gradients), _arrays(eqx.filter_grad(loss)(model)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if not rule().requires])
def test_every_rule_without_requirements_trains_a_convolutional_model(name):
    network = convolutional_twins().adapted
    updates, gradients, learned = _step(RULES[name](), network, normal(7, 4, 1, 5, 5).astype(jnp.float32))
    assert [dh.shape for dh in updates] == [(4, 2, 3, 3), (4, 4), (4, 3)]
    for leaf in jax.tree.leaves(gradients):
        assert np.all(np.isfinite(leaf))
        assert np.any(np.asarray(leaf) != 0)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(learned))
