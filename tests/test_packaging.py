"""What is built of the project: the wheel has the results of the papers, the source archive what
its tests need.
"""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import targetprop as tp
from targetprop.papers import PAPERS
from targetprop.papers.shipped import shipped_results

ROOT = Path(__file__).parent.parent


def build(kind: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that the wheel is unpacked to."""
    pytest.importorskip("hatchling")
    wheel = build("wheel", tmp_path_factory.mktemp("wheel"))
    assert wheel.stat().st_size < 5e6
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return folder


def show(env: dict[str, str], *args: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "targetprop", "reproduce", "farias2018", "table1", "--show", "--json", *args]
    return subprocess.run(command, env=os.environ | env, cwd=cwd, check=False, capture_output=True, text=True)


def test_an_installed_package_shows_the_results_of_the_papers(installed, tmp_path):
    shipped = show({"PYTHONPATH": str(installed)}, cwd=tmp_path)
    assert shipped.returncode == 0, shipped.stderr
    assert f"the results that came with targetprop {tp.__version__}" in shipped.stderr
    ours = show({}, "--results", str(ROOT / "results"), cwd=tmp_path)
    assert json.loads(shipped.stdout) == json.loads(ours.stdout)
    assert any(cell["ours"] for cell in json.loads(ours.stdout)["cells"])
    elsewhere = show({"PYTHONPATH": str(installed)}, "--results", "elsewhere", cwd=tmp_path)
    assert elsewhere.returncode == 2
    assert "There is no folder elsewhere/farias2018" in elsewhere.stderr


def test_the_archive_of_a_paper_holds_its_results_and_nothing_else(installed):
    for paper in PAPERS:
        with zipfile.ZipFile(installed / "targetprop" / "papers" / paper / "results.zip") as packed:
            names = set(packed.namelist())
        folder = ROOT / "results" / paper
        assert names == {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix in (".json", ".jsonl")}


def test_a_checkout_has_no_archive():
    with shipped_results("farias2018") as folder:
        assert folder is None


def test_the_source_archive_has_what_the_tests_and_the_wheel_need(tmp_path):
    pytest.importorskip("hatchling")
    with tarfile.open(build("sdist", tmp_path)) as packed:
        names = {name.split("/", 1)[1] for name in packed.getnames()}
    files = {
        "Makefile",
        "README.md",
        "CONTRIBUTING.md",
        "CITATION.cff",
        "requirements.lock",
        "hatch_build.py",
        "pyproject.toml",
    }
    assert files | {"tools/readme.py", "benchmarks/steps.json", "tests/conftest.py", "docs/architecture.md"} <= names
    results = {path.relative_to(ROOT).as_posix() for path in (ROOT / "results").rglob("*.json*")}
    assert {name for name in results if "tensorboard" not in name} <= names


def test_the_citation_is_of_this_version():
    lines = (ROOT / "CITATION.cff").read_text().splitlines()
    assert f"version: {tp.__version__}" in lines
    (released,) = (line.removeprefix("date-released: ") for line in lines if line.startswith("date-released: "))
    assert f"## [{tp.__version__}] - {released}" in (ROOT / "CHANGELOG.md").read_text().splitlines()
