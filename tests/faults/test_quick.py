"""The quick part of the harness: some faults and kills of one small run, most of them in this process."""

import json
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faults.compare_runs import differences
from faults.damage import Damage, cut, edited, flipped, removed, without_line
from faults.injection import Fault, injected
from faults.processes import WARNING, Finding, check_success, disturbances, environment, run
from faults.worker import ended, findings

ARGS = ["train", "bp", "--hidden", "4", "--epochs", "2", "--out", "run", "--resume"]
ROOT = Path(__file__).parent.parent.parent
FIGURES = ROOT / "benchmarks" / "faults.json"
Ask = Callable[[], dict[str, Any]]

WRITING = {
    "a full disk at the metrics": Fault("ENOSPC", 2, "write", "metrics.jsonl"),
    "a full disk at the checkpoint, for a moment": Fault("ENOSPC", 2, "write", "checkpoint", lasting=False),
    "a full disk for TensorBoard": Fault("ENOSPC", 1, "write", "tfevents"),
    "the folder is removed": Fault("remove", 2, "fsync", "metrics.jsonl"),
}
READING: dict[str, tuple[str, Damage]] = {
    "a bit of the checkpoint is flipped": ("checkpoint.safetensors", flipped(0)),
    "half of the checkpoint is missing": ("checkpoint.safetensors", cut(0.5)),
    "the metrics have lost a line": ("metrics.jsonl", without_line(0)),
    "the metrics were edited": ("metrics.jsonl", edited(b'"epoch": 1', b'"epoch": 7')),
    "the configuration is missing": ("config.json", removed),
    "half of the result is missing": ("result.json", cut(0.5)),
}


@pytest.fixture
def ask(capfd, caplog, monkeypatch, tmp_path) -> Ask:
    """Runs the command in this process, in the folder `files` of the test."""
    (tmp_path / "files").mkdir()
    monkeypatch.chdir(tmp_path / "files")

    def asked() -> dict[str, Any]:
        (tmp_path / "files").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "files")  # it may have been removed and made again
        capfd.readouterr()
        caplog.clear()
        answer = ended(ARGS)
        out, err = capfd.readouterr()
        return answer | {"out": out, "err": err + "\n".join(caplog.messages)}  # outside of tests the log goes there

    return asked


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The files of a run in which nothing happened."""
    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        answer = ended(ARGS)
    assert answer == {"status": 0}
    return folder


def complete(answer: dict[str, Any], whole: Path) -> list[Finding]:
    """What is wrong with a run that must be as an unbroken one."""
    found = findings(answer)
    if not found and answer["status"] != 0:
        found = [("status", f"it ended with status {answer['status']}: {answer['err'].strip()}")]
    return found or differences(Path.cwd(), whole)


@pytest.mark.parametrize("name", WRITING)
def test_what_cannot_be_written_is_said_and_done_later(name, whole, ask, case, tmp_path):
    this = case("faults", f"{name} ({WRITING[name]})", " ".join(ARGS))
    with injected(WRITING[name], tmp_path / "files"):
        answer = ask()
    (tmp_path / "files").mkdir(exist_ok=True)
    this.add([finding for finding in findings(answer) if finding[0] != "message"])
    if not answer["err"].strip():
        this.add([("message", "nothing on standard error")])
    if not this.failures:
        this.add([(kind, f"afterwards: {text}") for kind, text in complete(ask(), whole)])


@pytest.mark.parametrize("name", READING)
def test_what_is_damaged_is_said_or_mended(name, whole, ask, case, tmp_path):
    file, damage = READING[name]
    this = case("faults", name, " ".join(ARGS))
    shutil.copytree(whole / "run", tmp_path / "files" / "run")
    damage(tmp_path / "files" / "run" / file)
    answer = ask()
    if answer["status"] == 0:
        this.add(complete(answer, whole))
    else:
        this.add(findings(answer) or ([] if file in answer["err"] else [("message", f"no {file} in {answer['err']}")]))


def test_a_run_that_is_killed_within_a_write_ends_as_an_unbroken_one(case, tmp_path):
    """Both parts are processes of their own."""
    folders = [tmp_path / name / "files" for name in ("killed", "unbroken")]
    for folder in folders:
        folder.mkdir(parents=True)
    env = environment(tmp_path / "compiled", JAX_DISABLE_MOST_OPTIMIZATIONS="1")
    this = case("kills", "within the second checkpoint", " ".join(ARGS))
    done = run(ARGS, folders[0], env, Fault("half", 2, "write", "checkpoint"))
    this.kills, killed = 1, done.killed
    this.add(disturbances(done))
    for folder in folders:
        this.add(check_success(run(ARGS, folder, env)))
    this.add(differences(*folders))
    assert killed
    assert not WARNING.search(done.err)


@pytest.mark.skipif(not FIGURES.exists(), reason="the whole harness was not run yet")
def test_the_table_of_the_page_is_made_from_the_figures():
    page = (ROOT / "docs" / "trust.md").read_text()
    fill = runpy.run_path(str(ROOT / "tools" / "faults.py"))["fill"]
    assert fill(page, json.loads(FIGURES.read_text())) == page
