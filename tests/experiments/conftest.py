"""What the tests of experiments and of papers share."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import targetprop as tp
from experiments.searches import Calls, error
from targetprop.experiments import tuning
from targetprop.training.provenance import describe


@pytest.fixture
def write_run() -> Callable[[Path, tp.Recipe, list[dict], list[dict]], None]:
    """Writes the files of a finished run as far as a store reads them: the results of its seeds
    and its metrics.
    """

    def write(folder: Path, recipe: tp.Recipe, seeds: list[dict], records: list[dict]) -> None:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"recipe": describe(recipe)}))
        (folder / "result.json").write_text(json.dumps({"seeds": seeds}))
        (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

    return write


@pytest.fixture
def calls(monkeypatch) -> Calls:
    """Nothing is trained: the errors follow from the settings."""
    calls = Calls()

    def errors(self, proposals, watch):
        calls.append(list(proposals))
        if len(calls) - 1 == calls.stop:
            raise calls.failure
        return [[error(proposal)] * len(self.seeds) for proposal in proposals]

    monkeypatch.setattr(tuning._Objective, "errors", errors)
    return calls
