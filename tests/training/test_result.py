import builtins
import json
import math

import jax
import numpy as np
import pytest

import targetprop as tp
from targetprop.errors import UserError
from targetprop.training.frame import rows
from targetprop.training.result import Result, SeedResult, Summary


def record(epoch, validation, test, loss=0.5):
    return {"epoch": epoch, "validation_error": validation, "test_error": test, "train_loss": loss}


def seed(*validation_and_test, status="finished", number=0):
    history = [record(epoch, v, t, 1 / epoch) for epoch, (v, t) in enumerate(validation_and_test, start=1)]
    return SeedResult(number, history, status)


def test_the_best_epoch_is_the_first_with_the_lowest_validation_error():
    result = seed((9.0, 1.0), (4.0, 7.0), (5.0, 2.0), (4.0, 3.0))
    assert (result.best_epoch, result.test_error, result.last_test_error) == (2, 7.0, 3.0)


def test_without_validation_the_best_epoch_is_the_last():
    result = seed((None, 1.0), (None, 7.0), (None, 2.0))
    assert (result.best_epoch, result.test_error, result.last_test_error) == (3, 2.0, 2.0)


def test_a_validation_error_that_is_not_a_number_is_never_the_best():
    assert seed((math.nan, 1.0), (4.0, 7.0), (math.nan, 2.0)).best_epoch == 2


def test_the_training_loss_is_the_last_epochs():
    assert seed((1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 4.0)).train_loss == 0.25


def test_before_the_first_epoch_there_is_nothing_to_report():
    assert SeedResult(3).to_json() == {
        "seed": 3,
        "best_epoch": None,
        "test_error": None,
        "last_test_error": None,
        "train_loss": None,
        "status": "interrupted",
    }


def test_mean_and_standard_deviation():
    summary = Summary((1.0, 2.0, 3.0, 6.0))
    assert summary.mean == pytest.approx(3.0)
    assert summary.sd == pytest.approx(math.sqrt((4 + 1 + 0 + 9) / 3))
    assert str(summary) == "3.00 ± 2.16"


def test_one_value_has_no_standard_deviation():
    assert Summary((2.0,)).to_json() == {"mean": 2.0, "sd": None, "values": [2.0]}
    assert str(Summary((2.0,))) == "2.00"


def test_no_value_at_all():
    assert Summary(()).to_json() == {"mean": None, "sd": None, "values": []}
    assert str(Summary(())) == "-"


def test_json_has_null_for_what_is_not_finite():
    document = Summary((1.0, math.nan, math.inf)).to_json()
    assert document == {"mean": None, "sd": None, "values": [1.0, None, None]}
    json.dumps(document, allow_nan=False)


def test_seeds_that_never_finished_an_epoch_are_left_out_of_the_summary():
    result = Result("bp", "toy", "%", [seed((1.0, 4.0)), SeedResult(1, [], "diverged: layer 1"), seed((1.0, 6.0))])
    assert result.test_error.values == (4.0, 6.0)
    assert result.last_test_error.mean == 5.0


@pytest.mark.parametrize(
    ("statuses", "finished", "interrupted"),
    [
        (("finished", "finished"), True, False),
        (("finished", "diverged: layer 1"), False, False),
        (("interrupted", "interrupted"), False, True),
        (("diverged: layer 1", "interrupted"), False, True),
    ],
)
def test_how_a_run_ended(statuses, finished, interrupted):
    result = Result("bp", "toy", "%", [seed((1.0, 4.0), status=status) for status in statuses])
    assert (result.finished, result.interrupted) == (finished, interrupted)


def test_json_of_a_result():
    document = Result("bp", "toy", "%", [seed((2.0, 4.0), (3.0, 5.0), number=8)], settings={"type": "Recipe"}).to_json()
    assert document == {
        "rule": "bp",
        "dataset": "toy",
        "unit": "%",
        "test_error": {"mean": 4.0, "sd": None, "values": [4.0]},
        "last_test_error": {"mean": 5.0, "sd": None, "values": [5.0]},
        "train_loss": {"mean": 0.5, "sd": None, "values": [0.5]},
        "settings": {"type": "Recipe"},
        "seeds": [
            {
                "seed": 8,
                "best_epoch": 1,
                "test_error": 4.0,
                "last_test_error": 5.0,
                "train_loss": 0.5,
                "status": "finished",
            }
        ],
    }


def test_a_small_spread_is_written_with_two_digits():
    assert str(Summary((0.05, 0.09, 0.10))) == "0.080 ± 0.026"
    assert str(Summary((2e-5, 4e-5))) == "3.0e-05 ± 1.4e-05"
    assert str(Summary((12.0, 14.0))) == "13.00 ± 1.41"
    assert str(Summary((2.0, 2.0))) == "2.00 ± 0.00"


def test_a_diverged_seed_is_in_no_mean():
    epoch = {"epoch": 1, "validation_error": None}
    seeds = [
        SeedResult(i, [epoch | {"test_error": error}], status)
        for i, error, status in [
            (0, 1.0, "finished"),
            (1, 3.0, "interrupted"),
            (2, 90.0, "diverged: layer 1"),
        ]
    ]
    assert Result("dtp", "toy", "%", seeds).test_error.values == (1.0, 3.0)


def small() -> Result:
    seeds = [
        seed((2.0, 4.0), (1.0, 5.0), number=8),
        seed((3.0, 6.0), (2.0, 7.0), number=9),
        SeedResult(10, [], "diverged: <b>"),
    ]
    for one in seeds:
        for entry in one.history:
            entry |= {"feedback_loss": [0.5, 0.25], "diagnostics/angle_bp": [10.0, 20.0], "warnings": ["a sentence"]}
    return Result("dtp", "digits", "%", seeds, last=[tp.Trained(tp.mlp((100, 100), key=jax.random.key(0)))])


def test_a_result_is_printed_in_one_line_without_arrays():
    assert repr(small()) == str(small()) == "Result: dtp on digits, test error 6.00 ± 1.41 %, 2 of 3 seeds"


def test_a_notebook_shows_a_line_for_each_seed():
    page = small()._repr_html_()
    assert page.count("<tr>") == 1 + 3
    assert "diverged: &lt;b&gt;" in page
    assert "<b>" not in page


def test_a_result_draws_what_it_has():
    assert small().kinds() == ["learning-curves", "feedback", "angles"]
    figure = small().plot("angles")
    assert [axes.get_title() for axes in figure.axes] == ["angle to backpropagation"]
    assert len(small().plot().axes) == 4
    np.testing.assert_allclose(small().plot().axes[0].lines[0].get_ydata(), [5.0, 6.0])


def test_rows_are_the_metrics_of_every_seed_and_epoch():
    found = rows(small().seeds)
    assert len(found) == 4
    assert found[1] == {
        "seed": 8,
        "epoch": 2,
        "validation_error": 1.0,
        "test_error": 5.0,
        "train_loss": 0.5,
        "feedback_loss/1": 0.5,
        "feedback_loss/2": 0.25,
        "diagnostics/angle_bp/1": 10.0,
        "diagnostics/angle_bp/2": 20.0,
        "status": "finished",
    }


def test_a_data_frame_has_these_rows():
    pandas = pytest.importorskip("pandas")
    frame = small().to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.to_dict("records") == rows(small().seeds)


def test_without_pandas_the_error_says_what_to_install(monkeypatch):
    load = builtins.__import__

    def without(name, *args, **more):
        if name == "pandas":
            raise ImportError(name)
        return load(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"targetprop\[pandas\]"):
        small().to_frame()
