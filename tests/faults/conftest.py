"""The harness of kills, command lines and faults.

Its quick part belongs to `make test`. The whole is `make test-faults`, with the marker `faults`.
It counts cases and failures by kind, and writes them to the file that `--faults-report` names.
"""

import dataclasses
import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from faults.cases import Case

collected: list[dict[str, Any]] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults-report", help="file for the figures of the harness, as JSON")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The whole harness runs only where `-m` asks for it."""
    if "faults" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("faults")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


CASES = pytest.StashKey[list[Case]]()


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Callable[..., Case]:
    """Begins a case: `case(kind, name, command)`. The test fails if one of its cases has failures."""
    cases = request.node.stash.setdefault(CASES, [])

    def begin(kind: str, name: str, command: str) -> Case:
        cases.append(Case(kind, name, command))
        return cases[-1]

    return begin


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Report the cases of a test, also of one that ends in an error of its own."""
    cases = pyfuncitem.stash.setdefault(CASES, [])
    try:
        result = yield
    finally:
        pyfuncitem.user_properties.append(("cases", [dataclasses.asdict(one) for one in cases]))
    failed = [one for one in cases if one.failures]
    if failed:
        pytest.fail("\n".join(map(str, failed)), pytrace=False)
    return result


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """One cache of compiled programs for all processes."""
    named = os.environ.get("FAULTS_CACHE")
    return Path(named) if named else tmp_path_factory.mktemp("compiled")


def pytest_configure(config: pytest.Config) -> None:
    """Collect the cases of all tests, also of those that other processes run."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Collector(config.getoption("--faults-report", None)))


@dataclasses.dataclass(frozen=True)
class Collector:
    """Keeps the cases of the tests that ended, and writes them after each."""

    path: str | None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        cases = [one for name, cases in report.user_properties if name == "cases" for one in cases]
        if report.when == "teardown" and cases:
            collected.extend(cases)
            if self.path:
                Path(self.path).write_text(json.dumps(figures(), indent=1) + "\n")


def figures() -> dict[str, Any]:
    """Cases and failures by kind, and where it ran."""
    kinds = {}
    for kind in sorted({one["kind"] for one in collected}):
        cases = [one for one in collected if one["kind"] == kind]
        failures = Counter(failure for one in cases for failure in {name for name, _ in one["failures"]})
        kinds[kind] = {
            "cases": len(cases),
            "failed": sum(bool(one["failures"]) for one in cases),
            "failures": dict(failures),
        }
        kinds[kind] |= {"kills": sum(one["kills"] for one in cases)} if kind == "kills" else {}
    packages = {name: metadata.version(name) for name in ("targetprop", "jax", "numpy", "hypothesis")}
    machine = {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()}
    versions = {"python": platform.python_version(), **packages}
    return {"kinds": kinds, "machine": machine, "versions": versions, "failed": [c for c in collected if c["failures"]]}


def pytest_terminal_summary(terminalreporter, exitstatus: int, config: pytest.Config) -> None:
    if not collected or "faults" not in config.option.markexpr:
        return
    found = figures()
    terminalreporter.section("faults")
    for kind, counts in found["kinds"].items():
        by_kind = ", ".join(f"{number} {name}" for name, number in counts["failures"].items())
        kills = f" with {counts['kills']} kills" if "kills" in counts else ""
        told = f"{kind}: {counts['cases']} cases{kills}, {counts['failed']} failed"
        terminalreporter.write_line(told + (f" ({by_kind})" if by_kind else ""))
