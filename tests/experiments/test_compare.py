"""Comparisons: same start, same minibatches, a table and a figure that hold the runs' numbers."""

import dataclasses
import json

import jax
import numpy as np
import pytest

import targetprop as tp
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


@pytest.mark.parametrize("dataset", ["digits", "mnist", "fashion-mnist"])
def test_all_rules_for_any_network_can_be_compared_on_a_data_set(dataset):
    _check_comparable({name: tp.recipe(name, dataset) for name in GENERAL})


def test_a_comparison_takes_the_data_set_of_its_recipes():
    recipe = tp.recipe("bp").replace(dataset="student-teacher-deep", schedule=tp.Schedule(1), validation=0)
    assert tp.compare([recipe], seeds=1, progress=False).dataset == "student-teacher-deep"


def test_one_rule_with_two_settings_and_seeds_that_diverge(tmp_path):
    recipe = tp.recipe("bp").replace(architecture=tp.MLP((4,)), schedule=tp.Schedule(1))
    wild = recipe.replace(optimizer=tp.Adam(1e38))
    found = tp.compare({"calm": recipe, "wild": wild}, seeds=2, out=tmp_path / "out", progress=False)
    calm, wild = found.results
    assert (calm.rule, wild.rule) == ("calm", "wild")
    assert len(calm.test_error.values) == 2
    assert wild.test_error.values == ()
    page = (tmp_path / "out" / "table.md").read_text()
    assert "| wild | - | - | 0 of 2 |" in page
    assert "wild, seed 1: diverged" in page
    assert (tmp_path / "out" / "learning-curves.png").exists()
    assert not found.finished
    assert str(read_run(tmp_path / "out")) == str(found)


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
