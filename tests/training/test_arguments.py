"""The forms in which a run may be asked for from Python, and what is said of the others."""

import json
import re

import numpy as np
import pytest

import targetprop as tp
from targetprop.training.arguments import recipe_list, seed_list


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        (2, [0, 1]),
        (np.int64(2), [0, 1]),
        (np.arange(3, 5), [3, 4]),
        ((np.uint8(7), 2**32 - 1), [7, 2**32 - 1]),
        (range(2), [0, 1]),
    ],
)
def test_seeds_are_plain_integers(given, seeds):
    found = seed_list(given)
    assert json.dumps(found) == json.dumps(seeds)


@pytest.mark.parametrize("given", [[-1], [2**32], [1.5], 1.5, "no", None])
def test_other_seeds_are_refused(given):
    with pytest.raises(
        tp.ConfigError,
        match=r"is not a seed: use whole numbers from 0 to 4294967295|`seeds` is .*: give the number of seeds",
    ):
        seed_list(given)


def test_seeds_of_numpy_are_written_with_the_run(bp, toy, tmp_path):
    result = tp.train(bp.replace(schedule=tp.Schedule(1)), toy, seeds=np.arange(2), out=tmp_path, progress=False)
    assert [seed.seed for seed in result.seeds] == [0, 1]
    assert json.loads((tmp_path / "config.json").read_text())["seeds"] == [0, 1]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("bp", "write tp.recipe('bp')"),
        (tp.dtp(), "write tp.recipe(rule)"),
        (tp.dtp, "is not a recipe: give a Recipe"),
        (3, "3 is not a recipe"),
        (["bp"], "'bp' is not a recipe"),
    ],
)
def test_what_is_no_recipe_is_answered_with_how_to_make_one(recipe, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        tp.train(recipe)


def test_a_recipe_for_all_members_or_one_for_each(bp):
    assert recipe_list(bp, 2) == [bp, bp]
    assert recipe_list((bp, bp), 5) == [bp, bp]


def test_what_is_no_data_set_is_answered_with_how_to_load_one(bp):
    with pytest.raises(TypeError, match=re.escape("write tp.load('digits')")):
        tp.train(bp, "digits")
    with pytest.raises(TypeError, match=r"write tp\.Dataset\.from_arrays"):
        tp.train(bp, np.zeros((3, 8)))


def test_resuming_needs_a_folder(bp, toy):
    with pytest.raises(tp.ConfigError, match="give its folder as `out`"):
        tp.train(bp, toy, resume=True)


def test_a_folder_that_cannot_be_is_refused_before_anything_is_computed(bp, toy, tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below" / "it"):
        with pytest.raises(tp.UserError, match=rf"written to {out}: {tmp_path / 'file'} is not a folder"):
            tp.train(bp, toy, out=out)


def test_a_class_in_place_of_a_rule_is_answered_with_how_to_make_one():
    with pytest.raises(TypeError, match=re.escape("write dtpdrl()")):
        tp.recipe(tp.dtpdrl)
    with pytest.raises(TypeError, match=re.escape("write dtpdrl()")):
        tp.compare(["bp", tp.dtpdrl])
    with pytest.raises(TypeError, match="'dtp' is not a rule: give an object"):
        tp.Recipe("dtp")


def test_one_rule_alone_is_compared(toy, bp):
    for rules in ("bp", tp.Backprop(), bp):
        comparison = tp.compare(rules, data=toy, seeds=1, epochs=1, progress=False)
        assert [result.rule for result in comparison.results] == ["bp"]
