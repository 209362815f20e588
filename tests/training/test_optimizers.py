"""Optimizers as data."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import targetprop as tp
from targetprop.networks.layers import parameters
from targetprop.networks.network import mlp
from targetprop.rules.presets import ddtp_rhl
from targetprop.training.ensemble import Ensemble
from targetprop.training.values import set_values

KEY = jax.random.key(0)


def steps(optimizer, trained, number: int = 3):
    """The parameters after some steps with gradients that are the parameters themselves."""
    transform = optimizer.transform()
    state = transform.init(trained)
    for _ in range(number):
        updates, state = transform.update(trained, state, trained)
        trained = optax.apply_updates(trained, updates)
    return trained


def test_each_layer_follows_its_own_optimizer():
    trained = parameters(mlp([4, 3, 2], key=KEY))
    optimizers = (tp.Adam(0.1, eps=1e-3), tp.SGD(0.2))
    together = steps(tp.PerLayer(optimizers), trained)
    for layer, optimizer in enumerate(optimizers):
        alone = steps(optimizer, trained).layers[layer]
        for one, other in zip(jax.tree.leaves(together.layers[layer]), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)


def test_a_decaying_rate_falls_linearly_and_stays():
    transform = tp.SGD(0.5, schedule=tp.LinearDecay(0.2), steps=4).transform()
    one, rates = jnp.ones(()), []
    state = transform.init(one)
    for _ in range(6):
        update, state = transform.update(one, state)
        rates.append(-float(update))
    np.testing.assert_allclose(rates, [0.5, 0.4, 0.3, 0.2, 0.1, 0.1], rtol=1e-6)


@pytest.mark.parametrize("rule", [tp.ddtp_linear(), ddtp_rhl(width=8)], ids=lambda rule: rule.name)
def test_each_mapping_follows_its_own_optimizer(rule):
    network = mlp([4, 3, 3, 2], key=KEY)
    trained = parameters(rule.init(network, key=KEY))
    after = steps(tp.PerLayer((tp.SGD(0.0), tp.SGD(0.5))), trained)
    maps = [getattr(tree, "maps", tree) for tree in (trained, after)]
    np.testing.assert_array_equal(maps[0][0].dense.weight, maps[1][0].dense.weight)
    np.testing.assert_allclose(maps[1][1].dense.weight, maps[0][1].dense.weight / 8, rtol=1e-6)


def test_a_layer_without_an_optimizer_is_named():
    with pytest.raises(tp.ConfigError, match="layer 2"):
        tp.PerLayer((tp.SGD(),)).transform().init(parameters(mlp([4, 3, 2], key=KEY)))


def test_layers_that_are_not_trained_need_nothing(toy, bp):
    recipe = bp.replace(optimizer=tp.PerLayer((tp.Adam(1e-2), tp.SGD(1e-2), tp.SGD(1e-2))), trainable=(1, 3))
    result = tp.train(recipe, toy, progress=False)
    assert result.finished
    start = Ensemble([recipe], [0], toy).member(0).state.network
    moved = [
        not np.array_equal(a.weight, b.weight) for a, b in zip(start.layers, result.last[0].network.layers, strict=True)
    ]
    assert moved == [True, False, True]


def test_adam_without_bias_correction_takes_its_averages_as_they_are():
    """By hand, for a gradient `g` and then `2g`: averages `0.1 g`, `0.01 g^2`, then `0.29 g`,
    `0.0499 g^2`.
    """
    transform = tp.AdamWithoutBiasCorrection(0.5, b1=0.9, b2=0.99, eps=0.1).transform()
    g = {"w": np.array([1.0, -3.0]), "b": np.array([0.2])}
    state = transform.init(g)
    for scale, mean, square in ((1, 0.1, 0.01), (2, 0.29, 0.0499)):
        step, state = transform.update(jax.tree.map(lambda v, scale=scale: scale * v, g), state)
        for name, v in g.items():
            np.testing.assert_allclose(step[name], -0.5 * mean * v / (0.1 + np.sqrt(square) * np.abs(v)), rtol=1e-5)


# --- schedules, clipping, weight decay ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (tp.Adam(0.1), optax.adam(0.1)),
        (tp.Adam(0.1, weight_decay=0.2), optax.adamw(0.1, weight_decay=0.2)),
        (tp.SGD(0.1, 0.9), optax.sgd(0.1, 0.9)),
        (tp.SGD(0.1, 0.9, nesterov=True), optax.sgd(0.1, 0.9, nesterov=True)),
        (tp.SGD(0.1, clip=0.5), optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1))),
        (tp.SGD(0.1, 0.9, weight_decay=0.2), optax.chain(optax.add_decayed_weights(0.2), optax.sgd(0.1, 0.9))),
        (tp.RMSProp(0.1), optax.rmsprop(0.1)),
        (tp.SGD(0.1, schedule=tp.CosineDecay(0.2), steps=4), optax.sgd(optax.cosine_decay_schedule(0.1, 4, 0.2))),
        (
            tp.SGD(0.1, schedule=tp.CosineDecay(), warmup=0.5, steps=4),
            optax.sgd(optax.warmup_cosine_decay_schedule(0.0, 0.1, 2, 4)),
        ),
        (
            tp.SGD(0.1, schedule=tp.StepDecay(0.5, 0.3), steps=4),
            optax.sgd(optax.piecewise_constant_schedule(0.1, {2: 0.3, 4: 0.3})),
        ),
    ],
    ids=lambda one: str(one) if isinstance(one, tp.Optimizer) else "optax",
)
def test_an_optimizer_takes_the_steps_of_optax(ours, theirs):
    trained = {"w": jnp.array([1.0, -3.0]), "b": jnp.array([0.2])}
    other = trained
    transform = ours.transform()
    state, theirs_state = transform.init(trained), theirs.init(other)
    for _ in range(6):
        updates, state = transform.update(trained, state, trained)
        trained = optax.apply_updates(trained, updates)
        updates, theirs_state = theirs.update(other, theirs_state, other)
        other = optax.apply_updates(other, updates)
        for name in trained:
            np.testing.assert_allclose(trained[name], other[name], rtol=1e-5)


def test_a_schedule_lasts_as_long_as_the_run(toy, bp):
    """With a rate that falls to 0 at half of the steps, the second half changes nothing."""
    recipe = bp.replace(schedule=tp.Schedule(4), optimizer=tp.SGD(0.1, schedule=tp.StepDecay(0.5, 0.0)))
    whole = tp.train(recipe, toy, progress=False)
    halfway = tp.train(recipe.replace(schedule=tp.Schedule(2), optimizer=tp.SGD(0.1)), toy, progress=False)
    for one, other in zip(jax.tree.leaves(whole.last[0].network), jax.tree.leaves(halfway.last[0].network), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_schedule_without_a_length_is_refused():
    with pytest.raises(tp.ConfigError, match="`steps`"):
        tp.SGD(0.1, schedule=tp.CosineDecay()).transform()


def test_any_transformation_of_optax_trains(toy, bp):
    one = tp.train(bp.replace(optimizer=optax.sgd(0.1, 0.9)), toy, progress=False)
    other = tp.train(bp.replace(optimizer=tp.SGD(0.1, 0.9)), toy, progress=False)
    for a, b in zip(jax.tree.leaves(one.last[0].network), jax.tree.leaves(other.last[0].network), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    with pytest.raises(TypeError, match="`optimizer`"):
        bp.replace(optimizer="adam")


def test_injected_numbers_are_fields(toy, bp):
    injected = tp.Recipe(bp.rule, optimizer=optax.inject_hyperparams(optax.sgd)(learning_rate=0.1)).optimizer
    assert injected.numbers == {"learning_rate": pytest.approx(0.1)}
    changed = set_values(injected, {"numbers.learning_rate": 0.3})
    one = jnp.ones(())
    transform = changed.transform()
    assert float(transform.update(one, transform.init(one), one)[0]) == pytest.approx(-0.3)
    recipes = [bp.replace(optimizer=optimizer) for optimizer in (injected, changed)]
    together = tp.train(recipes, toy, seeds=[0, 1], progress=False)
    alone = tp.train(recipes[1], toy, seeds=[1], progress=False)
    for a, b in zip(jax.tree.leaves(together.last[1].network), jax.tree.leaves(alone.last[0].network), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
