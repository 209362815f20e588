"""Items of papers: parts are kept and continued, and what they say becomes a document, a page and
a picture.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import targetprop as tp
from targetprop.cli import main
from targetprop.cli.reproduce import shown_command
from targetprop.diagnostics import AngleToBackprop, Probe
from targetprop.errors import ConfigError
from targetprop.experiments.experiment import Experiment, ExperimentPart, extrapolated
from targetprop.experiments.item import (
    Item,
    Options,
    Picture,
    Report,
    TrainingOptions,
    document,
    estimate,
    run_missing,
    save,
)
from targetprop.experiments.published import Published, Table
from targetprop.experiments.store import Store
from targetprop.experiments.tables import TableItem
from targetprop.experiments.training_part import TrainingPart, published_recipe
from targetprop.experiments.verdict import Verdict
from targetprop.figures import canvas
from targetprop.papers import items as registry
from targetprop.training.result import Summary

CALLS: list[tuple[int, list[int]]] = []


@dataclasses.dataclass(frozen=True)
class Powers(Experiment):
    """`seed ** exponent`; an exponent of 9 is interrupted."""

    exponent: int

    @property
    def steps(self) -> int:
        return 1

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        if self.exponent == 9:
            raise KeyboardInterrupt
        CALLS.append((self.exponent, list(seeds)))
        advance(1)
        return [{"power": seed**self.exponent} for seed in seeds]

    def seconds(self, seeds: Sequence[int]) -> float:
        return 2.0 * len(seeds)


@dataclasses.dataclass(frozen=True)
class PowerOptions(Options):
    selection = ("exponents",)
    exponents: tuple[int, ...] = (2, 3)


class PowerItem(Item[PowerOptions]):
    source, name, title = "meulemans2020", "powers", "Powers of the seeds"
    defaults = PowerOptions(seeds=2)

    def parts(self, options: PowerOptions) -> list[ExperimentPart]:
        folder = options.results / self.source / self.name
        return [ExperimentPart(f"x^{e}", "", Powers(e), folder / f"x{e}") for e in options.exponents]

    def report(self, options: PowerOptions) -> Report:
        found = {part.row: [entry["power"] for entry in part.found().values()] for part in self.parts(options)}
        cells = [{"row": row, "column": "", "published": None, "ours": values or None} for row, values in found.items()]
        return Report(cells, ("what", "values"), [(row, str(values)) for row, values in found.items()], self.pictures)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return (Picture(lambda: canvas(1, 1)),)


@pytest.fixture
def powers(monkeypatch: pytest.MonkeyPatch) -> PowerItem:
    CALLS.clear()
    item = PowerItem()
    known = registry.items
    monkeypatch.setattr(
        registry, "items", lambda source: known(source) | ({item.name: item} if source == item.source else {})
    )
    return item


def test_names_of_items_are_unique_and_every_source_finds_its_own():
    names = [(item.source, item.name) for item in registry.all_items()]
    assert len(set(names)) == len(names)
    for source, name in names:
        assert registry.item(source, name).name == name
    with pytest.raises(ConfigError, match="there are items of meulemans2020"):
        registry.items("meulemans2021")
    with pytest.raises(ConfigError, match="it has table1"):
        registry.item("meulemans2020", "table9")


def test_only_what_is_missing_is_run(powers, tmp_path):
    options = PowerOptions(seeds=2, results=tmp_path)
    assert [part.seconds for part in estimate(powers, options)] == [4, 4]
    assert run_missing(powers, options, progress=False)
    assert CALLS == [(2, [0, 1]), (3, [0, 1])]
    assert run_missing(powers, options, progress=False)
    more = dataclasses.replace(options, seeds=4)
    assert [part.seeds for part in estimate(powers, more)] == [[2, 3], [2, 3]]
    assert run_missing(powers, more, progress=False)
    assert CALLS[2:] == [(2, [2, 3]), (3, [2, 3])]
    assert [cell["ours"] for cell in document(powers, powers.report(more))["cells"]] == [[0, 1, 4, 9], [0, 1, 8, 27]]


def test_seeds_begin_at_any_number_and_all_finished_ones_are_reported(powers, tmp_path):
    options = PowerOptions(seeds=2, results=tmp_path)
    assert run_missing(powers, options, progress=False)
    assert shown_command(powers, options) == "targetprop reproduce meulemans2020 powers"
    later = dataclasses.replace(options, first_seed=1, seeds=3)
    assert [part.seeds for part in estimate(powers, later)] == [[2, 3], [2, 3]]
    assert run_missing(powers, later, progress=False)
    assert CALLS[2:] == [(2, [2, 3]), (3, [2, 3])]
    assert powers.report(options).cells[0]["ours"] == [0, 1, 4, 9]
    assert shown_command(powers, options) == "targetprop reproduce meulemans2020 powers --seeds 4"
    assert run_missing(powers, dataclasses.replace(options, first_seed=8, seeds=1), progress=False)
    assert powers.report(options).cells[0]["ours"] == [0, 1, 4, 9, 64]
    first, second = shown_command(powers, options).split(" && ")
    assert first.endswith("powers --seeds 4")
    assert second.endswith("powers --seeds 1 --first-seed 8")
    with pytest.raises(ConfigError, match="-1 is not a seed"):
        PowerOptions(first_seed=-1)


def test_an_interrupted_item_keeps_its_finished_parts(powers, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_missing(powers, PowerOptions(2, results=tmp_path, exponents=(2, 9, 3)), progress=False)
    assert CALLS == [(2, [0, 1])]
    assert run_missing(powers, PowerOptions(2, results=tmp_path, exponents=(2, 3)), progress=False)
    assert CALLS == [(2, [0, 1]), (3, [0, 1])]


def test_results_of_another_configuration_do_not_count(tmp_path):
    CALLS.clear()
    ExperimentPart("x", "", Powers(2), tmp_path).run([0, 1], progress=False)
    other = ExperimentPart("x", "", Powers(3), tmp_path)
    assert other.missing(2) == [0, 1]
    saved = json.loads((tmp_path / "seeds-0-1.json").read_text())
    assert saved["config"] == {"type": "Powers", "exponent": 2}
    del saved["config"]["exponent"]  # as if that field had come later
    (tmp_path / "seeds-0-1.json").write_text(json.dumps(saved))
    assert other.missing(2) == []
    assert saved["versions"]["jax"]
    assert saved["machine"]["cores"]


@pytest.mark.parametrize("item", registry.all_items(), ids=lambda item: f"{item.source}-{item.name}")
def test_report_before_anything_was_run(item, tmp_path):
    report = item.report(dataclasses.replace(item.defaults, results=tmp_path))
    assert report.rows
    assert report.cells
    assert all(cell["ours"] is None for cell in report.cells)
    assert all({"row", "column", "published", "verdict"} <= cell.keys() for cell in report.cells)
    assert {cell["verdict"] for cell in report.cells} == {"not yet run"}


def test_command_line_of_an_item(powers, tmp_path, capfd):
    command = ["reproduce", "meulemans2020", "powers", "--results", str(tmp_path), "--json"]
    assert main([*command, "--show"]) == 2
    assert "give the folder of the results with --results" in capfd.readouterr().err
    (tmp_path / "meulemans2020").mkdir()
    assert main([*command, "--show"]) == 0
    assert json.loads(capfd.readouterr().out)["cells"][0]["ours"] is None
    assert CALLS == []
    assert main([*command, "--estimate"]) == 0
    assert json.loads(capfd.readouterr().out)["seconds"] == 8
    assert CALLS == []
    assert main([*command, "--exponents", "3"]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert shown == {
        "source": "meulemans2020",
        "item": "powers",
        "cells": [{"row": "x^3", "column": "", "published": None, "ours": [0, 1]}],
    }
    folder = tmp_path / "meulemans2020" / "report"
    page = (folder / "powers.md").read_text()
    assert "`targetprop reproduce meulemans2020 powers`" in page, "the page is that of the whole item"
    assert "| x^2 | [] |\n| x^3 | [0, 1] |" in page
    assert "(powers.png)" in page
    assert sorted(path.name for path in folder.iterdir()) == ["powers.md", "powers.png"]
    assert main([*command, "--exponents", "3", "--format", "pdf"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["powers.md", "powers.pdf", "powers.png"]
    assert "(powers.png)" in (folder / "powers.md").read_text()
    assert main(["reproduce", "meulemans2020", "nope"]) == 2
    assert "powers" in capfd.readouterr().err


def test_results_that_cannot_be_written_are_refused_before_the_work(powers, tmp_path):
    CALLS.clear()
    (tmp_path / "file").touch()
    options = dataclasses.replace(powers.defaults, results=tmp_path / "file" / "results")
    with pytest.raises(tp.UserError, match="Use another `results`"):
        run_missing(powers, options)
    assert CALLS == []


def test_several_pictures_of_an_item_have_names_of_their_own(powers, tmp_path, monkeypatch):
    two = (Picture(lambda: canvas(1, 1), "squares", "Squares"), Picture(lambda: canvas(1, 1), "cubes"))
    monkeypatch.setattr(PowerItem, "pictures", two)
    paths = save(powers, PowerOptions(results=tmp_path), "the command")
    assert [path.name for path in paths] == ["powers.md", "powers-squares.png", "powers-cubes.png"]
    assert all(path.exists() for path in paths)
    page = paths[0].read_text()
    assert "![Squares](powers-squares.png)\n\n![Powers of the seeds](powers-cubes.png)\n" in page


def test_rows_of_a_table_are_aligned_and_a_single_seed_is_no_mean(tmp_path, write_run):
    pairs = (("bp", "mnist"), ("dfa", "mnist"), ("bp", "frozen-mnist"))
    names = {(method, place): f"meulemans2020/{place}/{method}" for method, place in pairs}
    cells = tuple(Published(m.upper(), place, 2.0, 0.1, 10, name) for (m, place), name in names.items())
    item = TableItem(Table("meulemans2020", "small", "Small", "test_error", cells))
    write_run(tmp_path / names["bp", "mnist"], tp.recipe(names["bp", "mnist"]), *errors_of(1.9))
    write_run(tmp_path / names["dfa", "mnist"], tp.recipe(names["dfa", "mnist"]), *errors_of(1.9, 2.3))
    figure = item.report(dataclasses.replace(item.defaults, results=tmp_path)).pictures[0].draw()
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["MNIST", "frozen MNIST"]
    assert first.get_ylim() == second.get_ylim()
    assert [label.get_text() for label in first.get_yticklabels()] == ["BP", "DFA"]
    assert not any(label.get_visible() for label in second.get_yticklabels())
    kinds = {line.get_label(): line.get_fillstyle() for line in first.lines if line.get_label().startswith("ours")}
    assert kinds == {"ours, one seed": "none", "ours, mean": "full"}


def test_extrapolation_counts_the_first_call_once(monkeypatch):
    clock = iter([0.0, 5.0, 7.0])  # the first call takes 5 seconds, the second 2
    monkeypatch.setattr("targetprop.experiments.experiment.time.perf_counter", lambda: next(clock))
    assert extrapolated(lambda: None, 10) == 5 + 9 * 2


SMALL = tp.recipe("bp", "digits").replace(architecture=tp.MLP((8,)), schedule=tp.Schedule(epochs=1))


def test_training_part_is_continued_by_seed_and_probed(tmp_path):
    store = Store(tmp_path)
    plain = TrainingPart("BP", "digits", "any/digits/bp", SMALL, store)
    assert plain.run([0], progress=False)
    assert plain.missing(3) == [1, 2]
    probe = Probe(every=30, diagnostics=(AngleToBackprop(),))
    probed = dataclasses.replace(plain, probe=probe, needs=("diagnostics/angle_bp",))
    assert probed.missing(3) == [0, 1, 2]
    assert probed.run([1], progress=False)
    assert probed.missing(3) == [0, 2]
    assert probed.found()[1].history[0]["diagnostics/angle_bp"] == pytest.approx([0], abs=0.1)  # BP beside itself
    longer = dataclasses.replace(plain, recipe=SMALL.replace(schedule=tp.Schedule(epochs=2)))
    assert longer.missing(1) == [0]
    assert dataclasses.replace(plain, recipe=SMALL.replace(stepsize=0.5)).missing(1) == [0]
    assert probed.seconds([0]) > 0


def test_an_interrupted_part_goes_on_when_more_seeds_are_asked_for(tmp_path, monkeypatch):
    part = TrainingPart("BP", "digits", "any/digits/bp", SMALL, Store(tmp_path))
    folder = part.store.run_folder(part.name, SMALL, [0, 1])
    tp.train(SMALL, seeds=[0, 1], out=folder, progress=False)
    result = json.loads((folder / "result.json").read_text())
    result["seeds"][1]["status"] = "interrupted"
    (folder / "result.json").write_text(json.dumps(result))
    runs = []
    monkeypatch.setattr(TrainingPart, "_run", lambda self, seeds, progress: runs.append(tuple(seeds)) or True)
    assert part.missing(3) == [1, 2]
    part.run([0, 1, 2], progress=False)
    assert runs == [(0, 1), (2,)]


def test_a_diverged_seed_is_said_to_be_so_and_leaves_the_item_unfinished(tmp_path, monkeypatch):
    name = "meulemans2020/mnist/bp"
    recipe = SMALL.replace(optimizer=tp.Adam(1e38))
    item = TableItem(Table("meulemans2020", "small", "Small", "test_error", (Published("BP", "mnist", 2.0, 0.1, 10, name),)))
    monkeypatch.setattr("targetprop.experiments.tables.published_recipe", lambda name, epochs: recipe)
    options = dataclasses.replace(item.defaults, results=tmp_path)
    assert not run_missing(item, options, progress=False)
    (cell,) = item.report(options).cells
    assert (cell["ours"], cell["diverged"], cell["verdict"]) == (None, 1, "1 diverged")


@pytest.mark.parametrize("numbers", [{"seeds": 0}, {"seeds": -1}, {"epochs": 0}])
def test_numbers_of_which_nothing_comes_are_refused(numbers):
    with pytest.raises(ConfigError, match="use 1 or more"):
        TrainingOptions(**numbers)


def errors_of(*errors: float) -> tuple[list[dict], list[dict]]:
    """The results and the metrics of seeds with these test errors; the first one's training error
    is above 60 %.
    """
    seeds = [{"seed": i, "status": "finished", "test_error": error} for i, error in enumerate(errors)]
    return seeds, [{"seed": i, "epoch": 6, "train_loss": 1.0, "train_error": 61.0 * (i == 0)} for i in range(len(errors))]


def test_a_table_sets_the_found_runs_beside_the_published_cells(tmp_path, write_run):
    name = "meulemans2020/mnist/bp"
    cells = (
        Published("BP", "mnist", 2.0, 0.1, 10, name),
        Published("DFA", "mnist", 2.5, 0.1, 10, "meulemans2020/mnist/dfa"),
    )
    item = TableItem(Table("meulemans2020", "small", "Small", "test_error", cells))
    recipe = tp.recipe(name)
    write_run(tmp_path / name / "run", recipe, *errors_of(1.9, 2.0, 2.1))
    write_run(tmp_path / name / "train-loss" / "run", tp.recipe(f"{name}/train-loss"), *errors_of(9.0))
    write_run(tmp_path / name / "short", published_recipe(name, 3), *errors_of(9.0))
    options = dataclasses.replace(item.defaults, results=tmp_path, seeds=4)
    report = item.report(options)
    assert report.cells[0]["ours"] == {"mean": pytest.approx(2.0), "sd": pytest.approx(0.1), "n": 3}
    assert report.cells[0]["verdict"] == "reproduced"
    assert report.cells[0]["would_stop_early"] == 1
    assert report.cells[1]["ours"] is None
    assert report.cells[1]["verdict"] == "not yet run"
    assert [part.missing(4) for part in item.parts(options)] == [[3], [0, 1, 2, 3]]
    selected = dataclasses.replace(options, methods=("dfa",))
    assert [part.row for part in item.parts(selected)] == ["DFA"]
    with pytest.raises(ConfigError, match="it has bp, dfa"):
        item.report(dataclasses.replace(options, methods=("gnt",)))
    (picture,) = report.pictures
    axes = picture.draw().axes[0]
    assert axes.get_title() == "MNIST"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["BP", "DFA"]
    said = axes.figure.legends[0].get_title().get_text()
    assert said == "published: mean ± SD of 10 seeds; ours: mean of 3 seeds, each seed a tick"


def test_runs_are_found_by_what_was_run(tmp_path, write_run):
    """A finished run of the recipe counts in any folder of the paper; of two, that in its own."""
    name, recipe = "meulemans2020/mnist/bp", tp.recipe("meulemans2020/mnist/bp")
    part = TrainingPart("BP", "mnist", name, recipe, Store(tmp_path))
    write_run(tmp_path / "gait2020" / "run", recipe, *errors_of(7.0))
    assert part.found() == {}
    write_run(tmp_path / "meulemans2020" / "other" / "run", recipe, *errors_of(1.0, 2.0))
    assert [run.result["test_error"] for run in part.found().values()] == [1.0, 2.0]
    write_run(tmp_path / name / "run", recipe, *errors_of(3.0))
    assert [run.result["test_error"] for run in part.found().values()] == [3.0, 2.0]
    assert dataclasses.replace(part, needs=("diagnostics/angle_bp",)).found() == {}


def test_a_configuration_is_read_once(tmp_path, write_run, monkeypatch):
    recipe = tp.recipe("meulemans2020/mnist/bp")
    write_run(tmp_path / "meulemans2020" / "run", recipe, *errors_of(1.0))
    store, read = Store(tmp_path), []
    plain = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, *args, **more: read.append(path.name) or plain(path, *args, **more))
    for _ in range(3):
        assert store.seeds("meulemans2020/mnist/bp", recipe)
    assert read.count("config.json") == 1


def test_verdict_is_welchs_interval_and_a_word():
    published = Published("a", "b", 2.0, 0.14, 10, "")
    values = (2.2, 2.1, 2.25, 2.05)
    sample = np.arange(10.0)
    theirs = 2.0 + 0.14 * (sample - sample.mean()) / sample.std(ddof=1)  # ten values of that mean and standard deviation
    expected = stats.ttest_ind(values, theirs, equal_var=False).confidence_interval(0.95)
    assert Verdict(Summary(values), published).interval == pytest.approx((expected.low, expected.high))
    assert str(Verdict(Summary((2.0, 2.01, 1.99)), published)) == "reproduced"
    assert str(Verdict(Summary((2.0, 2.01)), published)) == "within 2 SD"
    assert str(Verdict(Summary((2.0,)), published)) == "too few seeds"
    assert str(Verdict(Summary((2.3, 2.31, 2.29)), published)) == "not reproduced"
    assert str(Verdict(Summary((2.3, 2.3001)), published)) == "not reproduced"
    assert str(Verdict(Summary((2.1, 2.5)), published)) == "too few seeds"
    assert str(Verdict(Summary(()), published)) == "not yet run"


def test_a_published_number_without_spread_is_one_more_run():
    """The interval is the one in which the next run is expected: `t sd sqrt(1 + 1/n)` around the
    mean.
    """
    values = (2.2, 2.1, 2.25, 2.05)
    half = stats.t.ppf(0.975, 3) * np.std(values, ddof=1) * np.sqrt(1 + 1 / 4)
    for mean, word in ((2.2, "reproduced"), (2.0, "reproduced"), (1.7, "not reproduced")):
        verdict = Verdict(Summary(values), Published("a", "b", mean, None, 1, ""))
        assert verdict.interval == pytest.approx((2.15 - mean - half, 2.15 - mean + half))
        assert str(verdict) == word
    assert str(Verdict(Summary((2.0,)), Published("a", "b", 2.0, None, 1, ""))) == "too few seeds"
