"""What `import targetprop` loads, and what it leaves for later."""

import subprocess
import sys

import pytest

HEAVY = ("matplotlib", "optuna", "pooch", "sklearn", "scipy.stats", "tensorboardX")


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    code = "import sys, targetprop; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("package", HEAVY)
def test_a_heavy_package_is_imported_where_it_is_used(loaded, package):
    assert package not in loaded


def test_a_paper_is_loaded_when_it_is_asked_for(loaded):
    assert "targetprop.papers" in loaded
    assert [name for name in loaded if name.startswith("targetprop.papers.")] == []


def test_experiments_know_no_paper():
    code = (
        "import sys, targetprop.experiments as experiments\n"
        "from targetprop._sources import REGISTERED\n"
        "REGISTERED.clear()\n"
        "assert experiments.recipe_names() == ()\n"
        "assert experiments.recipe('bp', 'mnist').dataset == 'mnist'\n"
        "assert not [name for name in sys.modules if name.startswith('targetprop.papers.')]\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
