"""Recipes by name, and the conversion of the published values."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.experiments import UnknownRecipeError, recipe_names
from targetprop.feedback.maps import direct_paths
from targetprop.networks.layers import parameters
from targetprop.papers.meulemans2020 import recipes as meulemans2020
from targetprop.rules import RULES
from targetprop.rules.contract import Minibatch
from targetprop.training.values import has_value, set_values


@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_a_default_recipe(name):
    recipe = tp.recipe(name, "digits")
    assert recipe.rule.name == name
    assert recipe.dataset == "digits"


def test_a_rule_object_keeps_its_own_numbers():
    assert tp.recipe(tp.dtp(sigma=0.123), "digits").rule.learner.noise.sigma == 0.123
    assert tp.recipe(tp.dtp(sigma=0.123), "mnist").rule.learner.noise.sigma == 0.123


def test_a_data_set_in_another_spelling_has_the_recipe_of_that_set():
    assert tp.recipe("ddtp-linear", "FashionMNIST") == tp.recipe("ddtp-linear", "fashion-mnist")
    assert tp.recipe("ddtp-linear", "MNIST") != tp.recipe("ddtp-linear", "fashion-mnist")


def test_unknown_names_are_answered_with_close_ones():
    with pytest.raises(UnknownRecipeError, match="ddtp-linear"):
        tp.recipe("ddtp-liner")


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith("meulemans2020/")])
def test_every_published_recipe_builds_its_network(name):
    recipe = tp.recipe(name)
    shape = (3, 32, 32) if recipe.dataset == "cifar10" else (1, 28, 28)
    network = jax.eval_shape(lambda: recipe.architecture.build(shape, 10, key=jax.random.key(0), dtype=jnp.float32))
    widths = [layer.weight.shape[0] for layer in network.layers]
    hidden = [32, 64, 512] if "cnn" in name else [1024] * 3 if recipe.dataset == "cifar10" else [256] * 5
    assert widths == [*hidden, 10]
    assert recipe.schedule.epochs >= 100
    assert recipe.validation == (0 if name.endswith("train-loss") else None)


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith("farias2018/")])
def test_gradient_targets_as_published(name):
    """The sizes stand in the name; Tables 1 to 3 give the number of layers 30 epochs, or 60 from
    three hidden layers on.
    """
    recipe, widths = tp.recipe(name), [int(width) for width in name.split("/")[2].split("-")]
    shape = (3, 32, 32) if "cifar10" in name else (1, 28, 28)
    network = jax.eval_shape(lambda: recipe.architecture.build(shape, 10, key=jax.random.key(0), dtype=jnp.float32))
    assert [network.layers[0].weight.shape[1], *(layer.weight.shape[0] for layer in network.layers)] == widths
    assert all(layer.bias is None and layer.activation == tp.Sigmoid() for layer in network.layers)
    assert recipe.schedule.epochs == (60 if len(widths) == 5 else 30)
    assert recipe.batch_size == (20 if name.endswith("/batch-20") else 1)
    assert (recipe.rule.integrator.steps, recipe.rule.start) == (1, tp.AtZero())
    assert recipe.validation == (0 if "cifar10" in name else 10_000)


CHAPTER_6 = "thesis2019/dendrites/"
OURS = ("mtp", "mtp-ai", "bp-normalized", "bp-fixed-normalized")
"""Algorithms A.1 and A.3 and their controls: no numbers of them are published."""
PUBLISHED = [
    name
    for name in recipe_names()
    if name.startswith("thesis2019/") and not name.startswith(CHAPTER_6) and name.split("/")[-1] not in OURS
]


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith(CHAPTER_6)])
def test_networks_in_continuous_time_fit_their_task(name):
    """Every rule takes its network, which has three hidden layers or more; square ones are square
    from the second on.
    """
    recipe = tp.recipe(name)
    shape, outputs = {"digits": ((64,), 10), "mnist": ((1, 28, 28), 10)}.get(recipe.dataset, ((6,), 6))
    network = recipe.architecture.build(shape, outputs, key=jax.random.key(0), dtype=jnp.float32)
    assert network.depth >= 4
    recipe.rule.init(network, key=jax.random.key(1))
    if "/square-" in name:
        assert all(layer.weight.shape[0] == layer.weight.shape[1] for layer in network.layers[1:])
        assert recipe.rule.name in ("bp", "tp-exact") or recipe.rule.mappings == tp.ExactInverses()
    else:
        assert network.shapes[-1] == (outputs,)


@pytest.mark.parametrize("name", PUBLISHED)
def test_learned_inverses_as_published(name):
    """Captions of Figs 5.7 and 5.13 to 5.19; the output loss of the thesis is twice ours, its
    feedback rate too.
    """
    recipe, (_, task, *_, method) = tp.recipe(name), name.split("/")
    backprop = method.startswith("bp")
    assert recipe.stepsize == (2.0 if backprop else 0.2)
    assert (recipe.update_mask == tp.OneRandomLayer()) == ("randomized" in name)
    assert recipe.trainable == ({"deep": (5,)}.get(task, (2,)) if method == "bp-fixed" else None)
    rates = {
        "equal": {"tp-ai": 0.09, "dtp-ai": 0.1, "original-tp": 0.01, "original-dtp": 0.1, "bp": 0.01, "bp-fixed": 0.01},
        "contracting": {
            "tp-ai": 0.09,
            "dtp-ai": 0.1,
            "original-tp": 0.005,
            "original-dtp": 0.1,
            "bp": 0.05,
            "bp-fixed": 0.05,
        },
        "deep": {"tp-ai": 1e-4, "bp": 5e-6, "bp-fixed": 5e-6},
        "exact": {"tp-ei": 0.01, "mtp-ei": 0.0005, "bp": 0.001, "bp-fixed": 0.001},
    }
    assert recipe.optimizer.learning_rate == rates[task][method]
    assert recipe.optimizer.schedule == tp.LinearDecay(0.2)
    if method.startswith("original"):
        assert recipe.feedback_optimizer.learning_rate == 0.01 / 2
    data = tp.load(recipe.dataset)
    network = recipe.architecture.build(data.shape, data.outputs, key=jax.random.key(0), dtype=jnp.float32)
    widths = {"equal": [6, 6], "contracting": [6, 4], "deep": [6] * 5, "exact": [6, 6]}
    assert [layer.weight.shape[0] for layer in network.layers] == widths[task]
    assert recipe.batch_size == (1 if task == "exact" else 32)
    assert all(layer.bias is None for layer in network.layers)
    feedback = recipe.rule.init(network, key=jax.random.key(1))
    assert all(leaf.ndim == 2 for leaf in jax.tree.leaves(parameters(feedback))), "a bias where the thesis has none"
    assert len(data.train_x) % recipe.batch_size == 0


def test_published_learning_rate_is_divided_by_the_stepsize():
    recipe = tp.recipe("meulemans2020/mnist/ddtp-linear")
    assert recipe.optimizer.learning_rate == pytest.approx(3.338463851366897e-4)  # what the published code hands to Adam


def published_steps(row, network, feedback, x, y, sigma_noise):
    """One minibatch of DDTP-linear as the published code reduces it: losses averaged over batch
    and features, the output target moved by the gradient of the mean loss, the local loss without
    1/2. Returns forward and feedback gradients.
    """
    batch = len(x)

    def output(h, start):
        for layer in network.layers[start:]:
            h = layer.at(h).h
        return h

    hidden = [x]
    for layer in network.layers:
        hidden.append(layer.at(hidden[-1]).h)
    error = jax.grad(lambda h: tp.SoftmaxCrossEntropy().value(h, y).mean())(hidden[-1])
    target = hidden[-1] - row["target_stepsize"] * error
    forward, backward = [], []
    for i, layer in enumerate(network.layers, start=1):
        goal = target
        if i < network.depth:
            goal = feedback[i - 1].at(target).h + hidden[i] - feedback[i - 1].at(hidden[-1]).h
        forward.append(jax.grad(lambda f, i=i, goal=goal: jnp.sum((f.at(hidden[i - 1]).h - goal) ** 2) / batch)(layer))
    for i, g in enumerate(feedback, start=1):
        noisy = hidden[i] + sigma_noise[i - 1]
        moved = output(noisy, i)

        def loss(g, i=i, noisy=noisy, moved=moved):
            rebuilt = g.at(moved).h - g.at(hidden[-1]).h + hidden[i]
            return jnp.mean((rebuilt - noisy) ** 2) / row["sigma"] ** 2

        gradient = jax.grad(loss)(g)
        backward.append(jax.tree.map(lambda d, q: d + row["feedback_wd"] * q, gradient, g))
    return forward, backward


def test_converted_recipe_gives_the_published_adam_steps(float64):
    """The ratio of our gradient to Adam's epsilon must be the published one: then the steps are
    the same.
    """
    from targetprop.feedback.noise import NoiseLoop, output_displacements
    from targetprop.feedback.reconstruction import direct_reconstruction

    row, recipe = meulemans2020.RECIPES.published()["mnist/ddtp-linear"], tp.recipe("meulemans2020/mnist/ddtp-linear")
    network = tp.mlp([20, 256, 256, 10], key=jax.random.key(0), dtype=jnp.float64)
    x = jax.random.normal(jax.random.key(1), (meulemans2020.BATCH, 20), jnp.float64)
    y = jax.random.randint(jax.random.key(2), (meulemans2020.BATCH,), 0, 10)
    rule = recipe.rule
    feedback = rule.init(network, key=jax.random.key(3))
    trace = network.trace(x)
    noise = rule.learner.noise.on_layers(trace, jax.random.key(4))
    updates = rule.target_updates(
        network, feedback, Minibatch(trace, tp.output_update(tp.SoftmaxCrossEntropy(), trace.output, y, recipe.stepsize))
    )
    ours = tp.local_gradients(network, trace, updates).layers
    loop = NoiseLoop(noise, output_displacements(network, trace, noise), None)
    ours_feedback = direct_reconstruction(
        direct_paths(feedback, trace), loop, rule.learner.noise.sigma, rule.learner.regularizer
    ).gradients
    theirs, theirs_feedback = published_steps(row, network, feedback, x, y, noise)
    ours_feedback = [gradient.dense for gradient in ours_feedback]
    theirs_feedback = [gradient.dense for gradient in theirs_feedback]
    for mine, published, eps, published_eps in (
        (ours, theirs, recipe.optimizer.eps, row["epsilon"]),
        (ours_feedback, theirs_feedback, recipe.feedback_optimizer.eps, row["epsilon_fb"]),
    ):
        for a, b in zip(mine, published, strict=True):
            scale = float(jnp.max(jnp.abs(b.weight))) / published_eps
            np.testing.assert_allclose(a.weight / eps, b.weight / published_eps, rtol=1e-6, atol=1e-9 * scale)


def test_values_by_dotted_name():
    recipe = tp.recipe("dtpdrl")
    changed = set_values(
        recipe, {"optimizer.learning_rate": 0.5, "rule.learner.regularizer.strength": 2.0, "stepsize": 0.25}
    )
    assert (changed.optimizer.learning_rate, changed.rule.learner.regularizer.strength, changed.stepsize) == (0.5, 2.0, 0.25)
    assert dataclasses.replace(changed, optimizer=recipe.optimizer, rule=recipe.rule, stepsize=recipe.stepsize) == recipe
    assert has_value(recipe, "rule.learner.noise.sigma")
    assert not has_value(tp.recipe("bp"), "rule.learner.noise.sigma")
    with pytest.raises(AttributeError):
        set_values(recipe, {"rule.nonsense": 1.0})
