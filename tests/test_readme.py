"""The README's examples run as they stand, with fewer epochs."""

import re
import runpy
from pathlib import Path

import pytest

import targetprop as tp

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize(("number", "lines"), [(0, 15), (1, 30)])
def test_example_runs(number, lines, capsys, monkeypatch):
    recipe, compare = tp.recipe, tp.compare
    monkeypatch.setattr(tp, "recipe", lambda *args: recipe(*args).replace(schedule=tp.Schedule(1)))
    monkeypatch.setattr(tp, "compare", lambda *args, **options: compare(*args, **options | {"epochs": 1}))
    assert len(EXAMPLES[number].splitlines()) <= lines
    exec(EXAMPLES[number], {"__name__": "example"})
    printed = capsys.readouterr().out
    assert "bp" in printed
    assert re.search(r"\d", printed)


def test_tables_are_those_of_the_results():
    fill = runpy.run_path(str(ROOT / "tools" / "readme.py"))["fill"]
    assert fill(README.read_text()) == README.read_text()
