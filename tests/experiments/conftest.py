"""What the tests of experiments and of papers share."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import targetprop as tp
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
