"""What the figures show: zeros, whole epochs, and lines that no legend covers."""

import dataclasses

import numpy as np
import pytest

from targetprop.experiments.figures import canvas, covered, learning_curves, legend, log_scale, whole_numbers


def drawn(*curves):
    axes = canvas(4, 4).subplots()
    for values in curves:
        axes.plot(np.arange(1, len(values) + 1), values, label=str(values))
    return axes


def heights(axes, values):
    """Where on the panel the values are, from 0 at its lower edge to 1."""
    points = axes.transData.transform([(1, value) for value in values])
    return axes.transAxes.inverted().transform(points)[:, 1]


@pytest.mark.parametrize("curves", [([30.0, 2.0, 0.0, 0.0], [40.0, 3.0, 0.5, 0.2]), ([3e-7, 0.0], [0.0, 0.0])])
def test_zeros_are_in_the_picture_below_all_other_values(curves):
    axes = drawn(*curves)
    log_scale(axes)
    values = sorted({value for curve in curves for value in curve})
    found = heights(axes, values)
    assert values[0] == 0
    assert 0 < found[0] < found[-1] < 1
    assert np.all(np.diff(found) > 0.02)
    assert 0 in axes.get_yticks()


def test_without_zeros_equal_ratios_are_equally_far():
    axes = drawn([1e-3, 1e-2, 1e2])
    log_scale(axes)
    low, middle, high = heights(axes, [1e-3, 1e-2, 1e2])
    np.testing.assert_allclose(high - middle, 4 * (middle - low), rtol=1e-10)


def test_lines_that_cannot_be_seen_are_named():
    assert covered(drawn([1.0, 2.0], [1.0, 2.1], [0.0, 2.0])) == []
    axes = drawn([0.0, 1.0])
    axes.plot([1, 2], [0.0, 1.0], label="second")
    axes.plot([1, 2], [0.0, 1.0 + 1e-5], label="third")
    assert covered(axes) == ["third covers [0.0, 1.0] and second"]


@pytest.mark.parametrize("epochs", [1, 2, 3, 20])
def test_ticks_are_whole_numbers(epochs):
    axes = drawn([1.0] * epochs)
    whole_numbers(axes)
    assert all(tick == round(tick) for tick in axes.get_xticks())


def test_the_legend_covers_no_panel():
    figure = canvas(10, 5)
    panels = figure.subplots(1, 2)
    for axes in panels:
        for i in range(17):
            axes.plot([1, 2], [i, i], label=f"rule {i}")
    legend(figure, panels)
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert len(figure.legends[0].get_texts()) == 17
    assert not any(box.overlaps(axes.get_window_extent()) for axes in panels)
    assert all(axes.get_window_extent().height > 0.5 * figure.bbox.height for axes in panels)


@dataclasses.dataclass(frozen=True)
class Seed:
    history: list[dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Run:
    rule: str
    seeds: list[Seed]
    unit: str = "%"

    @property
    def counted(self) -> list[Seed]:
        return self.seeds


def test_rules_that_make_no_error_are_compared(tmp_path):
    seeds = [Seed([{"test_error": 0.0, "train_loss": 2.0**-epoch} for epoch in range(3)])]
    learning_curves([Run(f"rule {i}", seeds) for i in range(20)], "separable", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
