"""Comparisons: same start, same minibatches, a table and a figure that hold the runs' numbers."""

import json

import jax
import numpy as np
import pytest

import targetprop as tp
from targetprop.experiments.comparison import ComparisonError, _check_comparable
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


def test_a_folder_is_refused_before_the_first_rule_and_the_data(tmp_path, monkeypatch):
    (tmp_path / "dfa").mkdir()
    (tmp_path / "dfa" / "config.json").write_text("{}")
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
    assert "| wild | - | - | 0 of 2 |" in page
    assert "wild, seed 1: diverged" in page
    assert (tmp_path / "out" / "learning-curves.png").exists()
    assert not found.finished
