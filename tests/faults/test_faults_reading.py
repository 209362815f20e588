"""Files that are damaged, edited, foreign or missing: one line names the file, and nothing is lost.

What ends with status 0 has the results of an unbroken run.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from faults.cases import Case
from faults.compare_runs import differences
from faults.damage import GENERAL, Damage, cut, edited, flipped, header_damages, removed, without_line, zeroed
from faults.injection import Fault
from faults.processes import Finding, environment, run
from faults.scenarios import SCENARIOS
from faults.worker import Worker, findings

pytestmark = pytest.mark.faults
LIMIT = 240.0
TRAIN = ("train", "bp", "--hidden", "8", "--epochs", "4", "--seeds", "2", "--checkpoint-every", "2", "--out", "run")
RESUME = (*TRAIN, "--resume")
SEARCH, COMPARE = SCENARIOS["search"].args, SCENARIOS["compare"].args
REPRODUCE = SCENARIOS["reproduce, several parts"].args


@pytest.fixture(scope="module")
def worker(cache):
    found = Worker(environment(cache), LIMIT)
    yield found
    found.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory, cache):
    """Folders with the files of commands: `made(name)`. `half` is killed after its first checkpoint."""
    found: dict[str, Path] = {}
    commands = {
        "whole": TRAIN,
        "half": TRAIN,
        "foreign": (*TRAIN, "--first-seed", "5"),
        "step": (*TRAIN, "--stepsize", "0.5"),
    }
    commands |= {"wide": (*TRAIN, "--hidden", "9"), "rule": ("train", "dfa", *TRAIN[2:])}
    commands |= {"search": SEARCH, "compare": COMPARE, "reproduce": REPRODUCE}

    def make(name: str) -> Path:
        if name not in found:
            folder = tmp_path_factory.mktemp(name) / "files"
            folder.mkdir()
            fault = Fault("kill", 5, "write", "metrics.jsonl") if name == "half" else None
            done = run(commands[name], folder, environment(cache), fault)
            assert (done.status == 0) == (fault is None), done.err
            found[name] = folder
        return found[name]

    return make


def check(answer: dict[str, Any], folder: Path, whole: Path, words: Sequence[str]) -> list[Finding]:
    """Either all is as in an unbroken run, or one line says which file is damaged."""
    found = findings(answer)
    if found:
        return found
    if answer["status"] == 0:
        return [(kind, f"status 0, but {text}") for kind, text in differences(folder, whole)]
    if words and not any(word in answer["err"] for word in words):
        return [("message", f"it does not name {' or '.join(words)}: {answer['err'].strip()[-200:]}")]
    return []


def resumed(this: Case, worker: Worker, made, damage: Damage, file: str, tmp_path: Path, state: str = "half") -> None:
    """Damage a file of a run, and resume it."""
    folder = tmp_path / "files"
    shutil.copytree(made(state), folder)
    damage(folder / "run" / file)
    this.add(check(worker.ask(RESUME, folder), folder, made("whole"), (file, "run")))


CHECKPOINT: dict[str, Damage] = {f"has bit {i} flipped": flipped(i) for i in range(24)}
CHECKPOINT |= {f"is cut at {share}": cut(share) for share in (0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99, 0.999)}
CHECKPOINT |= {f"is zero from {a} to {b}": zeroed(a, b) for a, b in ((0, 0.1), (0.3, 0.4), (0.6, 0.7), (0.9, 1))}
METRICS: dict[str, Damage] = {
    "is missing": removed,
    "has lost its first line": without_line(0),
    "has lost its last line": without_line(-1),
    "has half a line at its end": cut(0.97),
    "has binary garbage at its end": lambda path: path.write_bytes(path.read_bytes() + bytes(range(256))) and None,
    "was edited": edited(b'"epoch": 1', b'"epoch": 7'),
    "has a test error of zero": edited(b'"test_error": ', b'"test_error": 0, "x": '),
}
CONFIG: dict[str, Damage] = {
    "is missing": removed,
    "has other seeds": edited(b'"seeds"', b'"seed"'),
    "has another rule": edited(b"Backprop", b"Nothing"),
}


@pytest.mark.parametrize("name", {**CHECKPOINT, **GENERAL, "is missing": removed})
def test_a_damaged_checkpoint(name, made, worker, case, tmp_path):
    damage = {**CHECKPOINT, **GENERAL, "is missing": removed}[name]
    this = case("faults", f"checkpoint.safetensors of a half run {name}", " ".join(RESUME))
    resumed(this, worker, made, damage, "checkpoint.safetensors", tmp_path)


def test_a_header_with_fields_that_cannot_be(made, worker, case, tmp_path):
    for number, (name, damage) in enumerate(header_damages(made("half") / "run" / "checkpoint.safetensors")):
        this = case("faults", f"the header of checkpoint.safetensors: {name}", " ".join(RESUME))
        resumed(this, worker, made, damage, "checkpoint.safetensors", tmp_path / str(number))


@pytest.mark.parametrize("name", ["foreign", "step", "wide", "rule"])
def test_a_foreign_checkpoint(name, made, worker, case, tmp_path):
    this = case("faults", f"checkpoint.safetensors of another run ({name})", " ".join(RESUME))
    resumed(
        this,
        worker,
        made,
        lambda path: shutil.copy(made(name) / "run" / path.name, path) and None,
        "checkpoint.safetensors",
        tmp_path,
    )


@pytest.mark.parametrize("state", ["half", "whole"])
@pytest.mark.parametrize("name", {**METRICS, **GENERAL})
def test_damaged_metrics(name, state, made, worker, case, tmp_path):
    this = case("faults", f"metrics.jsonl of a {state} run {name}", " ".join(RESUME))
    resumed(this, worker, made, {**METRICS, **GENERAL}[name], "metrics.jsonl", tmp_path, state)


@pytest.mark.parametrize("name", {**CONFIG, **GENERAL})
def test_a_damaged_configuration(name, made, worker, case, tmp_path):
    this = case("faults", f"config.json of a half run {name}", " ".join(RESUME))
    resumed(this, worker, made, {**CONFIG, **GENERAL}[name], "config.json", tmp_path)


@pytest.mark.parametrize("name", {**GENERAL, "is missing": removed})
def test_a_damaged_result(name, made, worker, case, tmp_path):
    this = case("faults", f"result.json of a whole run {name}", " ".join(RESUME))
    resumed(this, worker, made, {**GENERAL, "is missing": removed}[name], "result.json", tmp_path, "whole")


READERS = {
    ("plot", "run"): ("config.json", "result.json", "metrics.jsonl"),
    ("evaluate", "run"): ("config.json", "checkpoint.safetensors"),
    ("predict", "run"): ("config.json", "checkpoint.safetensors"),
    ("compare", "--from", "run", "--out", "beside"): (
        "config.json",
        "result.json",
        "metrics.jsonl",
        "checkpoint.safetensors",
    ),
    ("train", "--config", "run/config.json", "--epochs", "1"): ("config.json",),
}


@pytest.mark.parametrize("args", READERS, ids=lambda args: args[0])
def test_a_damaged_run_that_is_read(args, made, worker, case, tmp_path):
    for file in READERS[args]:
        for number, (name, damage) in enumerate(GENERAL.items()):
            this = case("faults", f"{file} of a whole run {name}", " ".join(args))
            folder = tmp_path / f"{file}-{number}"
            shutil.copytree(made("whole"), folder)
            damage(folder / "run" / file)
            answer = worker.ask(args, folder)
            this.add(findings(answer))
            if answer["status"] == 0 and not answer["err"].strip():
                this.add([("silent", "status 0, and nothing on standard error")])
            elif file not in answer["err"] and "run" not in answer["err"] and not this.failures:
                this.add([("message", f"it does not name the file: {answer['err'].strip()[-200:]}")])


SEARCHES: dict[str, tuple[str, Damage]] = {f"bp.json {name}": ("bp.json", damage) for name, damage in GENERAL.items()}
SEARCHES |= {f"bp.journal {name}": ("bp.journal", damage) for name, damage in GENERAL.items()}
SEARCHES |= {
    "bp.journal has half a line at its end": ("bp.journal", cut(0.99)),
    "bp.journal has half a line in its middle": ("bp.journal", without_line(7)),
    "bp.journal is missing": ("bp.journal", removed),
    "bp.json is missing": ("bp.json", removed),
    "bp.journal has lost its first line": ("bp.journal", without_line(0)),
    "bp.journal was edited": ("bp.journal", edited(b'"values": [', b'"values": [1e9, ')),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_damaged_search(name, made, worker, case, tmp_path):
    file, damage = SEARCHES[name]
    this, folder = case("faults", f"of a finished search, {name}", " ".join(SEARCH)), tmp_path / "files"
    shutil.copytree(made("search"), folder)
    damage(folder / "search" / file)
    this.add(check(worker.ask(SEARCH, folder), folder, made("search"), (file, "search")))


@pytest.mark.parametrize("name", GENERAL)
def test_a_damaged_comparison(name, made, worker, case, tmp_path):
    for args in ((*COMPARE, "--resume"), ("plot", "comparison")):
        this = case("faults", f"comparison.json of a whole comparison {name}", " ".join(args))
        folder = tmp_path / args[0]
        shutil.copytree(made("compare"), folder)
        GENERAL[name](folder / "comparison" / "comparison.json")
        answer = worker.ask(args, folder)
        whole = made("compare") if args[0] == "compare" else folder
        this.add(check(answer, folder, whole, ("comparison.json",)))


@pytest.mark.parametrize("name", GENERAL)
def test_a_damaged_part_of_an_item(name, made, worker, case, tmp_path):
    """The others are shown, and a line names the file."""
    for args in ((*REPRODUCE, "--show"), REPRODUCE):
        this = case("faults", f"one result of an item {name}", " ".join(args))
        folder = tmp_path / ("show" if "--show" in args else "run")
        shutil.copytree(made("reproduce"), folder)
        file = next(path for path in sorted((folder / "results").rglob("*.json")))
        GENERAL[name](file)
        answer = worker.ask(args, folder)
        this.add(findings(answer))
        if file.name not in answer["err"] and not this.failures:
            this.add([("message", f"it does not name the file: {answer['err'].strip()[-200:]}")])
        if "--show" in args and not answer["out"].strip() and not this.failures:
            this.add([("lost", "the other results are not shown")])
