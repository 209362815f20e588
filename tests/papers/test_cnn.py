"""The published CNN: the conversion of its values, layer by layer."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.feedback.noise import NoiseDraw
from targetprop.papers.meulemans2020 import recipes as meulemans2020
from targetprop.rules.by_numbers import minibatch_step
from targetprop.rules.contract import Example

SAMPLES = 2


def published_local_loss(row, layer, below, goal, mean: bool):
    """Convolutions: the mean over batch and activities. Dense layers: the sum over the layer, the
    mean over the batch.
    """
    distance = (layer.at(below).h - goal) ** 2
    return jnp.mean(distance) if mean else jnp.sum(distance) / len(below)


def published_steps(row, network, feedback, x, y, noise, difference: bool):
    """Weight gradients of a minibatch, reduced as in the published code; a batch of any size."""
    hidden = [x]
    for layer in network.layers:
        hidden.append(layer.at(hidden[-1]).h)
    error = jax.grad(lambda h: tp.SoftmaxCrossEntropy().value(h, y).mean())(hidden[-1])
    target = hidden[-1] - row["target_stepsize"] * error
    forward, backward = [], []
    for i, layer in enumerate(network.layers, start=1):
        g = feedback[i - 1] if i < network.depth else None
        goal = target if g is None else g.at(target).h + hidden[i] - g.at(hidden[-1]).h
        loss = lambda f, i=i, goal=goal: published_local_loss(row, f, hidden[i - 1], goal, mean=i <= 2)  # noqa: E731
        forward.append(jax.grad(loss)(layer).weight)
    for i, g in enumerate(feedback, start=1):
        noisy = moved = hidden[i] + noise[i - 1]
        for layer in network.layers[i:]:
            moved = layer.at(moved).h

        def loss(g, i=i, noisy=noisy, moved=moved):
            correction = hidden[i] - g.at(hidden[-1]).h if difference else 0.0
            return jnp.mean((g.at(moved).h + correction - noisy) ** 2) / (row["sigma"] ** 2 if difference else 1.0)

        gradient = jax.grad(loss)(g).dense.weight
        backward.append(gradient + row["feedback_wd"] * g.dense.weight)
    return forward, backward


@pytest.mark.parametrize("name", ["ddtp-linear", "ddtp-control"])
def test_converted_recipe_gives_the_published_adam_steps(float64, name):
    """Adam's steps are the published ones where our gradient is to our epsilon as theirs is to
    theirs. With linear feedback the forward gradients of a batch of `b` samples are `128 / b`
    times too large there, beside ours.
    """
    row, recipe = meulemans2020.RECIPES.published()[f"cifar10-cnn/{name}"], tp.recipe(f"meulemans2020/cifar10-cnn/{name}")
    network = recipe.architecture.build((3, 32, 32), 10, key=jax.random.key(0), dtype=jnp.float64)
    x = jax.random.normal(jax.random.key(1), (SAMPLES, 3, 32, 32), jnp.float64)
    y = jnp.array([3, 7])
    feedback = recipe.rule.init(network, key=jax.random.key(3))
    noise = recipe.rule.learner.noise.on_layers(network.trace(x), jax.random.key(4))
    loss = tp.SoftmaxCrossEntropy()
    example = Example(loss, x, y, recipe.stepsize, noise=NoiseDraw(noise))
    ours = eqx.filter_jit(partial(minibatch_step, recipe.rule))(network, feedback, example)
    published = eqx.filter_jit(partial(published_steps, row, difference=name == "ddtp-linear"))
    theirs, theirs_feedback = published(network, feedback, x, y, noise)
    forward = (layer.weight for layer in ours.gradients.layers)
    for mine, published, adam, rate, epsilon in zip(
        forward, theirs, recipe.optimizer.optimizers, row["lr"], row["epsilon"], strict=True
    ):
        assert adam.learning_rate == pytest.approx(rate / row["target_stepsize"])
        assert_same_ratio(mine / adam.eps, published / epsilon * SAMPLES / meulemans2020.BATCH)
    mappings = (g.dense.weight for g in ours.feedback.gradients)
    for mine, published, adam in zip(mappings, theirs_feedback, recipe.feedback_optimizer.optimizers, strict=True):
        assert adam.learning_rate == row["lr_fb"]
        assert_same_ratio(mine / adam.eps, published / row["epsilon_fb"])


def assert_same_ratio(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8 * float(jnp.max(jnp.abs(theirs))))


def test_backpropagation_follows_the_gradient_of_the_loss():
    """Its published gradients are those of the loss, like ours: only the learning rates are per
    layer.
    """
    row, recipe = meulemans2020.RECIPES.published()["cifar10-cnn/bp"], tp.recipe("meulemans2020/cifar10-cnn/bp")
    assert [adam.eps for adam in recipe.optimizer.optimizers] == row["epsilon"]
    assert [adam.learning_rate for adam in recipe.optimizer.optimizers] == row["lr"]
    assert recipe.stepsize == 1
