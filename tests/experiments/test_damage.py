"""Damaged result files are named and left out, the others are shown, and nothing is lost."""

import dataclasses
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import targetprop as tp
from targetprop.cli import main
from targetprop.experiments.damage import DamagedFileError
from targetprop.experiments.experiment import Experiment, ExperimentPart
from targetprop.experiments.item import Item, Options, Part, Report, document, report_on, run_missing, save
from targetprop.experiments.reading import read_run
from targetprop.experiments.store import Store
from targetprop.experiments.training_part import TrainingPart
from targetprop.papers import items as registry
from targetprop.training.checkpoint import CheckpointError, checkpoint_files
from targetprop.training.locking import locked

SMALL = tp.recipe("bp", "digits").replace(architecture=tp.MLP((8,)), schedule=tp.Schedule(epochs=1))
FINISHED = {"seed": 0, "status": "finished", "test_error": 2.5}
RECORD = {"seed": 0, "epoch": 1, "train_loss": 1.0, "train_error": 3.0, "test_error": 2.5, "validation_error": 2.0}


@dataclasses.dataclass(frozen=True)
class Squares(Experiment):
    """The squares of the seeds."""

    steps = 1

    def run(self, seeds, advance):
        return [{"square": seed**2} for seed in seeds]

    def seconds(self, seeds):
        return 1.0


@pytest.fixture
def squares(tmp_path) -> ExperimentPart:
    return ExperimentPart("squares", "", Squares(), tmp_path / "squares")


@dataclasses.dataclass(frozen=True)
class Both(Item[Options]):
    """Two training runs, and an experiment."""

    source, name, title = "meulemans2020", "both", "Both"
    defaults = Options(seeds=2)

    def parts(self, options: Options) -> list[Any]:
        store = Store(options.results)
        runs = [TrainingPart(name, "digits", f"{self.source}/{name}", RECIPES[name], store) for name in RECIPES]
        return [*runs, ExperimentPart("squares", "", Squares(), options.results / self.source / "squares")]

    def report(self, options: Options) -> Report:
        *runs, squares = self.parts(options)
        rows = [(run.row, str([seed.result["test_error"] for seed in run.found().values()])) for run in runs]
        rows.append((squares.row, str([found["square"] for found in squares.found().values()])))
        return Report([{"row": row, "column": "", "ours": found} for row, found in rows], ("what", "found"), rows)


RECIPES = {"one": SMALL, "two": SMALL.replace(stepsize=0.5)}
WHOLE = [("one", "[2.5]"), ("two", "[2.5]"), ("squares", "[0, 1]")]


@pytest.fixture
def results(tmp_path, write_run) -> Path:
    """Finished runs of each part of `Both`."""
    folder = tmp_path / "results"
    for name, recipe in RECIPES.items():
        write_run(folder / "meulemans2020" / name / "seeds-0", recipe, [FINISHED], [RECORD])
    *_, squares = Both().parts(Options(results=folder))
    squares.run([0, 1], progress=False)
    return folder


def shown(results: Path) -> Report:
    return report_on(Both(), Options(results=results))


def all_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FILES = {
    "one/seeds-0/config.json": 0,
    "one/seeds-0/metrics.jsonl": 0,
    "one/seeds-0/result.json": 0,
    "squares/seeds-0-1.json": 2,
}
"""The row that is empty if a file is damaged."""


@pytest.mark.parametrize("file", FILES)
def test_wherever_a_file_was_cut_it_is_named_and_the_others_are_shown(results, file):
    path, row = results / "meulemans2020" / file, FILES[file]
    content = path.read_bytes()
    complete = len(content.rstrip())
    assert shown(results).rows == WHOLE
    for length in {*range(0, complete, max(1, complete // 20)), 1, 2, complete - 1}:
        path.write_bytes(content[:length])
        report = shown(results)
        empty = not (file.endswith("jsonl") and length == 0)  # no line is a whole number of lines
        assert report.rows == [
            (name, "[]") if i == row and empty else (name, found) for i, (name, found) in enumerate(WHOLE)
        ]
        assert list(report.damaged) == [path] * empty
        assert (f"`{path}` (" in report.left_out) == empty
    path.write_bytes(content)
    assert shown(results).rows == WHOLE
    assert shown(results).left_out == ""


OTHERS = {
    "nothing": b"",
    "zeros": bytes(100),
    "not UTF-8": b'{"seeds": "\xff"}',
    "a list": b"[]",
    "a text": b'"seeds"',
    "a number": b"1",
    "no entries": b"{}",
    "other entries": b'{"seeds": [[]], "config": 1, "recipe": 1}',
    "deep": b"[" * 100_000,
    "no numbers": b'{"seeds": [{"seed": 0, "status": "finished", "test_error": null}]}',
    "no status": b'{"seeds": [{"seed": 0, "test_error": 1.0}]}',
    "no seed": b'{"seeds": [{"status": "finished", "test_error": 1.0}]}',
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("content", OTHERS)
def test_whatever_a_file_holds_the_others_are_shown(results, file, content):
    (results / "meulemans2020" / file).write_bytes(OTHERS[content])
    rows = shown(results).rows
    row = FILES[file]
    assert [entry for i, entry in enumerate(rows) if i != row] == [entry for i, entry in enumerate(WHOLE) if i != row]


def test_the_command_names_each_damaged_file_once_and_changes_none(results, monkeypatch, capfd, caplog):
    item = Both()
    monkeypatch.setattr(registry, "items", lambda source: {item.name: item})
    damaged = [results / "meulemans2020" / file for file in ("one/seeds-0/result.json", "two/seeds-0/metrics.jsonl")]
    damaged[0].write_text("")
    damaged[1].write_text(damaged[1].read_text() + '{"seed": 0, "ep')
    before = all_files(results)
    command = ["reproduce", "meulemans2020", "both", "--results", str(results), "--show"]
    assert main(command) == 0
    assert all_files(results) == before
    assert caplog.messages == [
        f"{damaged[0]} cannot be read (Expecting value: line 1 column 1 (char 0)): what it holds is left out",
        f"{damaged[1]} cannot be read (line 2: Unterminated string starting at: line 1 column 13 (char 12)): "
        "what it holds is left out",
    ]
    words = " ".join(capfd.readouterr().out.split())
    assert "Left out, since it cannot be read:" in words
    assert "[0, 1]" in words
    assert main([*command, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert [entry["file"] for entry in found["damaged"]] == [str(path) for path in damaged]
    assert len(caplog.messages) == 2


def test_a_page_says_what_is_missing(results):
    paths = save(Both(), Options(results=results), "the command")
    assert "Left out" not in paths[0].read_text()
    assert "damaged" not in document(Both(), shown(results))
    (results / "meulemans2020" / "one/seeds-0/result.json").write_text("{")
    save(Both(), Options(results=results), "the command")
    page = paths[0].read_text()
    assert "Left out, since it cannot be read:" in page
    assert "| two | [2.5] |" in page


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A finished run of `SMALL`."""
    folder = tmp_path_factory.mktemp("trained")
    part_in(folder).run([0], progress=False)
    return folder


def part_in(folder: Path) -> TrainingPart:
    return TrainingPart("BP", "digits", "any/digits/bp", SMALL, Store(folder))


@pytest.mark.parametrize("checkpoint", [True, False])
@pytest.mark.parametrize("name", ["result.json", "config.json", "metrics.jsonl"])
def test_a_damaged_run_is_run_again_after_saying_so_and_kept(trained, tmp_path, caplog, name, checkpoint):
    before = all_files(trained)
    for path, content in before.items():
        copy = tmp_path / path.relative_to(trained)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
    part = part_in(tmp_path)
    folder = part.store.run_folder(part.name, SMALL, [0])
    if not checkpoint:
        for path in checkpoint_files(folder):
            path.unlink()
    whole = part.found()[0]
    half = (folder / name).read_bytes()[: -len(b'": 0}\n')]
    (folder / name).write_bytes(half)
    assert part.missing(1) == [0]
    assert part.run([0], progress=False)
    assert (folder / f"{name}.old").read_bytes() == half
    said = [text for text in caplog.messages if "is run again" in text]
    assert len(said) == 1
    assert f"{folder} is run again" in said[0]
    assert f"{name} cannot be read (" in said[0]
    assert f"{name}.old" in said[0]
    again = part.found()[0]
    assert again.result == whole.result
    assert again.history == whole.history
    others = {"config.json.old", "metrics.jsonl.old", "result.json.old"} - {f"{name}.old"}
    for other in {other for other in others if (folder / other).exists()}:
        original = next(path for path in before if path.name == other.removesuffix(".old"))
        assert (folder / other).read_bytes() == before[original]


def test_nothing_that_was_kept_is_replaced(squares, caplog):
    path = squares.folder / "seeds-0-1.json"
    for text, kept in (("", ".old"), ("{", ".old2"), ("[", ".old3")):
        squares.run([0, 1], progress=False)
        path.write_text(text)
        assert squares.missing(2) == [0, 1]
        squares.run([0, 1], progress=False)
        assert squares.found() == {0: {"square": 0}, 1: {"square": 1}}
        assert path.with_name(path.name + kept).read_text() == text
        assert f"is kept as {path.name}{kept}" in caplog.messages[-1]
    assert len(list(squares.folder.glob("*.json*"))) == 4


def test_a_result_of_other_settings_is_kept(squares, caplog):
    squares.run([0, 1], progress=False)
    path = squares.folder / "seeds-0-1.json"
    text = path.read_text().replace("Squares", "Cubes")
    path.write_text(text)
    assert squares.missing(2) == [0, 1]
    squares.run([0, 1], progress=False)
    assert squares.found() == {0: {"square": 0}, 1: {"square": 1}}
    assert path.with_name(f"{path.name}.old").read_text() == text
    assert "has other settings: it was run again" in caplog.messages[-1]


def test_a_folder_that_another_process_holds_is_left_alone(squares):
    with locked(squares.folder), pytest.raises(tp.ConfigError, match=r"Another process is writing .*`results`"):
        squares.run([0, 1], progress=False)
    assert squares.found() == {}


class Noted(Part):
    """A part that notes that it runs, and may fail."""

    def __init__(self, row: str, ran: list[str], error: Exception | None = None):
        self.row, self.column, self.ran, self.error = row, "", ran, error

    def found(self) -> dict[int, Any]:
        return {0: None} if self.row in self.ran else {}

    def run(self, seeds: Sequence[int], progress: bool) -> bool:
        if self.error:
            raise self.error
        self.ran.append(self.row)
        return True

    def seconds(self, seeds: Sequence[int]) -> float:
        return 0.0


def test_a_damaged_checkpoint_does_not_stop_the_other_parts(tmp_path, caplog):
    ran: list[str] = []

    class Parts(Both):
        def parts(self, options):
            return [Noted("a", ran), Noted("b", ran, CheckpointError("checkpoint.npz is damaged")), Noted("c", ran)]

    assert not run_missing(Parts(), Options(seeds=1, results=tmp_path))
    assert ran == ["a", "c"]
    assert caplog.record_tuples == [("targetprop", logging.WARNING, "b: checkpoint.npz is damaged")]


@pytest.fixture
def comparison(tmp_path) -> Path:
    """The files of a comparison of two rules."""
    rules = [{"rule": name, "seconds_per_epoch": None} for name in ("bp", "dfa")]
    heading = {"dataset": "digits", "unit": "%", "baseline": "bp", "rules": rules}
    (tmp_path / "comparison.json").write_text(json.dumps(heading))
    for name in ("bp", "dfa"):
        folder = tmp_path / name
        folder.mkdir()
        recipe = {"rule": {"type": name}, "dataset": "digits"}
        (folder / "config.json").write_text(json.dumps({"recipe": recipe, "seeds": [0]}))
        (folder / "result.json").write_text(json.dumps({"seeds": [FINISHED]}))
        (folder / "metrics.jsonl").write_text(json.dumps(RECORD) + "\n")
    return tmp_path


def test_a_comparison_goes_on_without_a_damaged_run(comparison, caplog):
    assert [result.rule for result in read_run(comparison).results] == ["bp", "dfa"]
    path = comparison / "dfa" / "metrics.jsonl"
    path.write_text(path.read_text() + '{"seed": 0,')
    found = read_run(comparison)
    assert [result.rule for result in found.results] == ["bp"]
    assert found.warnings == caplog.messages
    assert f"dfa is left out: {path} cannot be read (line 2: " in str(found)
    (comparison / "bp" / "result.json").write_text("{")
    with pytest.raises(tp.UserError, match=r"No run of the comparison in .*bp/result\.json cannot be read.*dfa is left out"):
        read_run(comparison)
    for text in ("{}", "[]", '{"dataset": "digits", "unit": "%", "rules": [1]}'):
        (comparison / "comparison.json").write_text(text)
        with pytest.raises(DamagedFileError, match=r"comparison\.json cannot be read"):
            read_run(comparison)


def test_the_last_line_of_a_run_in_progress_may_be_incomplete(comparison):
    folder = comparison / "bp"
    (folder / "result.json").unlink()
    whole = read_run(folder).seeds
    path = folder / "metrics.jsonl"
    path.write_text(path.read_text() + '{"seed": 0, "epoch": 2, "tr')
    assert read_run(folder).seeds == whole
    path.write_text(path.read_text() + "\n" + json.dumps(RECORD))
    with pytest.raises(tp.UserError, match=r"metrics\.jsonl cannot be read \(line 2: "):
        read_run(folder)
