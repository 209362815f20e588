"""What cannot be written: a full disk, a limit, a protected or a removed folder.

One line says so. Nothing that was done is lost, and the same command goes on when there is room.
"""

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.cases import Case
from faults.compare_runs import differences
from faults.injection import Fault
from faults.processes import Done, Finding, check_message, check_success, disturbances, environment, run
from faults.scenarios import SCENARIOS, Scenario, Unbroken, prepare, unbroken

pytestmark = pytest.mark.faults
LINES = 8
"""How many lines there may be on standard error: training goes on, and each epoch may say so."""
TRAIN = Scenario(("train", "bp", "--hidden", "8", "--epochs", "4", "--seeds", "2", "--out", "run"), ("--resume",))
OTHERS = {"pretraining": SCENARIOS["train dtp, pretraining"]}
for _name in ("search", "compare", "reproduce, several parts", "reproduce, an experiment", "predict", "plot", "bench"):
    OTHERS[_name] = SCENARIOS[_name]

TRAINING = {
    "a full disk at the metrics": Fault("ENOSPC", 3, "write", "metrics.jsonl"),
    "a full disk at the metrics, for a moment": Fault("ENOSPC", 3, "write", "metrics.jsonl", lasting=False),
    "a full disk at the checkpoint": Fault("ENOSPC", 2, "write", "checkpoint"),
    "a full quota at the checkpoint, for a moment": Fault("EDQUOT", 2, "write", "checkpoint", lasting=False),
    "a full disk from some moment on": Fault("ENOSPC", 25, "any"),
    "a full disk in the middle": Fault("ENOSPC", 60, "any"),
    "an error of the disk at the metrics": Fault("EIO", 2, "fsync", "metrics.jsonl"),
    "an error of the disk at the checkpoint": Fault("EIO", 2, "fsync", "checkpoint"),
    "a disk that becomes read-only": Fault("EROFS", 40, "any"),
    "a disk that is read-only at the start": Fault("EROFS", 1, "any", "run"),
    "a checkpoint that cannot be renamed": Fault("EACCES", 2, "replace", "checkpoint"),
    "a full disk at the configuration": Fault("ENOSPC", 1, "write", "config.json"),
    "a full disk at the result": Fault("ENOSPC", 1, "write", "result.json"),
    "a full disk at the networks": Fault("ENOSPC", 1, "write", "safetensors"),
    "no folder for TensorBoard": Fault("EACCES", 1, "mkdir", "tensorboard"),
    "a full disk for TensorBoard": Fault("ENOSPC", 2, "write", "tfevents"),
    "a full disk for TensorBoard at the start": Fault("ENOSPC", 1, "open", "tfevents"),
    "the folder is removed": Fault("remove", 3, "fsync", "metrics.jsonl"),
    "the folder is removed at a checkpoint": Fault("remove", 3, "open", "checkpoint"),
    "no lock": Fault("EACCES", 1, "open", "lock"),
}
COMMANDS = {
    "a full disk during pretraining": ("pretraining", Fault("ENOSPC", 30, "any")),
    "a full disk at the trials": ("search", Fault("ENOSPC", 20, "write", "journal")),
    "a full disk at the best values": ("search", Fault("ENOSPC", 1, "write", "bp.json")),
    "a full disk at the comparison": ("compare", Fault("ENOSPC", 1, "write", "comparison.json")),
    "a full disk at the second rule": ("compare", Fault("ENOSPC", 3, "write", "dfa/metrics.jsonl")),
    "a full disk at the figure": ("compare", Fault("ENOSPC", 1, "write", "learning-curves.png")),
    "a full disk at a part": ("reproduce, several parts", Fault("ENOSPC", 3, "write", ".json")),
    "a full disk at the page": ("reproduce, an experiment", Fault("ENOSPC", 1, "write", "fig2.md")),
    "protected results": ("reproduce, an experiment", Fault("EACCES", 1, "mkdir", "results")),
    "a full disk at the predictions": ("predict", Fault("ENOSPC", 1, "write", "predictions.csv")),
    "a full disk at the pictures": ("plot", Fault("ENOSPC", 1, "write", ".png")),
    "a full disk at the measurements": ("bench", Fault("ENOSPC", 1, "write", "bench.json")),
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory, cache) -> Unbroken:
    return unbroken(TRAIN, tmp_path_factory.mktemp("unbroken") / "files", cache)


@pytest.fixture(scope="module")
def others(tmp_path_factory, cache):
    found: dict[str, Unbroken] = {}

    def other(name: str) -> Unbroken:
        if name not in found:
            found[name] = unbroken(OTHERS[name], tmp_path_factory.mktemp("unbroken") / "files", cache)
        return found[name]

    return other


def check_partial(done: Done, folder: Path, whole: Path, words: tuple[str, ...], complete: bool = True) -> list[Finding]:
    """Less was done than asked for: a status that says so, and a message. Or all was done, in spite of
    the fault.
    """
    found = disturbances(done)
    if found:
        return found
    if done.status == 0 and complete:
        found += [(kind, f"status 0, but {text}") for kind, text in differences(folder, whole) if "tensorboard" not in text]
    elif done.status not in (0, 1, 2):
        found.append(("status", f"it ended with status {done.status}: {done.last_line}"))
    return found + check_message(done, *words, lines=LINES)


def go_on(this: Case, scenario: Scenario, folder: Path, whole: Path, cache: Path) -> None:
    """The fault is gone: the command goes on, and ends as an unbroken one."""
    done = run(scenario.command, folder, environment(cache))
    this.add([(kind, f"afterwards: {text}") for kind, text in check_success(done)])
    if scenario.repeatable:
        this.add([(kind, f"afterwards: {text}") for kind, text in differences(folder, whole)])


def told_of(fault: Fault) -> tuple[str, ...]:
    """One of these must stand in the message: the reason, or the file."""
    reasons = {"ENOSPC": "space", "EDQUOT": "quota", "EIO": "put/output", "EROFS": "ead-only", "EACCES": "ermission"}
    return (
        reasons.get(fault.action, "No such file"),
        *filter(None, [fault.match]),
        "cannot be",
        "protected",
        "not writable",
    )


@pytest.mark.parametrize("name", TRAINING)
def test_a_run_that_cannot_write_says_so_and_can_be_resumed(name, reference, case, cache, tmp_path):
    fault = TRAINING[name]
    this = case("faults", f"{name} ({fault})", " ".join(TRAIN.args))
    folder = tmp_path / "files"
    folder.mkdir()
    done = run(TRAIN.command, folder, environment(cache), fault)
    if fault.action == "remove":
        folder.mkdir(exist_ok=True)
    this.add(check_partial(done, folder, reference.folder, told_of(fault)))
    go_on(this, TRAIN, folder, reference.folder, cache)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_cannot_write_says_so_and_can_be_run_again(name, others, case, cache, tmp_path):
    key, fault = COMMANDS[name]
    scenario, whole = OTHERS[key], others(key).folder
    this = case("faults", f"{name} ({fault})", " ".join(scenario.args))
    folder = tmp_path / "files"
    prepare(scenario, folder, cache)
    done = run(scenario.command, folder, environment(cache), fault)
    this.add(check_partial(done, folder, whole, told_of(fault), scenario.repeatable))
    if done.status == 0:
        this.add([("silent", f"status 0, but what was asked for is not written: {done.last_line}")])
    go_on(this, scenario, folder, whole, cache)


@pytest.mark.parametrize("size", [2000, 12000])
def test_a_limit_on_the_size_of_files(size, reference, case, cache, tmp_path):
    this = case("faults", f"files of at most {size} bytes", " ".join(TRAIN.args))
    folder = tmp_path / "files"
    folder.mkdir()
    plain = environment(cache, TARGETPROP_COMPILE_CACHE="off")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    done = run(TRAIN.command, folder, plain, preexec_fn=limit)
    this.add(check_partial(done, folder, reference.folder, ("too large", "cannot be")))
    go_on(this, TRAIN, folder, reference.folder, cache)


@contextlib.contextmanager
def small_disk(folder: Path, options: str) -> Iterator[None]:
    """A disk in memory with little room. Skips the test where it is not allowed to make one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a disk cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.mark.parametrize("options", ["size=24k", "size=48k", "size=64k", "size=1m,nr_inodes=6", "size=1m,nr_inodes=12"])
def test_a_small_disk_that_is_full(options, reference, case, cache, tmp_path):
    this = case("faults", f"a disk with {options}", " ".join(TRAIN.args))
    folder = tmp_path / "disk"
    with small_disk(folder, options):
        done = run(TRAIN.command, folder, environment(cache))
        this.add(check_partial(done, folder, reference.folder, ("space", "cannot be")))
        subprocess.run(["mount", "-o", "remount,size=10m,nr_inodes=1000", str(folder)], check=True)
        go_on(this, TRAIN, folder, reference.folder, cache)


def test_a_disk_that_is_mounted_read_only_in_mid_run(reference, case, cache, tmp_path):
    this = case("faults", "a disk that is read-only after some epochs", " ".join(TRAIN.args))
    folder = tmp_path / "disk"
    with small_disk(folder, "size=1m"):
        run(TRAIN.command, folder, environment(cache), Fault("kill", 3, "replace", "checkpoint"))
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        done = run(TRAIN.command, folder, environment(cache))
        this.add(check_partial(done, folder, reference.folder, ("ead-only", "cannot be", "protected")))
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        go_on(this, TRAIN, folder, reference.folder, cache)


def test_a_clock_that_goes_back(reference, case, cache, tmp_path):
    this = case("faults", "the clock goes back a week between two parts of a run", " ".join(TRAIN.args))
    folder = tmp_path / "files"
    folder.mkdir()
    run(TRAIN.command, folder, environment(cache), Fault("kill", 3, "replace", "checkpoint"))
    this.add(check_success(run(TRAIN.command, folder, environment(cache), Fault("clock"))))
    this.add(differences(folder, reference.folder))


def test_a_file_in_place_of_the_folder_of_tensorboard(reference, case, cache, tmp_path):
    this = case("faults", "a file in place of the folder of TensorBoard", " ".join(TRAIN.args))
    folder = tmp_path / "files"
    (folder / "run").mkdir(parents=True)
    (folder / "run" / "tensorboard").write_text("somebody else's")
    done = run(TRAIN.command, folder, environment(cache))
    this.add(check_partial(done, folder, reference.folder, ("tensorboard",)))
    (folder / "run" / "tensorboard").unlink(missing_ok=True)
    go_on(this, TRAIN, folder, reference.folder, cache)


def test_no_room_for_compiled_programs(reference, case, tmp_path):
    this = case("faults", "no room for compiled programs", " ".join(TRAIN.args))
    folder = tmp_path / "files"
    folder.mkdir()
    env = environment(folder / "cc")
    done = run(TRAIN.command, folder, env, Fault("ENOSPC", 1, "write", "cc/"))
    this.add(check_success(done))
    this.add(differences(folder, reference.folder))


def test_damaged_compiled_programs(reference, case, tmp_path):
    this = case("faults", "compiled programs that are cut off or changed", " ".join(TRAIN.args))
    folder, env = tmp_path / "files", environment(tmp_path / "cc")
    folder.mkdir()
    run(TRAIN.args, folder, env)
    for number, program in enumerate(sorted((tmp_path / "cc").glob("*-cache"))):
        text = program.read_bytes()
        program.write_bytes(text[: len(text) // 2] if number % 2 else text[:100] + b"\0" * 50 + text[150:])
    shutil.rmtree(folder / "run")
    this.add(check_success(run(TRAIN.args, folder, env)))
    this.add(differences(folder, reference.folder))


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator can write everywhere")
@pytest.mark.parametrize("where", [".", "run"])
def test_a_protected_folder(where, reference, case, cache, tmp_path):
    this = case("faults", f"{where} is protected", " ".join(TRAIN.args))
    folder = tmp_path / "files"
    (folder / "run").mkdir(parents=True)
    (folder / where).chmod(0o500)
    done = run(TRAIN.command, folder, environment(cache))
    this.add(check_partial(done, folder, reference.folder, ("protected",)))
    (folder / where).chmod(0o700)
    go_on(this, TRAIN, folder, reference.folder, cache)
