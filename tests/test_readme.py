"""The README's examples run as they stand, with fewer epochs."""

import re
from pathlib import Path

import pytest

import targetprop as tp

README = Path(__file__).parent.parent / "README.md"
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
