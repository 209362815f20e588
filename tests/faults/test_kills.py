"""Commands that are killed at random moments, several times, and run again until they are done.

Their files are then those of an unbroken run, to the last bit.
"""

import random
import shutil
import signal

import pytest

from faults.compare_runs import differences
from faults.injection import Fault
from faults.processes import check_success, disturbances, environment, run, run_killed_after
from faults.scenarios import SCENARIOS, Unbroken, prepare, unbroken

RUNS = {"train": 4, "search": 3, "compare": 3, "reproduce": 2}
"""How many runs of each scenario of a verb. Other verbs have one."""
KILLS = {"train": 3, "search": 3, "compare": 3, "reproduce": 3}
"""How often each run is killed. Those of other verbs: twice."""
LONGEST = 6
"""How often a run is started at most, so that all of its kills happen."""

PLANS = [(name, number) for name in SCENARIOS for number in range(RUNS.get(name.split()[0].rstrip(","), 1))]


@pytest.fixture(scope="module")
def references(tmp_path_factory, cache):
    """The unbroken run of each scenario, made when it is asked for."""
    found: dict[str, Unbroken] = {}

    def reference(name: str) -> Unbroken:
        if name not in found:
            folder = tmp_path_factory.mktemp("unbroken") / "files"
            found[name] = unbroken(SCENARIOS[name], folder, cache)
        return found[name]

    return reference


def random_fault(chance: random.Random, trace: list[tuple[str, str]], first: bool) -> Fault:
    """A fault at an operation of the unbroken run. What comes after a kill has fewer operations."""
    kinds = sorted({(op, name.rsplit("/", 1)[-1]) for op, name in trace})
    op, name = chance.choice(kinds if chance.random() < 0.5 else [(o, n.rsplit("/", 1)[-1]) for o, n in trace])
    count = sum(1 for o, n in trace if o == op and n.endswith(name))
    name = "" if "tfevents" in name else name
    at = chance.randint(1, count if first else max(1, count // 2))
    action = "half" if op == "write" and chance.random() < 0.7 else chance.choice(["kill"] * 8 + ["term", "int"])
    return Fault(action, at, op, name)


@pytest.mark.faults
@pytest.mark.parametrize(("name", "number"), PLANS, ids=lambda value: str(value))
def test_a_killed_command_that_is_run_again_ends_as_an_unbroken_one(name, number, references, case, cache, tmp_path):
    scenario, reference = SCENARIOS[name], references(name)
    chance, this = random.Random(f"{name} {number}"), case("kills", name, " ".join(scenario.command))
    this.add(check_success(reference.done))
    folder, env, told = tmp_path / "files", environment(cache), []
    prepare(scenario, folder, cache)
    wanted = KILLS.get(scenario.args[0], 2)
    for turn in range(LONGEST):
        if this.kills == wanted:
            break
        if chance.random() < 0.3 or not reference.trace:
            seconds = chance.uniform(0.05, 0.9 * reference.done.seconds)
            how = chance.choice([signal.SIGKILL] * 4 + [signal.SIGTERM, signal.SIGINT])
            done = run_killed_after(seconds, scenario.command, folder, env, how)
            told.append(f"{how.name} after {seconds:.2f} s")
        else:
            fault = random_fault(chance, reference.trace, turn == 0)
            done = run(scenario.command, folder, env, fault)
            told.append(str(fault))
        this.kills += done.status not in (0, None)
        told[-1] += f" (status {done.status})"
        if done.status == 0 and scenario.repeatable:  # it was done before its kill: once more from the beginning
            this.add(differences(folder, reference.folder))
            shutil.rmtree(folder)
            prepare(scenario, folder, cache)
        this.name = f"{name}: {'; '.join(told)}"
        this.add(disturbances(done))
        if done.status in (1, 2) and "interrupted" not in done.err + done.out and not this.failures:
            this.add([("status", f"it ended with status {done.status}: {done.last_line}")])
    done = run(scenario.command, folder, env)
    this.add(check_success(done))
    if scenario.repeatable:
        this.add(differences(folder, reference.folder))
    if not this.failures:
        shutil.rmtree(tmp_path)
