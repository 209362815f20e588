"""Standard output and error that are full, closed, or cannot show a character."""

import errno
import json
import os
import subprocess
import sys

import pytest

from targetprop import _files as files
from targetprop.cli import main

TRAIN = ["train", "bp", "--epochs", "1", "--hidden", "4"]


def run(args: str, **options) -> subprocess.CompletedProcess:
    """`targetprop ARGS` in a shell, so that it may redirect."""
    command = f'"{sys.executable}" -m targetprop {args}'
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=120, **options)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
@pytest.mark.parametrize("verb", ["rules", "rules --json"])
def test_a_full_output_is_one_line_and_no_success(verb):
    found = run(f"{verb} > /dev/full")
    assert found.returncode == 1
    assert found.stderr == (
        "targetprop: the output cannot be read or written (No space left on device); what was saved before is safe.\n"
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
def test_a_full_standard_error_is_no_reason_to_stop(tmp_path):
    found = run(f"{' '.join(TRAIN)} --json --out '{tmp_path}' 2> /dev/full")
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout)["seeds"][0]["status"] == "finished"


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-"])
def test_a_closed_output_is_no_error(closed):
    found = run(f"rules {closed}")
    assert (found.returncode, found.stderr) == (0, "")


def test_a_locale_without_unicode_loses_characters_and_nothing_else():
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    told = run("explain dtp", env=plain)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.isascii()
    listed = run("rules --json", env=plain)
    assert json.loads(listed.stdout) == json.loads(run("rules --json").stdout)


def test_a_run_whose_files_cannot_be_written_prints_its_numbers_and_is_no_success(tmp_path, capsys, monkeypatch):
    assert main([*TRAIN, "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    fsync, count = os.fsync, iter(range(99))

    def full(file):
        if next(count) >= 4:  # after the configuration, the metrics, the events and a checkpoint
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(file)

    monkeypatch.setattr(files.os, "fsync", full)
    assert main([*TRAIN, "--json", "--out", str(tmp_path)]) == 1
    found = capsys.readouterr()
    assert json.loads(found.out) == numbers
    assert found.err.startswith("targetprop: The run ended, but ")
    assert found.err.count("\n") == 1
    assert "go on" in found.err
