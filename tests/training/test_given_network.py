"""A network in place of an architecture. The oracle is the architecture that built it."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.networks.architectures import build_network
from targetprop.training.provenance import describe

KEY = jax.random.key(0)


def built(recipe: tp.Recipe, toy: tp.Dataset, seed: int) -> tp.Network:
    """The network that a seed of a recipe starts from: what a run without any step size leaves."""
    still = recipe.replace(rule=tp.Backprop(), optimizer=tp.SGD(0.0), schedule=tp.Schedule(1))
    return tp.train(still, toy, seeds=[seed], progress=False).last[0].network


def model(shift: float = 0.0) -> list:
    linear = eqx.nn.Linear(8, 4, key=KEY)
    return [eqx.tree_at(lambda m: m.bias, linear, linear.bias + shift), jax.nn.gelu, eqx.nn.Linear(4, 3, key=KEY)]


def test_a_given_network_trains_like_the_architecture_that_built_it(dtp, toy):
    plain = tp.train(dtp, toy, seeds=[3], progress=False)
    given = tp.train(dtp.replace(architecture=built(dtp, toy, 3)), toy, seeds=[3], progress=False)
    assert given.seeds[0].history == plain.seeds[0].history
    assert eqx.tree_equal(given.last[0].network, plain.last[0].network)


def test_every_seed_starts_from_the_same_weights(bp, toy):
    network = tp.from_equinox(model())
    recipe = bp.replace(architecture=network, schedule=tp.Schedule(1), optimizer=tp.SGD(0.0))
    result = tp.train(recipe, toy, seeds=2, progress=False)
    for trained in (entry.network for entry in result.last):
        assert eqx.tree_equal(trained, network)
    assert result.seeds[0].history != result.seeds[1].history


def test_a_trained_model_comes_back(bp, toy):
    start = model()
    result = tp.train(bp.replace(architecture=tp.from_equinox(start)), toy, seeds=1, progress=False)
    first, act, last = tp.to_equinox(result.last[0].network, like=start)
    outputs = jax.vmap(lambda x: last(act(first(x))))(jnp.asarray(toy.test_x))
    wrong = float(np.mean(np.argmax(outputs, axis=1) != toy.test_y))
    assert result.seeds[0].last_test_error == pytest.approx(100 * wrong, rel=1e-6)


def test_the_weights_take_the_type_of_the_recipe(bp, toy):
    network = tp.from_equinox(model())
    (trained,) = tp.train(bp.replace(architecture=network, dtype="float64"), toy, seeds=1, progress=False).last
    assert {leaf.dtype for leaf in jax.tree.leaves(eqx.filter(trained, eqx.is_array))} == {np.dtype("float64")}


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: tp.mlp((7, 3), key=KEY), r"takes samples of shape \(7,\), but those of the data set are \(8,\)"),
        (lambda: tp.mlp((8, 2), key=KEY), r"outputs of shape \(2,\), but the data set needs \(3,\)"),
        (lambda: tp.Network([lambda x: x.reshape(-1, 2, 4)], 8), r"outputs of shape \(2, 4\), but .*\(3,\)"),
    ],
)
def test_a_network_that_does_not_fit_the_data_is_refused(bp, toy, network, message):
    with pytest.raises(tp.ConfigError, match=message):
        tp.train(bp.replace(architecture=network()), toy, seeds=1, progress=False)


@pytest.mark.parametrize(
    ("takes", "given", "fits"),
    [
        ((64,), (1, 8, 8), True),
        ((1, 8, 8), (64,), True),
        ((8, 8, 1), (1, 8, 8), True),
        ((4, 4, 3), (3, 4, 4), False),
        ((1, 4, 16), (1, 8, 8), False),
        ((1, 8, 8), (1, 8, 9), False),
    ],
)
def test_images_keep_their_axes(takes, given, fits):
    """Rows of a data set are reshaped to the input, which must not mix rows, columns and channels."""
    network = tp.Network([lambda x: x.reshape(x.shape[0], -1)], takes)
    if fits:
        assert eqx.tree_equal(build_network(network, given, 3, key=KEY, dtype=jnp.float32), network)
    else:
        with pytest.raises(tp.ConfigError, match="takes samples of shape"):
            build_network(network, given, 3, key=KEY, dtype=jnp.float32)


def test_recipes_with_other_weights_differ(bp):
    one, again, other = (bp.replace(architecture=tp.from_equinox(model(shift))) for shift in (0.0, 0.0, 0.1))
    assert one == again
    assert one != other
    assert one != bp
    assert bp != one
    assert describe(one) == describe(again)
    changed = describe(other)["architecture"]
    assert changed.pop("crc32") != describe(one)["architecture"]["crc32"]
    assert changed.items() < describe(one)["architecture"].items()


def test_a_network_is_described_by_its_layers_and_a_checksum():
    parts = [eqx.nn.Conv2d(1, 2, 3, key=KEY), jnp.tanh, eqx.nn.MaxPool2d(2), jax.nn.gelu, jnp.ravel]
    network = tp.from_equinox([*parts, eqx.nn.Linear(18, 3, use_bias=False, key=KEY)], (1, 6, 6))
    described = describe(network)
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert (described["type"], described["input_shape"]) == ("Network", [1, 6, 6])
    conv, dense = described["layers"]
    assert conv["module"].items() > {"type": "Conv2d", "weight": "float32[2, 1, 3, 3]", "kernel_size": [3, 3]}.items()
    assert [part if isinstance(part, str) else part["type"] for part in conv["then"]] == ["Tanh", "MaxPool2d", "gelu"]
    activation = {"type": "Identity"}
    assert dense == {"type": "Dense", "weight": "float32[3, 18]", "bias": None, "activation": activation}


def test_a_run_continues_only_with_the_same_weights(bp, toy, tmp_path):
    one, other = (bp.replace(architecture=tp.from_equinox(model(shift))) for shift in (0.0, 0.1))
    straight = tp.train(one, toy, seeds=1, progress=False)
    tp.train(one.replace(schedule=tp.Schedule(1)), toy, seeds=1, out=tmp_path / "run", progress=False)
    with pytest.raises(tp.ConfigError, match=r"recipe\.architecture\.crc32 was"):
        tp.train(other, toy, seeds=1, out=tmp_path / "run", resume=True, progress=False)
    resumed = tp.train(one, toy, seeds=1, out=tmp_path / "run", resume=True, progress=False)
    assert eqx.tree_equal(resumed.last[0].network, straight.last[0].network)


def test_rules_are_compared_from_a_given_network(bp, dtp, toy):
    network = tp.from_equinox(model())
    recipes = {"bp": bp, "dtp": dtp}
    given = {name: recipe.replace(architecture=network) for name, recipe in recipes.items()}
    comparison = tp.compare(given, "toy", data=toy, seeds=1, epochs=1, progress=False)
    assert [result.rule for result in comparison.results] == ["bp", "dtp"]
    mixed = {"bp": given["bp"], "dtp": dtp.replace(architecture=tp.from_equinox(model(0.1)))}
    with pytest.raises(tp.ConfigError, match="The recipes differ in architecture"):
        tp.compare(mixed, "toy", data=toy, seeds=1, epochs=1, progress=False)


def test_a_run_is_loaded_with_its_recipe(bp, toy, tmp_path):
    recipe = bp.replace(architecture=tp.from_equinox(model()), schedule=tp.Schedule(1))
    result = tp.train(recipe, toy, seeds=2, out=tmp_path / "run", progress=False)
    loaded = tp.load_run(tmp_path / "run", recipe)
    for trained, again in zip(result.last, loaded.last, strict=True):
        assert eqx.tree_equal(trained.network, again.network)
    with pytest.raises(tp.ConfigError, match=r"recipe\.architecture is a finished network.*tp\.load_run\(folder, recipe\)"):
        tp.load_run(tmp_path / "run")
    with pytest.raises(tp.ConfigError, match="is a finished network, whose weights are not in this description"):
        tp.Recipe.from_json(recipe.to_json())
