"""The library names fields in its errors; the command line turns them into flags."""

import ast
from pathlib import Path

import pytest

import targetprop as tp
from targetprop.cli import main, rules
from targetprop.cli.flags import flag, with_flags

PACKAGE = Path(tp.__file__).parent
LIBRARY = [path for path in sorted(PACKAGE.rglob("*.py")) if "cli" not in path.relative_to(PACKAGE).parts]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("out", "--out"),
        ("batch_size", "--batch-size"),
        ("optimizer.learning_rate", "--optimizer.learning-rate"),
        ("feedback_optimizer.b1", "--feedback-optimizer.b1"),
    ],
)
def test_a_field_has_one_flag(field, expected):
    assert flag(field) == expected
    assert with_flags(f"Use a smaller `{field}`.") == f"Use a smaller {expected}."


@pytest.mark.parametrize("text", ["targetprop data fetch mnist", "W^T", "Recipe", "a b", "", "--out", "dh_1 .. dh_L"])
def test_other_text_in_backticks_stays(text):
    assert with_flags(f"see `{text}`") == f"see `{text}`"


def test_every_field_of_a_message_becomes_a_flag(monkeypatch, capsys):
    def fail(options):
        raise tp.ConfigError("`batch_size` is too large: use a smaller `batch_size`, or another `out`.")

    monkeypatch.setattr(rules, "run", fail)
    assert main(["rules"]) == 2
    message = "targetprop: --batch-size is too large: use a smaller --batch-size, or another --out.\n"
    assert capsys.readouterr().err == message


def texts(path: Path):
    """The strings of a module, docstrings included."""
    return [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]


def test_the_library_knows_no_flags():
    named = {
        f"{path.relative_to(PACKAGE)}: {word}"
        for path in LIBRARY
        for text in texts(path)
        if isinstance(text, str)
        for word in text.split()
        if word.strip("`(\"'").startswith("--") and word.strip("`(\"'").strip("-")
    }
    assert named == {"errors.py: `--batch-size`."}  # the example in its docstring
