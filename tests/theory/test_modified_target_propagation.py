"""Modified target propagation with batch normalization: Meulemans 2019, Algorithms A.1 and A.3,
with absolute targets, written out in NumPy.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.networks.normalization import EPSILON
from targetprop.training.step import init_state, step

SIZES, SLOPE, STEPSIZE = (4, 5, 5, 5), 0.35, 0.2
KEY = jax.random.key(0)
RULES = {"exact": tp.TargetPropExact(), "learned": tp.tp_ai()}


def numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


X, Y = 3 + 2 * numbers(1, 8, 4), numbers(2, 8, 5)


def network() -> tp.Network:
    return tp.Normalized(tp.MLP(SIZES[1:-1], tp.LeakyReLU(SLOPE), bias=False)).build(
        SIZES[:1], SIZES[-1], key=KEY, dtype=jnp.float64
    )


def algorithm(weights: list[np.ndarray], inverses: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """`h_k^ - h_k` and `Delta W_k / eta_k` of each layer `k`, as in Algorithm A.1.

    The update has the normalized activity, where `h_{k-1}` is printed. `inverses[k - 1]` is `Q_k`.
    """
    h, read, deviations, means, slopes = [X], [], [], [], []
    for i, w in enumerate(weights, start=1):
        means.append(h[-1].mean(axis=0))
        deviations.append(np.sqrt(h[-1].var(axis=0) + EPSILON))
        read.append((h[-1] - means[-1]) / deviations[-1])
        a = read[-1] @ w.T
        slopes.append(np.where((a < 0) & (i < len(weights)), SLOPE, 1.0))
        h.append(slopes[-1] * a)
    target = h[-1] - STEPSIZE * (h[-1] - Y)
    moved, changes = [], []
    for k in range(len(weights), 0, -1):
        moved.insert(0, target - h[k])
        changes.insert(0, -((h[k] - target) / slopes[k - 1]).T @ read[k - 1] / len(X))
        if k > 1:
            unsloped = target if k == len(weights) else np.where(target < 0, target / SLOPE, target)
            target = deviations[k - 1] * (unsloped @ inverses[k - 2].T) + means[k - 1]
    return moved, changes


@pytest.mark.parametrize("name", RULES)
def test_updates_are_those_of_algorithm_a_1(name):
    net, rule = network(), tp.InverseSlopes(RULES[name])
    weights, feedback = [np.asarray(layer.dense.weight) for layer in net.layers], rule.init(net, key=KEY)
    inverses = [np.linalg.inv(w) for w in weights[1:]]
    if name == "learned":
        feedback = jax.tree.map(lambda q: q + 0.1, feedback)
        inverses = [q + 0.1 for q in inverses]
    found = tp.minibatch_step(rule, net, feedback, tp.Example(tp.SquaredError(), jnp.asarray(X), jnp.asarray(Y), STEPSIZE))
    moved, changes = algorithm(weights, inverses)
    for dh, target in zip(found.updates, moved, strict=True):
        np.testing.assert_allclose(dh, target, rtol=1e-9, atol=1e-11)
    for gradient, change in zip(found.gradients.layers, changes, strict=True):
        np.testing.assert_allclose(-gradient.dense.weight, change, rtol=1e-9, atol=1e-11)


def test_algorithm_a_3_moves_one_random_layer():
    rule, rate = tp.InverseSlopes(tp.TargetPropExact()), 0.01
    recipe = tp.Recipe(
        rule, loss=tp.SquaredError(), stepsize=STEPSIZE, optimizer=tp.SGD(rate), update_mask=tp.OneRandomLayer()
    )
    state = init_state(recipe, network())
    for _ in range(3):
        before = [np.asarray(layer.dense.weight) for layer in state.network.layers]
        _, changes = algorithm(before, [np.linalg.inv(w) for w in before[1:]])
        state, _ = step(state, (jnp.asarray(X), jnp.asarray(Y)))
        after = [np.asarray(layer.dense.weight) for layer in state.network.layers]
        moves = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
        assert sum(moves) == 1
        k = moves.index(True)
        np.testing.assert_allclose(after[k], before[k] + rate * changes[k], rtol=1e-9)
