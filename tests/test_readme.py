"""The examples of the README and the docs run as they stand, with fewer epochs, and their commands
can be read.
"""

import re
import runpy
import shlex
from pathlib import Path

import jax
import pytest

import targetprop as tp
from targetprop.cli import read
from targetprop.papers.items import item

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize(("number", "lines"), [(0, 15), (1, 30), pytest.param(2, 10, marks=pytest.mark.slow), (3, 8)])
def test_example_runs(number, lines, capsys, monkeypatch):
    recipe, compare = tp.recipe, tp.compare
    monkeypatch.setattr(tp, "recipe", lambda *args: recipe(*args).replace(schedule=tp.Schedule(1)))
    monkeypatch.setattr(tp, "compare", lambda *args, **options: compare(*args, **options | {"epochs": 1}))
    assert len(EXAMPLES[number].splitlines()) <= lines
    exec(EXAMPLES[number], {"__name__": "example"})
    printed = capsys.readouterr().out
    assert "bp" in printed
    assert re.search(r"\d", printed)


def test_examples_of_extending_run_one_after_the_other(capsys, monkeypatch, tmp_path):
    recipe, compare, search = tp.recipe, tp.compare, tp.search
    short = {"seeds": 1, "epochs": 1}
    monkeypatch.setattr(tp, "recipe", lambda *args: recipe(*args).replace(schedule=tp.Schedule(1)))
    monkeypatch.setattr(tp, "compare", lambda *args, **options: compare(*args, **options | short))
    monkeypatch.setattr(tp, "search", lambda *args, **options: search(*args, **options | {"trials": 2}))
    monkeypatch.chdir(tmp_path)
    space = {"__name__": "example"}
    for example in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), flags=re.DOTALL):
        exec(example.replace("Schedule(10, pretraining=1)", "Schedule(1)"), space)
    printed = capsys.readouterr().out
    for word in ("random signs, tuned", "gains: ", "hinge: ", "signs: "):
        assert word in printed
    kept, reported = re.findall(r"kept: (\S+) (\S+)", printed)[0]
    assert kept == reported


def test_examples_of_ones_own_loop_give_models_of_equinox_back(capsys, monkeypatch):
    recipe = tp.recipe
    fit, *examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "own-loop.md").read_text(), flags=re.DOTALL)
    assert len(fit.splitlines()) <= 25
    space = {"__name__": "example"}
    monkeypatch.setattr(tp, "recipe", lambda *args: recipe(*args).replace(schedule=tp.Schedule(3)))
    for example in (fit.replace("epochs=10", "epochs=3"), *examples):
        exec(example, space)
    *errors, given, info, stopped = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in errors] == [
        [model, rule] for rule in ("bp", "dtp", "ddtp-linear") for model in ("MLP", "Sequential")
    ]
    assert all(float(line.split()[2]) < 50 for line in errors)
    assert given.startswith("float64 (3, 4)")
    assert info.startswith("loss")
    assert stopped.startswith("stopped: ['")


def test_theorems_have_their_tests_and_the_snippet_shows_one(capsys):
    page = (ROOT / "docs" / "theorems.md").read_text()
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", page)
    assert len(named) > 10
    assert [name for name in named if f"def {name}(" not in tests] == []
    for command in re.findall(r"`targetprop reproduce (\w+) ([\w.-]+)`", page):
        item(*command)
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    with jax.enable_x64(True):
        exec(example.replace('jax.config.update("jax_enable_x64", True)\n', ""), {"__name__": "example"})
    distances = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()]
    assert distances[0] > 0.01
    assert distances[-1] < 1e-12


def commands() -> list[str]:
    """The commands of the README and the docs, apart from those with a placeholder in capitals."""
    pages = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    text = "\n".join(page.read_text() for page in pages)
    found = re.findall(r"^ *(targetprop .*)$", text, re.MULTILINE) + re.findall(r"`(targetprop\s[^`]+)`", text)
    whole = [" ".join(command.split()) for command in found if not re.search(r"\b[A-Z]{2,}\b|--help|\.\.", command)]
    return list(dict.fromkeys(command for command in whole if len(command.split()) > 2))


@pytest.mark.parametrize("command", commands())
def test_a_command_can_be_read(command):
    assert callable(read(shlex.split(command)[1:]))


def test_tables_are_those_of_the_results():
    fill = runpy.run_path(str(ROOT / "tools" / "readme.py"))["fill"]
    assert fill(README.read_text()) == README.read_text()
