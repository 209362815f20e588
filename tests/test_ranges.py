"""Settings that make no sense are refused where they are made; those at the edge of sense are
not.
"""

import dataclasses
import math

import numpy as np
import pytest

import targetprop as tp
from targetprop.dynamics.gradient_flow import HuberCost
from targetprop.feedback.inverses import RobustShermanMorrison
from targetprop.networks.architectures import CNN, ShrinkingMLP, SquareMLP
from targetprop.training.penalties import ColumnOrthogonalityPenalty, OrthogonalityPenalty
from targetprop.training.run import train

RECIPE = tp.Recipe(tp.Backprop())


@pytest.mark.parametrize(
    ("make", "name", "values"),
    [
        (tp.Adam, "learning_rate", (-1, -1e-3, math.nan, math.inf)),
        (tp.Adam, "b1", (2, 1, -0.1)),
        (tp.Adam, "b2", (1.0,)),
        (tp.Adam, "eps", (-1e-8,)),
        (tp.AdamWithoutBiasCorrection, "b2", (1.5,)),
        (tp.SGD, "learning_rate", (-1,)),
        (tp.SGD, "momentum", (1.0,)),
        (tp.SGD, "steps", (0,)),
        (tp.GAITProp, "gamma", (0.0, -1.0, math.nan, (1e-3, 0.0))),
        (tp.ITP, "gamma", (-1.0,)),
        (tp.Euler, "tau", (0.0, math.nan)),
        (tp.Newton, "tolerance", (0.0,)),
        (HuberCost, "delta", (0.0,)),
        (tp.WeightDecay, "strength", (-1e-3,)),
        (OrthogonalityPenalty, "strength", (-1, math.nan)),
        (ColumnOrthogonalityPenalty, "strength", (-1, math.nan)),
        (RobustShermanMorrison, "threshold", (1.0, -0.5)),
        (RECIPE.replace, "stepsize", (0, -1, math.nan)),
        (RECIPE.replace, "batch_size", (0, -4)),
        (tp.MLP, "hidden", ((0,), (8, -3))),
        (ShrinkingMLP, "hidden", ((0,),)),
        (SquareMLP, "depth", (-1,)),
        (SquareMLP, "width", (0,)),
        (CNN, "channels", ((0,),)),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(make, name, values):
    for value in values:
        with pytest.raises(tp.ConfigError, match=rf"needs {name} (above 0|0 or above|from 0 to below 1), not "):
            make(**{name: value})


def test_numbers_at_the_edge_pass():
    tp.Adam(0.0, 0.0, 0.0, 0.0)
    tp.WeightDecay(0.0)
    tp.GAITProp(gamma=None)
    tp.MLP(())
    SquareMLP(0)


def toy(**changes) -> tp.Dataset:
    x, y = np.ones((6, 2), np.float32), np.ones((6, 1), np.float32)
    return dataclasses.replace(tp.Dataset("toy", x, y, x, y, (2,), None), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "float16"}, "Recipe needs 'float32' or 'float64' as dtype, not 'float16'"),
        ({"loss": tp.SoftmaxCrossEntropy()}, "Cross-entropy needs labels, but toy has real targets"),
    ],
)
def test_a_run_that_cannot_be_is_refused_before_it_starts(changes, message):
    with pytest.raises(tp.ConfigError, match=message):
        train(RECIPE.replace(architecture=tp.MLP((2,)), batch_size=2, **changes), toy(), progress=False)


@pytest.mark.parametrize("part", ["train_x", "train_y", "test_x", "test_y"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_data_that_are_not_finite_are_refused_with_the_row(part, value):
    array = getattr(toy(), part).copy()
    array[4:, 0] = value
    with pytest.raises(tp.DataError, match=rf"toy: 2 of the 6 rows of {part} are not finite, the first is row 4"):
        toy(**{part: array})
