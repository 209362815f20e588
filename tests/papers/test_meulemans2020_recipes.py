"""The converted numbers of the methods with nonlinear, random or uncorrected feedback: one
minibatch as the published code reduces it, with autodiff, against ours. Adam's step depends on the
ratio of a gradient to epsilon alone; that must agree.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.papers.meulemans2020 import recipes as meulemans2020
from targetprop.rules.by_numbers import minibatch_step
from targetprop.rules.contract import Example

NAMES = [
    "mnist/dtpdrl",
    "mnist/dtp-pretrained",
    "frozen-mnist/dtp",
    "mnist/ddtp-control",
    "mnist/ddtp-rhl",
    "mnist/ddtp-rhl-rec-extra",
]


def tail(network, start, h):
    for layer in network.layers[start:]:
        h = layer.at(h).h
    return h


def mappings(rule, feedback, h):
    """For each hidden layer `i`, `g_i` as a function of its parameters and of the activity that it
    reads.
    """
    maps = getattr(feedback, "maps", feedback)

    def mapping(i):
        def g(dense, above):
            if rule.name in ("ddtp-rhl", "ddtp-rhl-rec") and i < len(maps):
                above = feedback.hidden.value.at(above).h
                above = jnp.concatenate([above, h[i]], axis=1) if rule.name == "ddtp-rhl-rec" else above
            return dense.at(above).h

        return g

    return [mapping(i) for i in range(1, len(maps) + 1)], [g.dense for g in maps]


def published_step(rule, row, network, feedback, x, y, noise):
    """Gradients of the forward and of the feedback parameters: losses averaged over batch and
    features, the output target moved by the gradient of the mean loss, local losses without 1/2,
    absolute targets.
    """
    layerwise = rule.name in ("dtp", "dtpdrl")
    h = [x]
    for layer in network.layers:
        h.append(layer.at(h[-1]).h)
    depth, sigma = network.depth, row["sigma"]
    maps, parameters = mappings(rule, feedback, h)

    def below(i, value, corrected=True):
        """What arrives at layer `i` when the output is `value`, down the chain or straight."""
        start = depth - 1 if layerwise else i
        for k in range(start, i - 1, -1):
            above = h[k + 1] if layerwise else h[-1]
            g = maps[k - 1](parameters[k - 1], value)
            value = g + h[k] - maps[k - 1](parameters[k - 1], above) if corrected else g
        return value

    error = jax.grad(lambda out: tp.SoftmaxCrossEntropy().value(out, y).mean())(h[-1])
    target = h[-1] - row["target_stepsize"] * error
    targets = [below(i, target) for i in range(1, depth)] + [target]
    forward = [
        jax.grad(lambda f, i=i: jnp.sum((f.at(h[i]).h - targets[i]) ** 2) / len(x))(layer)
        for i, layer in enumerate(network.layers)
    ]

    def feedback_loss(dense, i):
        noisy = h[i] + noise[i - 1]
        g = maps[i - 1]
        if rule.name == "dtp":
            return jnp.mean((g(dense, network.layers[i].at(noisy).h) - noisy) ** 2) / max(sigma, 0.02) ** 2
        moved = tail(network, i, noisy)
        if rule.name == "ddtp-control":
            return jnp.mean((g(dense, moved) - noisy) ** 2)
        above = h[i + 1] if layerwise else h[-1]
        arrived = below(i + 1, moved) if layerwise else moved
        return jnp.mean((g(dense, arrived) + h[i] - g(dense, above) - noisy) ** 2) / sigma**2

    backward = [
        jax.tree.map(
            lambda d, q: d + row["feedback_wd"] * q, jax.grad(lambda dense, i=i: feedback_loss(dense, i))(dense), dense
        )
        for i, dense in enumerate(parameters, start=1)
    ]
    return forward, backward


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("float64")
def test_converted_recipe_gives_the_published_adam_steps(name):
    row, recipe = meulemans2020.RECIPES.published()[name], tp.recipe(f"meulemans2020/{name}")
    rule = recipe.rule
    network = tp.mlp([20, 256, 256, 256, 10], key=jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (meulemans2020.BATCH, 20))
    y = jax.random.randint(jax.random.key(2), (meulemans2020.BATCH,), 0, 10)
    feedback = rule.init(network, key=jax.random.key(3))
    noise = rule.draw(network.trace(x), jax.random.key(4))
    example = Example(tp.SoftmaxCrossEntropy(), x, y, recipe.stepsize, noise=noise)
    ours = eqx.filter_jit(partial(minibatch_step, rule))(network, feedback, example)
    maps = getattr(ours.feedback.gradients, "maps", ours.feedback.gradients)
    published = eqx.filter_jit(partial(published_step, rule, row))
    theirs, theirs_feedback = published(network, feedback, x, y, noise.layers)
    pairs = [
        (ours.gradients.layers, theirs, recipe.optimizer.eps, row["epsilon"]),
        ([g.dense for g in maps], theirs_feedback, recipe.feedback_optimizer.eps, row["epsilon_fb"]),
    ]
    for mine, published, eps, published_eps in pairs:
        for a, b in zip(mine, published, strict=True):
            error = np.linalg.norm(a.weight / eps - b.weight / published_eps)
            assert error < 1e-6 * np.linalg.norm(b.weight / published_eps)


def test_frozen_mnist_trains_the_first_layer_of_mnist():
    recipe = tp.recipe("meulemans2020/frozen-mnist/ddtp-rhl")
    assert (recipe.dataset, recipe.trainable) == ("mnist", (1,))
    assert tp.recipe("meulemans2020/mnist/ddtp-rhl").trainable is None
