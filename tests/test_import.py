"""What `import targetprop` and its first use cost and give: no heavy library before it is needed,
all public names, and the types.
"""

import ast
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import targetprop as tp

HEAVY = (
    "IPython",
    "diffrax",
    "lineax",
    "matplotlib",
    "optimistix",
    "optuna",
    "pandas",
    "pooch",
    "rich",
    "safetensors",
    "scipy.stats",
    "sklearn",
    "tensorboardX",
    "tyro",
)


def modules_after(code: str) -> list[str]:
    """The modules that a fresh Python has loaded after running `code`."""
    code = f"{code}\nimport sys\nsys.stdout.write('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


def loaded(modules, names):
    return [module for module in modules if any(f"{module}.".startswith(f"{name}.") for name in names)]


@pytest.fixture(scope="module")
def modules():
    return modules_after("import targetprop\ntargetprop.train")


def test_importing_the_package_alone_loads_no_jax():
    modules = modules_after("import targetprop")
    assert loaded(modules, {*HEAVY, "jax", "equinox", "optax", "numpy"}) == []
    assert "targetprop.papers" in modules  # it registers the papers by name


def test_importing_the_package_loads_no_heavy_library(modules):
    assert loaded(modules, HEAVY) == []


def test_importing_the_package_loads_no_paper_and_no_command_line(modules):
    assert [name for name in modules if name.startswith("targetprop.papers.")] == []
    assert loaded(modules, ["targetprop.cli"]) == []


@pytest.mark.parametrize("command", [["rules"], ["cite", "dtp"]])
def test_verbs_that_only_print_load_no_paper_and_nothing_to_draw_or_search_with(command):
    modules = modules_after(f"from targetprop.cli import main\nmain({command})")
    assert loaded(modules, set(HEAVY) - {"rich", "tyro"}) == []
    assert [name for name in modules if name.startswith("targetprop.papers.")] == []


@pytest.mark.parametrize("command", [["--version"], ["--help"], []])
def test_the_list_of_verbs_loads_no_verb_and_no_jax(command):
    modules = modules_after(f"from targetprop.cli import main\ntry:\n    main({command})\nexcept SystemExit:\n    pass")
    assert loaded(modules, (set(HEAVY) | {"jax", "equinox", "optax", "targetprop._public"}) - {"tyro"}) == []
    assert "targetprop.cli.parsing" in modules


def test_public_names():
    assert len(set(tp.__all__)) == len(tp.__all__)
    assert set(tp.__all__) <= set(dir(tp))
    names: dict = {}
    exec("from targetprop import *", names)
    assert set(tp.__all__) <= set(names)


def test_type_checkers_see_all_public_names():
    """`__init__.py` shows them all those of `_public.py`, which are imported there by name."""
    assert "    from ._public import *" in Path(tp.__file__).read_text()
    tree = ast.parse(Path(tp.__file__).with_name("_public.py").read_text())
    imported = {alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(tp.__all__) <= imported


def test_rooms_are_attributes_and_other_names_are_not():
    assert tp.rules.RULES is tp.RULES
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        tp.nope  # noqa: B018


def test_the_package_says_that_it_is_typed():
    assert resources.files("targetprop").joinpath("py.typed").is_file()
