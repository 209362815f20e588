"""A whole run: what it returns and what it leaves in its folder."""

import dataclasses
import json
from operator import itemgetter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.training.checkpoint import CHECKPOINT, read_checkpoint
from targetprop.training.ensemble import Ensemble


def records(folder, seed=None) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if seed is None or line["seed"] == seed]


def trained(folder, recipe, seeds, data):
    """The members at the end of a finished run."""
    return read_checkpoint(folder / CHECKPOINT).part(Ensemble([recipe] * len(seeds), seeds, data).members, 0)


def output(network, x) -> np.ndarray:
    """The output of a network of tanh layers and a linear one, in double precision."""
    h = np.float64(x)
    for i, layer in enumerate(network.layers, start=1):
        h = h @ np.float64(layer.weight).T + np.float64(layer.bias)
        h = np.tanh(h) if i < network.depth else h
    return h


@pytest.fixture(scope="module")
def folder(dtp, toy, tmp_path_factory):
    """The folder of a finished run of three seeds."""
    folder = tmp_path_factory.mktemp("run")
    assert tp.train(dtp, toy, seeds=[0, 1, 2], out=folder, progress=False).finished
    return folder


def test_three_seeds_together_have_the_numbers_of_each_alone(folder, dtp, toy, tmp_path):
    for seed in range(3):
        alone = tp.train(dtp, toy, seeds=[seed], out=tmp_path / str(seed), progress=False)
        assert records(tmp_path / str(seed)) == records(folder, seed)
        assert alone.seeds[0].to_json() == json.loads((folder / "result.json").read_text())["seeds"][seed]


def test_what_the_folder_holds(folder, dtp):
    names = {path.name for path in folder.iterdir()}
    files = {"config.json", "metrics.jsonl", "result.json", "run.lock", CHECKPOINT, "checkpoint.previous.safetensors"}
    assert names == files | {"models", "tensorboard"}
    config = json.loads((folder / "config.json").read_text())
    assert config["seeds"] == [0, 1, 2]
    assert config["recipe"]["rule"]["name"] == "dtp"
    assert config["recipe"]["rule"]["learner"]["noise"]["sigma"] == dtp.rule.learner.noise.sigma
    assert config["recipe"]["schedule"] == {
        "type": "Schedule",
        "epochs": 2,
        "pretraining": 1,
        "between": 1,
        "alternating": False,
    }
    assert (config["data"]["name"], config["data"]["train"], config["data"]["test"]) == ("toy", 60, 20)
    assert config["versions"]["jax"] == jax.__version__


def test_records_come_epoch_by_epoch(folder):
    assert [(r["epoch"], r["seed"]) for r in records(folder)] == [(e, s) for e in (0, 1, 2) for s in (0, 1, 2)]
    assert all(len(r["feedback_loss"]) == 2 for r in records(folder))
    assert all("test_error" not in r for r in records(folder)[:3])


def test_reported_errors_are_those_of_the_trained_network(folder, dtp, toy):
    members = trained(folder, dtp, [0, 1, 2], toy)
    for seed in range(3):
        network = jax.tree.map(itemgetter(seed), members.state.network)
        held = np.asarray(members.split.validation[seed])
        last = records(folder, seed)[-1]
        for x, y, name in (
            (toy.test_x, toy.test_y, "test"),
            (toy.train_x[held], toy.train_y[held], "validation"),
        ):
            h = output(network, x)
            p = np.exp(h) / np.exp(h).sum(axis=1, keepdims=True)
            assert last[f"{name}_error"] == pytest.approx(100 * np.mean(h.argmax(axis=1) != y), rel=1e-5)
            assert last[f"{name}_loss"] == pytest.approx(-np.log(p[np.arange(len(y)), y]).mean(), rel=1e-4)


def test_the_best_epoch_is_that_of_the_lowest_validation_error(bp, toy):
    for seed in tp.train(bp, toy, seeds=3, progress=False).seeds:
        errors = [record["validation_error"] for record in seed.history]
        assert seed.best_epoch == 1 + errors.index(min(errors))
        assert seed.test_error == seed.history[seed.best_epoch - 1]["test_error"]


def test_training_lowers_the_training_loss(bp, toy):
    for seed in tp.train(bp.replace(optimizer=tp.Adam(0.01)), toy, seeds=3, progress=False).seeds:
        assert seed.train_loss < seed.history[0]["train_loss"]


def test_labels_of_the_test_set_change_nothing_but_the_test_error(folder, dtp, toy, tmp_path):
    turned = dataclasses.replace(toy, test_y=(toy.test_y + 1) % 3)
    tp.train(dtp, turned, seeds=[0, 1, 2], out=tmp_path, progress=False)
    for one, other in zip(records(folder), records(tmp_path), strict=True):
        assert {k: v for k, v in one.items() if "test" not in k} == {k: v for k, v in other.items() if "test" not in k}
    assert [r["test_error"] for r in records(folder)[3:]] != [r["test_error"] for r in records(tmp_path)[3:]]
    one, other = (read_checkpoint(path / CHECKPOINT).arrays for path in (folder, tmp_path))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_nothing_is_written_without_a_folder(bp, toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tp.train(bp, toy, seeds=3, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_replaced_only_when_that_is_said(folder, dtp, toy, tmp_path):
    tp.train(dtp.replace(stepsize=0.1), toy, seeds=[0, 1, 2], out=tmp_path, progress=False)
    before = records(tmp_path)
    assert before != records(folder)
    with pytest.raises(tp.ConfigError, match="replace it with `overwrite`"):
        tp.train(dtp, toy, seeds=[0, 1, 2], out=tmp_path, progress=False)
    assert records(tmp_path) == before
    tp.train(dtp, toy, seeds=[0, 1, 2], out=tmp_path, overwrite=True, progress=False)
    assert records(tmp_path) == records(folder)


def test_a_folder_is_refused_before_data_and_network(bp, tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text('{"recipe": {}, "seeds": [0]}')
    monkeypatch.setattr("targetprop.training.run.load", lambda name: pytest.fail("the data set was loaded"))
    with pytest.raises(tp.ConfigError, match="There is a run in"):
        tp.train(bp, out=tmp_path)
    with pytest.raises(tp.UserError, match="is not a folder"):
        tp.train(bp, out=tmp_path / "config.json" / "run")


def test_the_bar_says_what_is_being_done(dtp, toy, monkeypatch):
    notes = []
    monkeypatch.setattr("targetprop.training.progress.ProgressBar.note", lambda bar, text: notes.append(text))
    result = tp.train(dtp.replace(schedule=tp.Schedule(2, pretraining=1, between=0)), toy)
    first, second = (f"test {record['test_error']:.2f} {result.unit}" for record in result.seeds[0].history)
    assert notes == [
        "compiling",
        "pretraining, feedback pass 1",
        "epoch 1 of 2",
        f"epoch 1 of 2, {first}",
        f"epoch 2 of 2, {first}",
        f"epoch 2 of 2, {second}",
    ]


def test_a_seed_names_one_run_of_a_folder(bp, toy, tmp_path):
    with pytest.raises(tp.ConfigError, match="not all different"):
        tp.train([bp, bp], toy, seeds=[3, 3], out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_seed_counts_once(bp, toy):
    with pytest.raises(tp.ConfigError, match="not all different"):
        tp.train(bp, toy, seeds=[1, 1], progress=False)


def test_one_recipe_for_each_seed(bp, toy):
    recipes = [bp, bp.replace(stepsize=0.1), bp.replace(optimizer=tp.Adam(0.02))]
    together = tp.train(recipes, toy, seeds=[5, 5, 5], progress=False)
    for recipe, seed in zip(recipes, together.seeds, strict=True):
        assert tp.train(recipe, toy, seeds=[5], progress=False).seeds[0].history == seed.history


def test_double_precision(bp, toy, tmp_path):
    recipe = bp.replace(dtype="float64", schedule=tp.Schedule(1))
    assert tp.train(recipe, toy, seeds=[0], out=tmp_path, progress=False).finished
    assert not jax.config.jax_enable_x64
    floats = {array.dtype for array in read_checkpoint(tmp_path / CHECKPOINT).arrays if array.dtype.kind == "f"}
    assert floats == {np.dtype("float64")}
    with jax.enable_x64(True):
        network = jax.tree.map(itemgetter(0), trained(tmp_path, recipe, [0], toy).state.network)
        h = output(network, toy.test_x)
    loss = np.log(np.exp(h).sum(axis=1)) - h[np.arange(20), toy.test_y]
    assert records(tmp_path)[-1]["test_loss"] == pytest.approx(loss.mean(), rel=1e-12)


def test_regression_without_validation_samples(bp, tmp_path):
    """The errors are mean squared errors, and the best epoch is the last."""
    teacher = tp.load("teacher", sizes=(4, 10, 2), train=80, test=30)
    recipe = bp.replace(optimizer=tp.Adam(0.03), validation=0, schedule=tp.Schedule(5))
    result = tp.train(recipe, teacher, out=tmp_path, progress=False)
    assert result.unit == "MSE"
    assert result.seeds[0].best_epoch == 5
    assert all(record["validation_error"] is None for record in result.seeds[0].history)
    network = jax.tree.map(itemgetter(0), trained(tmp_path, recipe, [0], teacher).state.network)
    direct = np.mean((output(network, teacher.test_x) - teacher.test_y) ** 2)
    assert result.last_test_error.mean == pytest.approx(direct, rel=1e-4)
    first = Ensemble([recipe], [0], teacher).member(0).state.network
    assert direct < np.mean((output(first, teacher.test_x) - teacher.test_y) ** 2)


@pytest.mark.parametrize("number", [0, -1])
def test_checkpoints_come_every_epoch_or_less_often(bp, toy, number):
    with pytest.raises(ValueError, match=f"`checkpoint_every` is {number} epochs: use 1 or more"):
        tp.train(bp, toy, checkpoint_every=number, progress=False)


def test_a_set_of_the_callers_own_has_a_default_number_of_validation_samples(bp, toy):
    ensemble = Ensemble([bp.replace(validation=None)], [0], toy)
    assert ensemble.member(0).split.validation.shape == (6,)
    assert jnp.all(jnp.isfinite(ensemble.member(0).state.network.layers[0].weight))
