"""The examples of `docs/frameworks.md` run as they stand, with one epoch. Those of Flax and PyTorch
run where these are installed.
"""

import re
from pathlib import Path

import pytest

import targetprop as tp

PAGE = (Path(__file__).parent.parent / "docs" / "frameworks.md").read_text()


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run the examples of a section one after the other. Returns what they print, by its label."""
    recipe = tp.recipe
    monkeypatch.setattr(tp, "recipe", lambda *args: recipe(*args).replace(schedule=tp.Schedule(1)))
    monkeypatch.chdir(tmp_path)

    def run(title: str) -> dict[str, str]:
        (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, flags=re.DOTALL | re.MULTILINE)
        space = {"__name__": "example"}
        for example in re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL):
            exec(example, space)
        lines = capsys.readouterr().out.splitlines()
        return dict(line.split(": ") for line in lines if ": " in line) | {"all": "\n".join(lines)}

    return run


def test_the_examples_of_equinox_run(run):
    printed = run("Equinox")
    assert 0 < float(printed["mlp"]) < 90
    assert 0 < float(printed["cnn"]) < 90
    assert float(printed["residual"]) < 1e-5
    assert "PerSample (8, 4, 4)\nDense (32,)\nDense (10,)" in printed["all"]
    assert "((1, 8, 8), (4, 3, 3), (10,))" in printed["all"]


def test_the_example_of_flax_runs(run):
    pytest.importorskip("flax")
    assert float(run("Flax NNX")["flax"]) < 1e-5


def test_the_example_of_pytorch_runs(run):
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    assert float(run("PyTorch")["torch"]) < 1e-5
