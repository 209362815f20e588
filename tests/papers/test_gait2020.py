"""The configurations of the GAIT-prop paper: appendix B."""

import jax
import jax.numpy as jnp
import pytest

import targetprop as tp
from targetprop.experiments.sources import recipe_names
from targetprop.networks.activations import Identity, LeakyReLU
from targetprop.papers.gait2020 import recipes as gait2020
from targetprop.rules import ExactRule


def weights(recipe):
    network = jax.eval_shape(lambda: recipe.architecture.build((1, 28, 28), 10, key=jax.random.key(0), dtype=jnp.float32))
    return [getattr(layer, "dense", layer).weight.shape for layer in network.layers]


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith("gait2020/mnist/")])
def test_every_configuration_builds_a_network_of_square_layers(name):
    recipe = tp.recipe(name)
    kind = name.split("/")[3:] or ["depth-4"]
    if kind == ["tower"]:
        assert weights(recipe) == [(784, 784), (500, 500), (200, 200), (10, 10)]
    else:
        depth = 4 if kind == ["linear"] else int(kind[0].removeprefix("depth-"))
        assert weights(recipe) == [(784, 784)] * (depth + 1)
    assert recipe.architecture.activation == (Identity() if kind == ["linear"] else LeakyReLU(0.1))
    assert (recipe.batch_size, recipe.schedule.epochs, recipe.validation) == (60, 100, 0)
    assert isinstance(recipe.rule, ExactRule) or recipe.rule.name == "bp"


@pytest.mark.parametrize(
    ("method", "rate", "strength"), [("bp", 1e-4, None), ("tp-exact", 1e-5, 1000.0), ("gait", 1e-4, 0.1)]
)
def test_the_parameters_in_bold_are_those_of_the_figures(method, rate, strength):
    recipe = tp.recipe(f"gait2020/kmnist/{method}")
    assert recipe.dataset == "kmnist"
    assert recipe.optimizer == tp.AdamWithoutBiasCorrection(rate, 0.9, 0.99, 1e-8)
    assert recipe.penalty == (None if strength is None else tp.OrthogonalityPenalty(strength))
    assert recipe.architecture.initializer == ("xavier-normal" if strength is None else "orthogonal")
    if method == "gait":
        assert recipe.rule.gamma == 1e-3


def test_the_grid_is_three_rates_times_four_strengths():
    names = gait2020.RECIPES.grid("gait")
    recipes = [gait2020.RECIPES.build(name) for name in names]
    assert {recipe.optimizer.learning_rate for recipe in recipes} == {1e-3, 1e-4, 1e-5}
    strengths = [recipe.penalty.strength if recipe.penalty else 0.0 for recipe in recipes[:4]]
    assert strengths == [0.0, 0.1, 10.0, 1000.0]
    with pytest.raises(tp.ConfigError, match="no configuration 'mnist/gait/depth-5'"):
        gait2020.RECIPES.build("mnist/gait/depth-5")
