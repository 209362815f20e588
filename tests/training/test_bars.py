"""The progress bar."""

import contextlib
import re
import sys
import types

import pytest

from targetprop.training import bars
from targetprop.training.bars import ProgressBar


def test_a_bar_that_is_no_terminal_tells_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(bars, "SECONDS_PER_LINE", 0.0)
    with ProgressBar("training", total=4) as bar:
        bar.note("test 3.00 %")
        bar.advance(1)
    line = capsys.readouterr().err
    assert line.startswith("training: 25 %")
    assert line.endswith("test 3.00 %\n")
    assert line.count("\n") == 1


def test_a_silent_bar_prints_nothing(capsys):
    with ProgressBar("training", total=4, shown=False) as bar:
        bar.advance(2)
        bar.note("half way")
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


class Kernel:
    """As much of IPython in a notebook as a bar uses. It keeps the displays and their contents."""

    def __init__(self):
        self.shown: list[list[dict]] = []

    def display(self, content, *, raw, display_id):
        assert raw is display_id is True
        self.shown.append([content])
        return types.SimpleNamespace(update=lambda content, *, raw: self.shown[-1].append(content))


@pytest.fixture
def kernel(monkeypatch) -> Kernel:
    found = Kernel()
    module = types.ModuleType("IPython.display")
    module.display = found.display
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(bars, "SECONDS_PER_DISPLAY", 0.0)
    return found


def text(content: dict) -> str:
    return re.sub("<.*?>", "", content["text/html"])


def test_a_notebook_has_one_live_bar_that_goes(kernel, capsys):
    with ProgressBar("training", total=4) as bar:
        bar.note("compiling")
        for _ in range(4):
            bar.advance(1)
    assert len(kernel.shown) == 1, "one output"
    first, *contents, last = kernel.shown[0]
    assert [text(content).split("%")[0].split()[-1] for content in contents] == ["0", "0", "25", "50", "75", "100"]
    assert "compiling" in text(contents[1])
    assert contents[2]["text/plain"].startswith("training: 25 %")
    assert first == last == {"text/plain": "", "text/html": ""}
    assert capsys.readouterr() == ("", "")


def test_a_bar_in_a_notebook_is_not_drawn_more_often_than_one_can_see(kernel, monkeypatch):
    monkeypatch.setattr(bars, "SECONDS_PER_DISPLAY", 1e9)
    with ProgressBar("training", total=1000) as bar:
        bar.note("compiling")
        for _ in range(1000):
            bar.advance(1)
    assert len(kernel.shown[0]) == 4  # nothing, the bar, what it does, nothing


def test_a_bar_in_a_notebook_goes_after_an_error(kernel):
    with contextlib.suppress(RuntimeError), ProgressBar("training", total=4):
        raise RuntimeError
    assert kernel.shown[0][-1]["text/html"] == ""


def test_a_silent_bar_shows_nothing_in_a_notebook(kernel):
    with ProgressBar("training", total=4, shown=False) as bar:
        bar.advance(2)
    assert kernel.shown == []


def test_the_title_of_a_bar_is_escaped(kernel):
    with ProgressBar("<b>mine</b>", total=4) as bar:
        bar.advance(1)
    assert "&lt;b&gt;mine&lt;/b&gt;" in kernel.shown[0][1]["text/html"]
