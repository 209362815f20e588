"""The house: which room imports which, how long files are, how many parameters functions have,
names that stand once.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import targetprop

ROOT = Path(targetprop.__file__).parent
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))

# Each room imports from those before it alone. Modules in the root that all rooms share come
# first.
ROOMS = (
    "errors",
    "version",
    "_sources",
    "_cache",
    "_files",
    "_checks",
    "_array_checks",
    "_memory",
    "_promotion",
    "_linear_algebra",
    "_packaged",
    "_html",
    "networks",
    "losses",
    "feedback",
    "dynamics",
    "rules",
    "diagnostics",
    "data",
    "figures",
    "training",
    "testing",
    "experiments",
    "papers",
    "cli",
)
ENTRY_POINTS = {"train", "compare", "search"}


def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def room(parts: tuple[str, ...]) -> str:
    return parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """The rooms that a file imports, wherever the import stands."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parent.parts[: len(path.parent.parts) - (node.level - 1)]
            names = [*folder, *(node.module or "").split(".")] if node.module else [*folder, node.names[0].name]
            yield names[0]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("targetprop."):
            yield (node.module or "").split(".")[1]


def test_every_room_has_its_place():
    there = {room(path.parts) for path in FILES} - {"__init__", "__main__", "_public"}
    assert there == set(ROOMS)


@pytest.mark.parametrize("path", [path for path in FILES if room(path.parts) in ROOMS], ids=str)
def test_no_arrow_goes_back(path):
    own = ROOMS.index(room(path.parts))
    back = sorted({other for other in imported(path) if ROOMS.index(other) > own})
    assert not back, f"{path} imports from rooms that come after it: {', '.join(back)}"


def test_files_have_at_most_400_lines():
    assert not [str(path) for path in FILES if len((ROOT / path).read_text().splitlines()) > 400]


def parameters(function: ast.FunctionDef) -> int:
    """How many arguments a caller gives."""
    given = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    return len(given) - (given[:1] in (["self"], ["cls"]))


def test_functions_have_at_most_six_parameters():
    many = {
        f"{path}: {node.name}"
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and parameters(node) > 6 and node.name not in ENTRY_POINTS
    }
    assert not many


def test_no_two_classes_share_a_name():
    names = [node.name for path in FILES for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
    assert not {name for name in names if names.count(name) > 1}


def test_rules_do_not_ask_layers_for_their_class():
    """Layers answer for themselves: slope, matrix, inverse."""
    for path in (ROOT / "rules").glob("*.py"):
        assert "isinstance(layer, Dense" not in path.read_text()
