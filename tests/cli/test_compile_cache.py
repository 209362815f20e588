"""Compiled programs are kept between runs of the command line."""

import json
import os
import subprocess
import sys
import time

import pytest

from targetprop import cli
from targetprop.cli.compile_cache import use_compile_cache

FOLDER, SIZE = "JAX_COMPILATION_CACHE_DIR", "JAX_COMPILATION_CACHE_MAX_SIZE"


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """As before the first import of JAX, with a cache folder of its own."""
    monkeypatch.delitem(sys.modules, "jax")
    monkeypatch.setattr(os, "environ", os.environ.copy())  # what is set there does not stay
    for name in ("TARGETPROP_COMPILE_CACHE", FOLDER, SIZE):
        monkeypatch.delenv(name, raising=False)
    for name in ("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"):
        monkeypatch.setenv(name, "3")
    monkeypatch.setenv("TARGETPROP_CACHE", str(tmp_path))
    return monkeypatch


def test_the_cache_is_in_the_cache_folder_and_limited(fresh, tmp_path):
    use_compile_cache()
    assert os.environ[FOLDER] == str(tmp_path / "compiled")
    assert 1e6 < int(os.environ[SIZE]) < 1e9
    assert os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "3", "the user's own setting stays"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("TARGETPROP_COMPILE_CACHE", "off", None),
        ("TARGETPROP_COMPILE_CACHE", "/somewhere/else", "/somewhere/else"),
        (FOLDER, "/mine", "/mine"),
    ],
)
def test_a_variable_switches_it_off_or_names_another_folder(fresh, variable, value, expected):
    fresh.setenv(variable, value)
    use_compile_cache()
    assert os.environ.get(FOLDER) == expected


def test_a_process_that_has_imported_jax_is_left_alone(fresh):
    fresh.setitem(sys.modules, "jax", None)
    use_compile_cache()
    assert FOLDER not in os.environ


def test_a_folder_that_cannot_be_written_to_is_one_line_and_no_error(fresh, tmp_path, capsys):
    (tmp_path / "compiled").touch()
    use_compile_cache()
    assert FOLDER not in os.environ
    assert capsys.readouterr().err.count("\n") == 1


def test_a_program_that_was_cut_off_is_removed(fresh, tmp_path):
    folder = tmp_path / "compiled"
    folder.mkdir()
    names = ("whole-cache", "whole-atime", "cut-cache", "begun-cache")
    for name in names:
        (folder / name).touch()
    hour_ago = time.time() - 3600
    for name in names[:3]:
        os.utime(folder / name, (hour_ago, hour_ago))
    use_compile_cache()
    assert {path.name for path in folder.iterdir()} == {"whole-cache", "whole-atime", "begun-cache"}


def test_every_verb_uses_the_cache_but_the_one_that_measures_the_compiler(monkeypatch):
    used = []
    monkeypatch.setattr(cli, "use_compile_cache", lambda: used.append(True))
    cli.read(["bench"])
    assert used == []
    cli.read(["rules"])
    assert used == [True]


@pytest.mark.slow
def test_a_second_run_finds_the_programs_of_the_first_and_has_the_same_numbers(tmp_path):
    settings = {"TARGETPROP_COMPILE_CACHE": str(tmp_path / "cache"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}

    def run(name, env):
        command = [sys.executable, "-m", "targetprop", "train", "bp", "--epochs", "1", "--hidden", "4"]
        subprocess.run([*command, "--out", str(tmp_path / name)], env=os.environ | env, check=True, capture_output=True)
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines], {path.name for path in tmp_path.glob("cache/*-cache")}

    first, programs = run("first", settings)
    second, all_programs = run("second", settings)
    assert len(programs) > 5
    assert all_programs == programs
    assert second == first
    without, _ = run("without", {})
    assert without == first
