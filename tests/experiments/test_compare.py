"""Comparisons: same start, same minibatches, a table and a figure that hold the runs' numbers."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
from scipy import stats

import targetprop as tp
from targetprop.cli import main
from targetprop.experiments.comparison import ComparisonError, _check_comparable
from targetprop.experiments.reading import read_run
from targetprop.rules import GENERAL
from targetprop.training.ensemble import Ensemble


class Lazy(tp.Rule):
    """Only the output layer learns."""

    name = "lazy"
    equation = "dh_i = 0"
    source = "a test"

    def target_updates(self, network, feedback, batch):
        return (*(jax.numpy.zeros_like(h) for h in batch.h[1:-1]), batch.output_update)


def test_a_rule_of_ones_own_stands_beside_the_built_in_ones(tmp_path):
    comparison = tp.compare(["bp", Lazy()], "digits", seeds=2, epochs=2, out=tmp_path, progress=False)
    assert comparison.finished
    assert [result.rule for result in comparison.results] == ["bp", "lazy"]
    saved = json.loads((tmp_path / "comparison.json").read_text())
    assert saved["rules"][1]["test_error"]["values"] == [seed.test_error for seed in comparison.results[1].seeds]
    assert "| lazy |" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "learning-curves.png").read_bytes()[:4] == b"\x89PNG"
    assert "| lazy |" in str(comparison)
    assert saved["baseline"] == "bp"
    assert saved["rules"][0]["difference"] is None
    bp, lazy = (np.array(result.test_error.values) for result in comparison.results)
    expected = stats.ttest_rel(lazy, bp).confidence_interval(0.95)
    np.testing.assert_allclose(saved["rules"][1]["difference"]["interval"], (expected.low, expected.high), rtol=1e-9)
    assert saved["rules"][1]["difference"]["pairs"] == 2
    assert repr(comparison).count("\n") == 0
    assert repr(comparison).startswith("Comparison on digits, test error in %: bp ")
    assert comparison._repr_html_().count("<tr>") == 1 + 2
    figure = comparison.plot()
    assert [axes.get_title() for axes in figure.axes] == ["test error", "training loss"]
    read = read_run(tmp_path)
    assert isinstance(read, tp.Comparison)
    assert str(read) == str(comparison)
    assert [result.seeds for result in read.results] == [result.seeds for result in comparison.results]
    drawn = (axes.lines[1].get_ydata() for axes in (read.plot().axes[0], figure.axes[0]))
    np.testing.assert_array_equal(*drawn)
    single = read_run(tmp_path / "lazy")
    assert isinstance(single, tp.Result)
    assert (single.rule, single.dataset, single.unit, single.test_error) == (
        "lazy",
        "digits",
        "%",
        comparison.results[1].test_error,
    )
    (tmp_path / "lazy" / "result.json").unlink()  # as if it were still running
    assert read_run(tmp_path / "lazy").seeds == [dataclasses.replace(s, status="interrupted") for s in single.seeds]


def test_rules_start_from_the_same_weights_with_the_same_split():
    data = tp.load("digits")
    members = [Ensemble([tp.recipe(name)], [3], data).member(0) for name in ("bp", "dtpdrl")]
    for ours, theirs in zip(*(jax.tree.leaves(member.state.network) for member in members), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(members[0].split.train, members[1].split.train)


def test_recipes_that_cannot_be_compared_are_refused():
    with pytest.raises(ComparisonError, match="at least one"):
        tp.compare([])
    with pytest.raises(ComparisonError, match="more than one bp"):
        tp.compare(["bp", "bp"])
    with pytest.raises(ComparisonError, match=r"batch_size: most have 32, dfa has 7\."):
        tp.compare([tp.recipe("bp"), tp.recipe("dfa").replace(batch_size=7), "dtp"])
    with pytest.raises(ComparisonError, match="several data sets, digits, mnist"):
        tp.compare([tp.recipe("bp"), "meulemans2020/mnist/dtp"])
    with pytest.raises(ComparisonError, match="differ in trainable"):
        tp.compare([tp.recipe("bp"), tp.recipe("dfa").replace(trainable=(1,))])
    with pytest.raises(ComparisonError, match="`baseline` 'dtp' is not among the rules: use one of bp, dfa"):
        tp.compare(["bp", "dfa"], baseline="dtp")


@pytest.mark.parametrize("dataset", ["digits", "mnist", "fashion-mnist"])
def test_all_rules_for_any_network_can_be_compared_on_a_data_set(dataset):
    _check_comparable({name: tp.recipe(name, dataset) for name in GENERAL})


def test_a_comparison_takes_the_data_set_of_its_recipes():
    recipe = tp.recipe("bp").replace(dataset="student-teacher-deep", schedule=tp.Schedule(1), validation=0)
    assert tp.compare([recipe], seeds=1, progress=False).dataset == "student-teacher-deep"


def test_a_folder_is_refused_before_the_first_rule_and_the_data(tmp_path, monkeypatch):
    (tmp_path / "dfa").mkdir()
    (tmp_path / "dfa" / "config.json").write_text('{"recipe": {}, "seeds": [0]}')
    monkeypatch.setattr("targetprop.experiments.comparison.load", lambda name: pytest.fail("the data set was loaded"))
    with pytest.raises(tp.ConfigError, match=r"There is a run in .*dfa already"):
        tp.compare(["bp", "dfa"], "digits", out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["dfa"]


def test_one_rule_with_two_settings_and_seeds_that_diverge(tmp_path):
    recipe = tp.recipe("bp").replace(architecture=tp.MLP((4,)), schedule=tp.Schedule(1))
    wild = recipe.replace(optimizer=tp.Adam(1e38))
    found = tp.compare({"calm": recipe, "wild": wild}, seeds=2, out=tmp_path / "out", progress=False)
    calm, wild = found.results
    assert (calm.rule, wild.rule) == ("calm", "wild")
    assert len(calm.test_error.values) == 2
    assert wild.test_error.values == ()
    page = (tmp_path / "out" / "table.md").read_text()
    assert "| wild | - | - | - | - | 0 of 2 |" in page
    assert "wild, seed 1: diverged" in page
    assert (tmp_path / "out" / "learning-curves.png").exists()
    assert not found.finished
    assert str(read_run(tmp_path / "out")) == str(found)


SMALL = tp.recipe("bp").replace(architecture=tp.MLP((4,)), schedule=tp.Schedule(1))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of two finished runs of bp, with the seeds 0 to 2 and 1 to 3."""
    folder = tmp_path_factory.mktemp("runs")
    fast = SMALL.replace(optimizer=tp.Adam(0.01))
    tp.train(SMALL, seeds=3, out=folder / "slow", progress=False)
    tp.train(fast, seeds=range(1, 4), out=folder / "fast", progress=False)
    return folder


def test_finished_runs_stand_side_by_side_with_their_own_numbers(runs, tmp_path):
    found = tp.compare_runs({"slow": runs / "slow", "fast": runs / "fast"}, baseline="slow", out=tmp_path)
    documents = [json.loads((runs / name / "result.json").read_text()) for name in ("slow", "fast")]
    assert [result.to_json()["seeds"] for result in found.results] == [entry["seeds"] for entry in documents]
    assert (found.dataset, found.unit, found.warnings) == ("digits", "%", [])
    assert all(result.seconds_per_epoch > 0 for result in found.results)
    slow, fast = ({seed["seed"]: seed["test_error"] for seed in entry["seeds"]} for entry in documents)
    assert found.difference(found.results[1]).values == (fast[1] - slow[1], fast[2] - slow[2])
    assert "| fast |" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "learning-curves.png").exists()


def changed(run, folder, change):
    """A copy of a run with another configuration."""
    shutil.copytree(run, folder, dirs_exist_ok=True)
    config = json.loads((run / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_what_runs_do_not_share_is_a_warning(runs, tmp_path):
    wide = changed(runs / "slow", tmp_path / "wide", lambda config: config["recipe"]["architecture"].update(hidden=[5]))
    found = tp.compare_runs([runs / "slow", wide])
    assert [result.rule for result in found.results] == [str(runs / "slow"), str(wide)]
    (warning,) = found.warnings
    assert "differ in architecture: most have MLP(hidden=[4], activation=Tanh()" in warning
    assert "wide has MLP(hidden=[5]" in warning
    assert warning in str(found)


def test_runs_on_different_data_are_refused(runs, tmp_path):
    other = changed(runs / "slow", tmp_path / "other", lambda config: config["data"].update(crc32="00000000"))
    with pytest.raises(ComparisonError, match=r"different data: .*slow on digits .* and .*other on digits .*crc32 00000000"):
        tp.compare_runs([runs / "slow", other])
    older = changed(runs / "slow", other, lambda config: config.pop("data"))
    assert "No checksum of the data is known of" in tp.compare_runs([runs / "slow", older]).warnings[0]
    with pytest.raises(ComparisonError, match="holds no run that ended"):
        tp.compare_runs([runs / "slow", tmp_path])
    with pytest.raises(ComparisonError, match="named twice"):
        tp.compare_runs([runs / "slow", runs / "slow"])


def test_the_command_compares_folders(runs, tmp_path, capfd):
    args = ["compare", "--from", str(runs / "slow"), str(runs / "fast"), "--out", str(tmp_path / "a"), "--json"]
    assert main(args) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["baseline"] == str(runs / "slow")
    assert document["rules"][1]["difference"]["pairs"] == 2
    assert main(args) == 2
    assert "There is a comparison in" in capfd.readouterr().err


def test_a_folder_without_a_run_and_a_damaged_run_are_refused(tmp_path):
    with pytest.raises(tp.UserError, match="no run and no comparison"):
        read_run(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(tp.UserError, match=r"is damaged .*seeds"):
        read_run(tmp_path)
    (tmp_path / "comparison.json").write_text("{")
    with pytest.raises(tp.UserError, match="cannot be read"):
        read_run(tmp_path)


def test_a_data_frame_of_a_comparison_has_the_rules():
    pytest.importorskip("pandas")
    history = [{"epoch": 1, "test_error": 2.0, "feedback_loss": None}]
    results = [tp.Result(rule, "digits", "%", [tp.SeedResult(0, history, "finished")]) for rule in ("bp", "fa")]
    frame = tp.Comparison("digits", "%", results).to_frame()
    assert list(frame["rule"]) == ["bp", "fa"]
    assert list(frame["test_error"]) == [2.0, 2.0]
