"""What is around a process: output that nobody reads, other locales, other processes, other files."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faults.compare_runs import differences
from faults.injection import Fault
from faults.processes import (
    Done,
    Finding,
    check_failure,
    check_message,
    check_success,
    disturbances,
    environment,
    finish,
    run,
    start,
)
from faults.scenarios import SCENARIOS, Scenario, Unbroken, prepare, unbroken

pytestmark = pytest.mark.faults
TRAIN = Scenario(("train", "bp", "--hidden", "8", "--epochs", "4", "--seeds", "2", "--out", "run"), ("--resume",))
ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
PRINTING = ("rules", "recipes thesis2019", "explain dtp", "cite dtp", "data list", "train bp --hidden 4 --epochs 1")
PRINTING = (*PRINTING, "reproduce farias2018 fig2 --json", "explain ddtp-linear --json", "rules --json", "rules --help")


@pytest.fixture(scope="module")
def reference(tmp_path_factory, cache) -> Unbroken:
    return unbroken(TRAIN, tmp_path_factory.mktemp("unbroken") / "files", cache)


@pytest.mark.parametrize("command", PRINTING)
def test_a_locale_that_is_not_utf8(command, case, cache, tmp_path):
    this = case("faults", "a locale that knows ASCII only", command)
    this.add(check_success(run(command.split(), tmp_path, environment(cache, **ASCII))))


@pytest.mark.parametrize("command", PRINTING)
def test_output_that_is_full(command, case, cache, tmp_path):
    this = case("faults", "standard output is a full device", f"{command} > /dev/full")
    with open("/dev/full", "w") as full:
        done = run(command.split(), tmp_path, environment(cache), stdout=full)
    this.add(check_failure(done, "output", "space"))


@pytest.mark.parametrize("command", PRINTING)
def test_output_that_nobody_reads(command, case, cache, tmp_path):
    this = case("faults", "standard output is a closed pipe", f"{command} | true")
    reading, writing = os.pipe()
    os.close(reading)
    done = run(command.split(), tmp_path, environment(cache), stdout=writing)
    os.close(writing)
    this.add(disturbances(done))
    if done.status != 141 and not this.failures:
        this.add([("status", f"it ended with status {done.status}, not 141: {done.last_line}")])
    if done.err.strip() and not this.failures:
        this.add([("message", f"a message that nobody needs: {done.last_line}")])


@pytest.mark.parametrize("place", ["stdout", "stderr"])
def test_a_closed_output(place, reference, case, cache, tmp_path):
    number = {"stdout": 1, "stderr": 2}[place]
    this = case("faults", f"{place} is closed", f"{' '.join(TRAIN.args)} {number}>&-")
    folder = tmp_path / "files"
    folder.mkdir()
    done = run(TRAIN.command, folder, environment(cache), preexec_fn=lambda: os.close(number))
    this.add(disturbances(done))
    this.add(check_success(run(TRAIN.command, folder, environment(cache))))
    this.add(differences(folder, reference.folder))


def test_messages_that_cannot_be_written(reference, case, cache, tmp_path):
    this = case("faults", "standard error is a full device", f"{' '.join(TRAIN.args)} 2> /dev/full")
    folder = tmp_path / "files"
    folder.mkdir()
    with open("/dev/full", "w") as full:
        done = run(TRAIN.command, folder, environment(cache), stderr=full)
    this.add(check_success(done))
    this.add(differences(folder, reference.folder))


PLACES = ["TARGETPROP_CACHE=/dev/null/x", "TARGETPROP_COMPILE_CACHE=/dev/full", "HOME=/nowhere", "TMPDIR=/nowhere"]


@pytest.mark.parametrize("setting", PLACES)
def test_a_place_that_is_not_there(setting, reference, case, cache, tmp_path):
    this = case("faults", setting, " ".join(TRAIN.args))
    folder, env = tmp_path / "files", environment(cache)
    folder.mkdir()
    name, _, value = setting.partition("=")
    if name != "TARGETPROP_COMPILE_CACHE":
        del env["TARGETPROP_COMPILE_CACHE"]
    this.add(check_success(run(TRAIN.args, folder, env | {name: value})))
    this.add(differences(folder, reference.folder))


def test_little_memory(case, cache, tmp_path):
    """Where there is too little memory, a line says so. XLA may end the process itself."""
    args = ("train", "bp", "--hidden", "20000", "20000", "--epochs", "1", "--out", "run")
    this = case("faults", "memory of 4 GB", " ".join(args))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    this.add(check_failure(run(args, tmp_path, environment(cache), preexec_fn=limit), "memory", lines=3))


# Two processes

PAIRS = [("train", 0.0), ("train", 0.5), ("train", 1.5), ("train", 2.5), ("compare", 0.5), ("compare", 3.0)]
PAIRS += [("search", 0.0), ("search", 2.0), ("reproduce, several parts", 0.5), ("reproduce, trained networks", 2.0)]


@pytest.mark.parametrize(("name", "pause"), PAIRS)
def test_two_processes_in_one_folder(name, pause, case, cache, tmp_path):
    """One does the work. The other ends with one clear line, or has nothing left to do, or shares it."""
    scenario = TRAIN if name == "train" else SCENARIOS[name]
    this = case("faults", f"two processes, the second after {pause} s", " ".join(scenario.command))
    whole, folder, env = tmp_path / "whole" / "files", tmp_path / "files", environment(cache)
    reference = unbroken(scenario, whole, cache)
    prepare(scenario, folder, cache)
    first = start(scenario.command, folder, env)
    time.sleep(pause)
    second = start(scenario.command, folder, env)
    ends = [finish(process, scenario.command) for process in (first, second)]
    for done in ends:
        this.add(disturbances(done) or ([] if done.status == 0 else check_failure(done, "nother process", "already")))
    if all(done.status for done in ends):
        this.add([("lost", "neither of the two did the work")])
    this.add(differences(folder, reference.folder))


@pytest.mark.parametrize("name", ["train", "compare", "search", "reproduce, several parts"])
def test_locks_that_a_killed_process_left(name, case, cache, tmp_path):
    scenario = TRAIN if name == "train" else SCENARIOS[name]
    this = case("faults", "locks of a killed process, and its unfinished files", " ".join(scenario.command))
    whole, folder = unbroken(scenario, tmp_path / "whole" / "files", cache).folder, tmp_path / "files"
    prepare(scenario, folder, cache)
    run(scenario.command, folder, environment(cache), Fault("half", 12, "write"))
    for path in [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".lock", ".part")]:
        path.with_name(path.name + ".part").write_text("half")
    this.add(check_success(run(scenario.command, folder, environment(cache))))
    this.add(differences(folder, whole))


# Files of somebody else

FOREIGN = ("result.json", "models/seed0.safetensors", "metrics.jsonl", "tensorboard/events.out.tfevents.1.mine", "notes.txt")


def check_kept(folder: Path) -> list[Finding]:
    lost = [name for name in FOREIGN if not (folder / name).is_file() or (folder / name).read_text() != name]
    return [("lost", f"files of somebody else are gone or changed: {', '.join(lost)}")] if lost else []


def somebody_elses(folder: Path) -> None:
    for name in FOREIGN:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


@pytest.mark.parametrize("flags", ["", "--resume"])
def test_files_of_somebody_else_are_kept(flags, case, cache, tmp_path):
    args = (*TRAIN.args, *flags.split())
    this = case("faults", "the folder has results of somebody else, and no config.json", " ".join(args))
    somebody_elses(tmp_path / "run")
    this.add(check_failure(run(args, tmp_path, environment(cache)), "run"))
    this.add(check_kept(tmp_path / "run"))


def test_notes_in_the_folder_survive_replacing(reference, case, cache, tmp_path):
    args = (*TRAIN.args, "--overwrite")
    this = case("faults", "the folder has files that are not of the run", " ".join(args))
    shutil.copytree(reference.folder, tmp_path / "files")
    kept = [tmp_path / "files" / "run" / name for name in ("notes.txt", "models/mine.safetensors", "tensorboard/mine.txt")]
    for path in kept:
        path.write_text("mine")
    this.add(check_success(run(args, tmp_path / "files", environment(cache))))
    this.add([("lost", f"{path.name} is gone") for path in kept if not path.exists()])
    this.add(differences(tmp_path / "files", reference.folder))


def test_a_resumed_run_without_its_configuration_keeps_its_settings(case, cache, tmp_path):
    args = (*TRAIN.command, "--optimizer.learning-rate", "0.5")
    this = case("faults", "config.json is missing, and a setting is another", " ".join(args))
    run(TRAIN.command, tmp_path, environment(cache), Fault("kill", 3, "replace", "checkpoint"))
    (tmp_path / "run" / "config.json").unlink()
    this.add(check_failure(run(args, tmp_path, environment(cache)), "learning-rate", "learning_rate", "config.json"))


@pytest.mark.parametrize("name", ["search", "compare"])
def test_a_result_of_other_settings_is_not_replaced(name, case, cache, tmp_path):
    scenario = SCENARIOS[name]
    args = (*scenario.args, "--epochs", "1")
    this = case("faults", "there is a result of other settings", " ".join(args))
    assert run(scenario.args, tmp_path, environment(cache)).status == 0
    if name == "search":
        (tmp_path / "search" / "bp.journal").unlink()  # the result alone was kept
    file = tmp_path / {"search": "search/bp.json", "compare": "comparison/comparison.json"}[name]
    before = file.read_bytes()
    this.add(check_failure(run(args, tmp_path, environment(cache))))
    if file.read_bytes() != before:
        this.add([("lost", f"{file.name} was replaced")])


@pytest.mark.parametrize("name", ["train", "search", "compare", "reproduce, several parts"])
def test_a_link_out_of_the_folder(name, case, cache, tmp_path):
    """A planted link is not followed when a file is written: what it points to is kept."""
    scenario, folder = TRAIN if name == "train" else SCENARIOS[name], tmp_path / "files"
    this = case("faults", "links to a file of somebody else, in place of unfinished files", " ".join(scenario.args))
    whole = unbroken(scenario, tmp_path / "whole" / "files", cache).folder
    treasure = tmp_path / "treasure"
    treasure.write_text("mine")
    prepare(scenario, folder, cache)
    for path in [path for path in whole.rglob("*") if path.is_file() and "tfevents" not in path.name]:
        link = folder / path.relative_to(whole).parent / f"{path.name}.part"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(treasure)
    this.add(disturbances(run(scenario.args, folder, environment(cache))))
    if treasure.read_text() != "mine":
        this.add([("lost", "a file outside of the folder was overwritten")])


@pytest.mark.parametrize("number", range(6))
def test_a_signal_at_any_moment_ends_without_a_traceback(number, reference, case, cache, tmp_path):
    chance = random.Random(number)
    how = chance.choice([signal.SIGINT, signal.SIGTERM])
    seconds = chance.uniform(0.0, 0.6) if number < 4 else chance.uniform(0.6, 3.0)
    this = case("faults", f"{how.name} after {seconds:.2f} s", " ".join(TRAIN.args))
    process = start(TRAIN.command, tmp_path, environment(cache))
    time.sleep(seconds)
    process.send_signal(how)
    done: Done = finish(process, TRAIN.command)
    this.add(disturbances(done))
    if done.status and done.status > 0 and not this.failures:
        this.add(check_message(done, "nterrupted", lines=2))
    this.add(check_success(run(TRAIN.command, tmp_path, environment(cache))))
    this.add(differences(tmp_path, reference.folder))


def test_half_a_line_is_read_by_head(reference, case, cache, tmp_path):
    this = case("faults", "only the first line is read", f"{' '.join(TRAIN.args)} | head -1")
    folder = tmp_path / "files"
    folder.mkdir()
    line = f'"{sys.executable}" -m targetprop {" ".join(TRAIN.args)} | head -1'
    done = subprocess.run(line, shell=True, cwd=folder, env=environment(cache), capture_output=True, text=True, check=False)
    this.add(disturbances(Done(TRAIN.args, done.returncode, done.stdout, done.stderr, 0.0)))
    this.add(differences(folder, reference.folder))
