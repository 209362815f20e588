"""Reading a command line: help pages, names and flags that do not fit, completion."""

import itertools
import json
import shutil
import subprocess

import pytest

import targetprop as tp
from targetprop import cli
from targetprop.cli import main, read
from targetprop.cli.plain import rounded
from targetprop.cli.tree import UsageError
from targetprop.experiments.sources import recipe_names
from targetprop.rules import RULES


def help_of(capfd, *words: str) -> str:
    with pytest.raises(SystemExit) as stop:
        read([*words, "--help"])
    assert stop.value.code == 0
    return capfd.readouterr().out


def test_the_version_is_that_of_the_package(capfd):
    assert main(["--version"]) == 0
    assert capfd.readouterr().out == f"{tp.__version__}\n"


def test_the_help_of_train_is_a_page_of_rules_by_family(capfd):
    text = help_of(capfd, "train")
    assert len(text.splitlines()) <= 80
    assert "meulemans2020" not in text
    assert "targetprop recipes" in text
    shown = [line.split("•")[1].split()[0] for line in text.splitlines() if "•" in line]
    assert sorted(shown) == sorted(RULES)
    families = [family for family, _ in itertools.groupby(RULES[name]().family for name in shown)]
    assert len(families) == len(set(families)) > 4


def test_recipes_are_listed_by_a_part_of_their_name_or_a_pattern(capfd):
    def found(*args):
        assert main(["recipes", *args, "--json"]) == 0
        return json.loads(capfd.readouterr().out)

    assert [entry["name"] for entry in found()] == list(recipe_names())
    assert found("mnist/ddtp-linear") == [entry for entry in found() if "mnist/ddtp-linear" in entry["name"]]
    (one,) = found("meulemans2020/mnist/[b]p")
    assert one == {"name": "meulemans2020/mnist/bp", "rule": "bp", "dataset": "mnist"}
    assert main(["recipes", "mnist/ddtp-linear"]) == 0
    assert "meulemans2020/mnist/ddtp-linear" in capfd.readouterr().out
    assert main(["recipes", "nope"]) == 2
    assert "no recipe fits 'nope'" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train bp --epochs 1.5", "--epochs: '1.5' is not a whole number (see targetprop train bp --help)"),
        ("train bp --hidden 8 x", "--hidden: 'x' is not a whole number (see targetprop train bp --help)"),
        ("train bp --validation x", "--validation: 'x' is not a whole number (see targetprop train bp --help)"),
        ("train bp --stepsize x", "--stepsize: 'x' is not a number (see targetprop train bp --help)"),
        ("train bp --dtype x", "--dtype: 'x' is not one of float32, float64 (see targetprop train bp --help)"),
        ("train bp --epochs", "--epochs needs a value (see targetprop train bp --help)"),
        ("train bp --epoch 3", "there is no --epoch here. Perhaps you meant --epochs (see targetprop train bp --help)"),
        ("train bp --sigma 3", "there is no --sigma here (see targetprop train bp --help)"),
        ("train bp --optimizer.b 3", "there is no --optimizer.b here. Perhaps you meant --optimizer.b2 or --optimizer.b1"),
        ("train bp 3", "unexpected 3 (see targetprop train bp --help)"),
        (
            "train --epochs 3 bp",
            "targetprop train needs a name first, a rule or a published recipe: targetprop train bp ...",
        ),
        ("data --frob", "there is no --frob here (see targetprop data --help)"),
        ("reproduce nope", "no paper is called 'nope'; the papers are meulemans2020, thesis2019, gait2020, farias2018."),
        ("reproduce farias2018 nope", "no item is called 'nope'; the items are table1, "),
        ("completion nope", "no shell is called 'nope'; the shells are bash, zsh, fish."),
    ],
)
def test_an_error_says_what_does_not_fit_and_suggests_nothing_else(line, message):
    with pytest.raises(UsageError) as error:
        read(line.split())
    assert str(error.value).startswith(message)
    assert ("Perhaps" in str(error.value)) == ("Perhaps" in message)


def test_a_flag_with_another_default_for_each_name(capfd):
    recipe = read(["train", "meulemans2020/mnist/bp", "--lr", "0.5", "--dataset", "kmnist"]).options.recipe
    assert recipe == tp.recipe("meulemans2020/mnist/bp", "kmnist")
    assert f"(default: {recipe.batch_size})" in help_of(capfd, "train", "meulemans2020/mnist/bp")
    assert "--sigma" in help_of(capfd, "train", "dtp")
    assert "--sigma" not in help_of(capfd, "train", "bp")


def test_numbers_in_the_help_have_four_digits_and_defaults_all_of_them(capfd):
    text = help_of(capfd, "train", "dtp")
    default = tp.recipe("dtp")
    assert f"{default.stepsize:.4g})" in text
    assert str(default.stepsize) not in text
    assert read(["train", "dtp"]).options.recipe == default
    assert rounded("decay:0.123456:3 1e-08 0.5 784 1.0 2.34567e-05 v1.23456") == (
        "decay:0.1235:3 1e-08 0.5 784 1.0 2.346e-05 v1.23456"
    )


def test_optional_values_are_shown_by_their_type(capfd):
    text = help_of(capfd, "train", "bp")
    for flag in ("--out PATH", "--diagnose-every INT", "--validation INT"):
        assert flag in text
    assert read(["train", "bp", "--validation", "None"]).options.recipe.validation is None


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_verbs_names_and_flags(capfd, monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "VERBS", {verb: cli.VERBS[verb] for verb in ("cite", "compare", "completion", "data")})
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "completion"
    script.write_text(capfd.readouterr().out)

    def completed(*words):
        line = f"COMP_WORDS=({' '.join(words)} '') COMP_CWORD={len(words) - 1}"
        code = f"source {script}; {line}; _tyro_targetprop; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert completed("targetprop", "c") == ["cite", "compare", "completion"]
    assert completed("targetprop", "cite", "dt") == ["dtp", "dtp-ai", "dtp-lee", "dtpdrl"]
    assert completed("targetprop", "compare", "--se") == ["--seeds"]
    assert set(completed("targetprop", "data", "f")) == {"fetch"}
