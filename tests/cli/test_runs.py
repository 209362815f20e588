"""A run that is done: its networks evaluated and used, its settings trained again."""

import csv
import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.cli import main, read, runs
from targetprop.cli.tree import UsageError
from targetprop.experiments.found import found_recipe
from targetprop.training.loading import read_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of seeds that do not follow each other."""
    folder = tmp_path_factory.mktemp("run")
    recipe = tp.recipe("dtp").replace(
        rule=tp.dtp(sigma=0.25), architecture=tp.MLP((8,)), optimizer=tp.Adam(0.1), schedule=tp.Schedule(2)
    )
    assert tp.train(recipe, seeds=[4, 7], out=folder, progress=False).finished
    return folder


@pytest.fixture(scope="module")
def reported(folder):
    return json.loads((folder / "result.json").read_text())["seeds"]


def document(capfd, *args) -> dict:
    assert main([*map(str, args), "--json"]) == 0
    return json.loads(capfd.readouterr().out)


@pytest.mark.parametrize(("flags", "name"), [((), "test_error"), (("--last",), "last_test_error")])
def test_evaluate_prints_the_error_that_was_reported(capfd, folder, reported, flags, name):
    found = document(capfd, "evaluate", folder, *flags)
    assert (found["rule"], found["dataset"], found["part"], found["unit"]) == ("dtp", "digits", "test", "%")
    assert [(one["seed"], one["error"]) for one in found["seeds"]] == [(one["seed"], one[name]) for one in reported]
    assert main(["evaluate", str(folder), *flags]) == 0
    assert f"{reported[0][name]:.4g}" in capfd.readouterr().out


def test_evaluate_takes_another_data_set_and_the_training_samples(capfd, folder):
    digits = tp.load("digits").in_unit_range()
    network = tp.load_run(folder).best[0].network
    wrong = np.mean(np.asarray(network(jnp.asarray(digits.train_x))).argmax(axis=1) != digits.train_y)
    found = document(capfd, "evaluate", folder, "--dataset", "digits:unit", "--part", "train")
    assert found["dataset"] == "digits:unit"
    assert found["seeds"][0]["error"] == pytest.approx(100 * wrong, rel=1e-6)


def test_predictions_have_the_reported_error(capfd, folder, reported, tmp_path):
    digits = tp.load("digits")
    found = document(capfd, "predict", folder, "--out", tmp_path / "new" / "p.npz")
    assert found["seeds"] == [4, 7]
    with np.load(tmp_path / "new" / "p.npz") as file:
        stored = dict(file)
    assert stored["seeds"].tolist() == [4, 7]
    assert np.array_equal(stored["targets"], digits.test_y)
    assert stored["outputs"].shape == (2, 360, 10)
    assert np.array_equal(stored["predictions"], stored["outputs"].argmax(axis=2))
    errors = 100 * np.mean(stored["predictions"] != digits.test_y, axis=1)
    assert errors == pytest.approx([one["test_error"] for one in reported], rel=1e-6)
    assert main(["predict", str(folder), "--out", str(tmp_path / "p.csv")]) == 0
    with open(tmp_path / "p.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["sample", "target", "seed4", "seed7"]
    assert np.array_equal(np.array(rows, int), np.column_stack([np.arange(360), digits.test_y, *stored["predictions"]]))


def test_predictions_of_a_regression_have_a_column_for_each_output(tmp_path):
    recipe = tp.recipe("bp", "teacher").replace(architecture=tp.MLP((3,)), schedule=tp.Schedule(1))
    tp.train(recipe, out=tmp_path / "run", progress=False)
    assert main(["predict", str(tmp_path / "run"), "--out", str(tmp_path / "p.csv")]) == 0
    teacher, network = tp.load("teacher"), tp.load_run(tmp_path / "run").best[0].network
    with open(tmp_path / "p.csv", newline="") as file:
        head, *rows = csv.reader(file)
    outputs = [f"{i}" for i in range(1, teacher.outputs + 1)]
    assert head == ["sample", *(f"target_{i}" for i in outputs), *(f"seed0_{i}" for i in outputs)]
    values = np.array(rows, float)[:, 1:]
    assert values[:, : teacher.outputs] == pytest.approx(teacher.test_y)
    assert values[:, teacher.outputs :] == pytest.approx(
        np.asarray(network(jnp.asarray(teacher.test_x))), rel=1e-4, abs=1e-5
    )


def test_the_config_of_a_run_trains_it_again(capfd, folder, reported):
    assert document(capfd, "train", "--config", folder / "config.json")["seeds"] == reported


def test_flags_change_what_the_config_says(capfd, folder, tmp_path):
    flags = ("--sigma", "0.5", "--epochs", "1", "--first-seed", "7", "--seeds", "1", "--out", tmp_path)
    found = document(capfd, "train", "--config", folder / "config.json", *flags)
    assert [one["seed"] for one in found["seeds"]] == [7]
    before, after = (read_config(path / "config.json").recipe for path in (folder, tmp_path))
    assert after == before.replace(rule=tp.dtp(sigma=0.5), schedule=tp.Schedule(1))


def test_the_file_of_a_search_trains_its_best_values(capfd, tmp_path):
    path, flags = tmp_path / "dtp.json", ("--epochs", "1", "--hidden", "8")
    best = {"optimizer.learning_rate": 0.0125, "rule.learner.noise.sigma": 0.0625, "stepsize": 0.5}
    path.write_text(json.dumps({"rule": "dtp", "dataset": "digits", "best": best, "other": 1}))
    assert document(capfd, "train", "--from", path, *flags, "--out", tmp_path / "run")["rule"] == "dtp"
    expected = tp.recipe("dtp").replace(stepsize=0.5)
    assert (found_recipe(path).stepsize, found_recipe(path).schedule) == (0.5, expected.schedule)
    recipe = read_config(tmp_path / "run" / "config.json").recipe
    assert (recipe.stepsize, recipe.optimizer.learning_rate, recipe.rule.learner.noise.sigma) == (0.5, 0.0125, 0.0625)
    assert recipe.schedule.epochs == 1
    call = read(["train", f"--from={path}", "--dataset", "teacher", "--first-seed", "3"])
    assert (call.options.recipe.dataset, call.options.first_seed, call.options.seeds) == ("teacher", 3, 1)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "is damaged, or is not the file of a search"),
        ('{"rule": "dtp"}', "is damaged, or is not the file of a search"),
        ('{"rule": "own", "dataset": "digits", "best": {}}', "No rule or recipe is called 'own'"),
        ('{"rule": "bp", "dataset": "digits", "best": {"rule.sigma": 1}}', r"has a value for rule\.sigma"),
    ],
)
def test_a_file_that_is_not_of_a_search_is_refused(document, message, tmp_path):
    (tmp_path / "s.json").write_text(document)
    with pytest.raises(tp.ConfigError, match=message):
        found_recipe(tmp_path / "s.json")
    with pytest.raises(tp.ConfigError, match=r"There is no file .*none\.json"):
        found_recipe(tmp_path / "none.json")


def test_runs_that_cannot_be_trained_again_say_why(capfd, folder, tmp_path):
    digits = tp.load("digits")
    mine = tp.Dataset("mine", digits.train_x, digits.train_y, digits.test_x, digits.test_y, digits.shape, 10)
    recipe = read_config(folder / "config.json").recipe.replace(schedule=tp.Schedule(1))
    tp.train(recipe, mine, out=tmp_path / "mine", progress=False)
    tp.train([recipe, recipe.replace(stepsize=0.5)], seeds=2, out=tmp_path / "two", progress=False)
    for command, message in {
        f"train --config {tmp_path}/mine/config.json": "trained on data in memory, called mine: give a --dataset",
        f"evaluate {tmp_path}/mine": "trained on data in memory, called mine: give a --dataset",
        f"train --config {tmp_path}/two/config.json": "Each seed of this run has its own recipe",
        f"train dtp --config {folder}/config.json": "--config names the recipe: leave out dtp",
        f"train --config {folder}/config.json --from x.json": "--config and --from both name a recipe",
        f"train --config {tmp_path}/none.json": "There is no file",
        f"evaluate {tmp_path}": "There is no checkpoint",
        f"evaluate {folder} --dataset teacher": "takes 64 inputs, but teacher has",
        f"predict {folder} --out p.txt": "p.txt has no known ending: use .npz or .csv",
        "evaluate": "needs RUN",
    }.items():
        assert main(command.split()) == 2
        assert message in capfd.readouterr().err
    assert main(["evaluate", f"{tmp_path}/mine", "--dataset", "digits"]) == 0
    assert main(["evaluate", f"{tmp_path}/two"]) == 0


def test_a_name_and_another_start_do_not_mix():
    with pytest.raises(UsageError, match="leave out bp"):
        read(["train", "bp", "--from", "x.json"])


def test_predictions_have_the_names_of_the_classes(folder, tmp_path, monkeypatch):
    digits = tp.load("digits")
    words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    monkeypatch.setattr(runs, "load", lambda name: dataclasses.replace(digits, labels=words))
    assert main(["predict", str(folder), "--dataset", "digits", "--out", str(tmp_path / "p.csv")]) == 0
    with open(tmp_path / "p.csv", newline="") as file:
        _, *rows = csv.reader(file)
    assert [row[1] for row in rows] == [words[label] for label in digits.test_y]
    assert {word for row in rows for word in row[2:]} <= set(words)
