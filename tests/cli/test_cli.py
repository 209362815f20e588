"""The command line: one document for --json, one line for a user's error, exit status 0 only when
all went well.
"""

import dataclasses
import json
import re
import statistics
import subprocess
import sys

import pytest

import targetprop as tp
from targetprop.cli import VERBS, main, read
from targetprop.cli.tree import UsageError
from targetprop.dynamics.equilibria import Newton
from targetprop.dynamics.plasticity import ContinuousPlasticity
from targetprop.experiments.catalog import recipe
from targetprop.experiments.sources import recipe_names
from targetprop.rules import GENERAL, RULES

SMALL = ["--epochs", "1", "--hidden", "8"]


def run_json(capfd, *args):
    status = main([*args, "--json"])
    return status, json.loads(capfd.readouterr().out)


def trained(name, *flags):
    """The recipe that `targetprop train NAME FLAGS` would train."""
    return read(["train", name, *flags]).options.recipe


def test_rules(capfd):
    status, document = run_json(capfd, "rules")
    assert status == 0
    assert [entry["name"] for entry in document] == list(RULES)
    assert all(entry["equation"] and entry["source"] for entry in document)
    assert main(["rules"]) == 0
    text = capfd.readouterr().out
    assert all(name in text for name in RULES)
    assert "W_{i+1}^{-1} [s^{-1}(h_{i+1}" in text


def test_train_writes_its_folder_and_one_document(capfd, tmp_path):
    status, document = run_json(capfd, "train", "bp", "--seeds", "2", "--out", str(tmp_path), *SMALL)
    assert status == 0
    assert (document["rule"], document["dataset"]) == ("bp", "digits")
    assert [seed["seed"] for seed in document["seeds"]] == [0, 1]
    for seed in document["seeds"]:
        assert seed["status"] == "finished"
        assert seed["best_epoch"] == 1
        assert 0 <= seed["test_error"] <= 100
        assert seed["test_error"] == seed["last_test_error"]
        assert seed["train_loss"] > 0
    errors = [seed["test_error"] for seed in document["seeds"]]
    assert document["unit"] == "%"
    assert document["test_error"] == {"mean": statistics.fmean(errors), "sd": statistics.stdev(errors), "values": errors}
    for name in ("config.json", "metrics.jsonl", "checkpoint.safetensors", "result.json", "tensorboard"):
        assert (tmp_path / name).exists()
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["recipe"]["architecture"]["hidden"] == [8]
    assert config["versions"]["jax"]
    assert document["settings"] == config["recipe"]


def test_train_takes_every_hyperparameter_as_a_flag(capfd, tmp_path):
    flags = (
        "--sigma 0.2 --regularizer output-noise:0.5 --samples 2 --stepsize 0.3 --activation leaky-relu:0.1 "
        "--lr 0.01 --feedback-optimizer.b1 0.5"
    )
    status, _ = run_json(capfd, "train", "dtpdrl", "--out", str(tmp_path), *SMALL, *flags.split())
    assert status == 0
    recipe = json.loads((tmp_path / "config.json").read_text())["recipe"]
    learner = recipe["rule"]["learner"]
    assert learner["noise"] == {"type": "Gaussian", "sigma": 0.2, "samples": 2}
    assert learner["regularizer"] == {"type": "OutputNoise", "strength": 0.5}
    assert recipe["stepsize"] == 0.3
    assert recipe["optimizer"]["learning_rate"] == 0.01
    assert recipe["feedback_optimizer"]["b1"] == 0.5
    assert recipe["architecture"]["activation"] == {"type": "LeakyReLU", "negative_slope": 0.1}


def test_objects_of_several_numbers_are_one_flag(capfd, tmp_path):
    flags = "--start zero --integrator euler:0.3:2 --cost huber:0.5"
    status, _ = run_json(capfd, "train", "gradient-targets", "--out", str(tmp_path), *SMALL, *flags.split())
    assert status == 0
    rule = json.loads((tmp_path / "config.json").read_text())["recipe"]["rule"]
    assert rule["start"] == {"type": "AtZero"}
    assert rule["integrator"] == {"type": "Euler", "tau": 0.3, "steps": 2}
    assert rule["cost"] == {"type": "HuberCost", "delta": 0.5}


def test_a_run_that_diverges_is_not_a_success(capfd):
    status, document = run_json(capfd, "train", "bp", "--optimizer.learning-rate", "1e38", *SMALL)
    assert status == 1
    assert "layer" in document["seeds"][0]["status"]


def test_train_help_shows_equation_and_defaults(capfd):
    with pytest.raises(SystemExit) as stop:
        main(["train", "dtp", "--help"])
    assert stop.value.code == 0
    text = capfd.readouterr().out
    assert "--sigma" in text
    assert "g_i" in text


@pytest.mark.parametrize("name", {tuple(name.split("/")[::2]): name for name in recipe_names()}.values())
def test_train_help_of_every_published_method(name, capfd):
    with pytest.raises(SystemExit) as stop:
        main(["train", name, "--help"])
    assert stop.value.code == 0
    assert str(recipe(name).batch_size) in capfd.readouterr().out


def test_a_rules_inverse_is_one_flag(capfd):
    rule = trained("thesis2019/exact/tp-ei", "--inverse", "robust-sherman-morrison:0.25").rule
    assert vars(rule.inverse) == {"threshold": 0.25, "limit": 0.1}
    with pytest.raises(SystemExit):
        read(["train", "thesis2019/exact/tp-ei", "--help"])
    assert "robust-sherman-morrison:0.5:0.1" in capfd.readouterr().out


def test_objects_within_objects_are_one_flag():
    flags = (
        "--mappings layerwise:leaky-relu:0.2 --learner activity-reconstruction:weight-decay:0.01 --solver newton:0.001 "
        "--plasticity continuous:5:3"
    )
    rule = trained("two-phase", *flags.split()).rule
    assert (rule.mappings, rule.solver) == (tp.Layerwise(tp.LeakyReLU(0.2)), Newton(0.001))
    assert rule.learner == tp.ActivityReconstruction(tp.WeightDecay(0.01))
    assert (rule.plasticity, rule.mu) == (ContinuousPlasticity(5.0, 3), recipe("two-phase").rule.mu)
    for text, expected in (
        ("exact-inverses", tp.ExactInverses()),
        ("exact-inverses:woodbury", tp.ExactInverses(tp.Woodbury())),
    ):
        assert trained("two-phase", "--mappings", text, "--learner", "none").rule.mappings == expected


def test_a_rule_made_of_the_parts_of_its_preset_has_short_flags():
    rule = trained("dtpdrl", "--sigma", "0.25", "--regularizer", "output-noise:0.5").rule
    default = recipe("dtpdrl").rule
    learner = default.learner
    assert rule.learner.noise == dataclasses.replace(learner.noise, sigma=0.25)
    assert rule.learner.regularizer == tp.OutputNoise(0.5)
    assert (rule.name, rule.mappings) == ("dtpdrl", default.mappings)


def test_a_rule_made_of_other_parts_has_a_flag_for_each_part():
    name = "thesis2019/dendrites/digits/square-multiplexing"
    rule = trained(name, "--mappings", "exact-inverses:lu").rule
    assert rule == dataclasses.replace(recipe(name).rule, mappings=tp.ExactInverses(tp.LUSolve()))


@pytest.mark.parametrize("text", ["layerwise:0.5", "layerwise:woodbury", "exact-inverses:woodbury:1:2:3:4", "sweeps"])
def test_a_field_that_does_not_belong_is_refused(text):
    with pytest.raises(UsageError, match=r"one field too many|is not one of"):
        trained("two-phase", "--mappings", text)


@pytest.mark.parametrize("name", ["two-phase", "thesis2019/dendrites/digits/square-two-phase"])
def test_the_help_writes_objects_as_they_are_read(name, capfd):
    with pytest.raises(SystemExit):
        read(["train", name, "--help"])
    text = capfd.readouterr().out
    flags = ("--mappings", "--solver", "--plasticity")
    written = (re.search(rf"{flag} .*?\(default: (\S+)\)", text, re.DOTALL)[1] for flag in flags)
    args = [word for pair in zip(flags, written, strict=True) for word in pair]
    assert trained(name, *args).rule == recipe(name).rule


def test_compare(capfd, tmp_path):
    args = ["compare", "--rules", "bp", "dfa", "--seeds", "2", "--first-seed", "5", "--epochs", "1", "--out", str(tmp_path)]
    status, document = run_json(capfd, *args)
    assert status == 0
    assert document["dataset"] == "digits"
    assert [entry["rule"] for entry in document["rules"]] == ["bp", "dfa"]
    for entry in document["rules"]:
        assert len(entry["test_error"]["values"]) == 2
        assert set(entry["test_error"]) == {"mean", "sd", "values"} == set(entry["train_loss"])
        assert entry["seconds_per_epoch"] > 0
    assert document["rules"][0]["ratio_to_bp"] == 1
    assert document["baseline"] == "bp"
    assert json.loads((tmp_path / "comparison.json").read_text())["seeds"] == [5, 6]
    assert main([*args, "--resume", "--baseline", "dfa"]) == 0
    text = capfd.readouterr().out
    assert "difference to dfa" in text
    assert str(tmp_path / "table.md") in text
    assert str(tmp_path / "learning-curves.png") in text
    out = tmp_path / "pictures"
    assert main(["plot", str(tmp_path), "--out", str(out), "--format", "svg"]) == 0
    assert capfd.readouterr().out.split() == [str(out / "learning-curves.svg")]
    assert (out / "learning-curves.svg").read_bytes()[:5] == b"<?xml"
    assert main(["plot", str(tmp_path / "bp"), "--kinds", "angles"]) == 2
    assert "there is learning-curves" in capfd.readouterr().err


def test_bench(capfd, tmp_path):
    args = ["bench", "--sizes", "12", "8", "8", "3", "--batch", "4", "--rounds", "2", "--steps", "2"]
    status, document = run_json(capfd, *args, "--out", str(tmp_path / "bench.json"))
    assert status == 0
    assert (document["network"], document["batch"], document["dtype"]) == ([12, 8, 8, 3], 4, "float32")
    assert [entry["rule"] for entry in document["rules"]] == list(GENERAL)
    assert all(entry["ms"] > 0 and entry["ratio_to_bp"] > 0 for entry in document["rules"])
    assert document["reference"]["ratio_to_bp"] == 1
    assert json.loads((tmp_path / "bench.json").read_text())["machine"]["cores"] >= 1


def test_bench_of_an_invertible_network(capfd):
    sizes = ["--sizes", "12", "12", "12", "12", "--batch", "4", "--rounds", "1", "--steps", "2", "--rules", "bp", "gait"]
    status, document = run_json(capfd, "bench", "--network", "invertible", *sizes)
    assert status == 0
    assert [entry["rule"] for entry in document["rules"]] == ["bp", "gait"]
    assert document["setting"]["penalty"] == {"type": "OrthogonalityPenalty", "strength": 0.1}


def test_search(capfd, tmp_path):
    args = ["search", "dtp", "--trials", "3", "--epochs", "1", "--seeds", "1", "--out", str(tmp_path)]
    status, document = run_json(capfd, *args)
    assert status == 0
    assert len(document["errors"]) == 3
    assert min(document["errors"]) == document["validation_error"]
    saved = json.loads((tmp_path / "dtp.json").read_text())
    assert saved["best"] == document["best"]
    for name, interval in saved["space"].items():
        assert interval["low"] <= saved["best"][name] <= interval["high"]


def test_data_list(capfd, monkeypatch, tmp_path):
    monkeypatch.setenv("TARGETPROP_DATA", str(tmp_path))
    monkeypatch.setenv("TARGETPROP_CACHE", str(tmp_path))
    status, document = run_json(capfd, "data", "list")
    assert status == 0
    here = {entry["name"]: entry["here"] for entry in document}
    assert here["digits"]
    assert not here["mnist"]
    assert main(["data", "verify", "mnist"]) == 1
    assert "missing" in capfd.readouterr().out
    assert main(["data"]) == 0


MISTAKES = {
    "": "usage",
    "frob": "no verb is called 'frob'; the verbs are rules, ",
    "train": "needs a name",
    "train bq": "No rule or recipe is called 'bq'",
    "train bp --epochs many": "--epochs",
    "train bp --epochs 0": "needs epochs above 0, not 0",
    "train bp --frob 3": "--frob",
    "train bp --batch-size 5000": "--batch-size",
    "train bp --validation 9999": "--validation",
    "train bp --activation wavy": "'wavy' is not one of",
    "train bp --dataset mnist": "targetprop data fetch mnist",
    "train bp --dataset minst": "no data set 'minst'",
    "compare --rules bp nope": "'nope'",
    "compare --rules bp bp": "more than one bp",
    "bench --rules nope": "'nope'",
    "bench --sizes 3": "takes no sizes = 3: give 3 or more widths",
    "bench --sizes 4 0 3": "widths of 1 or more",
    "bench --rounds 0": "needs rounds above 0, not 0",
    "bench --steps 0": "needs steps above 0, not 0",
    "bench --batch 0": "needs batch above 0, not 0",
    "bench --out /dev": "/dev is a folder",
    "bench --out /dev/null/bench.json": "/dev/null is not a folder",
    "search bp --out /dev/null": "/dev/null is not a folder",
    "compare --rules bp --out /dev/null": "/dev/null is not a folder",
    "data frob": "'frob'",
    "data fetch": "needs the name",
    "data fetch digits": "nothing to fetch",
    "search": "needs a name",
    "cite": "needs a name",
    "cite nope": "no rule is called 'nope'; the rules are bp, ",
    "explain": "needs a name",
    "explain nope": "no rule is called 'nope'; the rules are bp, ",
    "explain bp --frob": "--frob",
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_users_error_is_one_line(command, capfd, monkeypatch, tmp_path):
    monkeypatch.setenv("TARGETPROP_DATA", str(tmp_path))
    monkeypatch.setenv("TARGETPROP_CACHE", str(tmp_path))
    assert main(command.split()) == 2
    captured = capfd.readouterr()
    if command:
        assert captured.out == ""
        assert captured.err.startswith("targetprop: ")
        assert captured.err.count("\n") == 1
    assert MISTAKES[command] in captured.out + captured.err


def test_verbs_show_help(capfd):
    for verb in ("", *VERBS):
        with pytest.raises(SystemExit) as stop:
            main([*verb.split(), "--help"])
        assert stop.value.code == 0
        text = capfd.readouterr().out
        assert text.startswith("usage: targetprop")
        assert verb or all(name in text for name in VERBS)


def test_module_runs_as_a_program():
    done = subprocess.run([sys.executable, "-m", "targetprop", "frob"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["train bp", "bench", "compare", "data fetch digits", "reproduce meulemans2020 table-s6"])
def test_the_help_says_each_default_once(verb, capfd):
    with pytest.raises(SystemExit):
        main([*verb.split(), "--help"])
    text = " ".join(capfd.readouterr().out.split())
    assert "(default: )" not in text
    for line in text.split(" --"):
        assert not ("Default:" in line and "(default:" in line)
