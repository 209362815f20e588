"""Figures and their files: zeros, whole epochs, lines that no legend covers, formats."""

from xml.etree import ElementTree

import numpy as np
import pytest

from targetprop.errors import ConfigError
from targetprop.figures import (
    FORMATS,
    Style,
    canvas,
    covered,
    curve,
    dataset_name,
    legend,
    log_scale,
    note,
    quartiles,
    save,
    seeds_note,
    smooth_curve,
    whole_numbers,
)
from targetprop.figures.lines import Curve, curves, smoothed


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


def test_a_short_logarithmic_axis_has_plain_numbers():
    axes = drawn([3.0, 20.0])
    log_scale(axes)
    axes.figure.canvas.draw()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert {"5", "10", "20"} <= set(labels)


STARTS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


@pytest.mark.parametrize("name", FORMATS)
def test_the_suffix_chooses_the_format_and_equal_figures_are_equal_files(name, tmp_path):
    paths = [save(drawn([1.0, 2.0]).figure, tmp_path / f"{i}.{name}") for i in range(2)]
    first, second = (path.read_bytes() for path in paths)
    assert first.startswith(STARTS[name])
    assert first == second


def test_an_svg_is_a_picture(tmp_path):
    root = ElementTree.parse(save(drawn([1.0, 2.0]).figure, tmp_path / "a.svg")).getroot()
    assert root.tag.endswith("svg")


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"a\.jpg .* \.png, \.pdf, \.svg"):
        save(drawn([1.0]).figure, tmp_path / "a.jpg")


def test_a_notebook_gets_the_picture_itself():
    assert drawn([1.0, 2.0]).figure._repr_png_().startswith(STARTS["png"])


def test_a_note_is_below_all_panels():
    figure = canvas(6, 4)
    panels = figure.subplots(1, 2)
    for axes in panels:
        axes.set_xlabel("epoch")
    note(figure, "3 seeds")
    figure.canvas.draw()
    (text,) = [text for text in figure.texts if text.get_text() == "3 seeds"]
    assert not any(text.get_window_extent().overlaps(axes.get_tightbbox()) for axes in panels)


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([3, 3], "mean of 3 seeds; band: ± 1 SD, not below the lowest seed"),
        ([1, 1, 0], "1 seed"),
        ([1, 5], "mean of 1 to 5 seeds; band: ± 1 SD, not below the lowest seed"),
        ([0], ""),
        ([], ""),
    ],
)
def test_the_number_of_seeds_is_said(counts, text):
    assert seeds_note(counts) == text


VALUES = np.array([[1.0, 4.0, 2.0], [3.0, 8.0, 2.0], [2.0, 0.0, 2.0]])


def band(axes):
    """The lower and the upper end of the only band, at the positions 1, 2, 3."""
    points = axes.collections[0].get_paths()[0].vertices
    ends = [[y for px, y in points if px == x] for x in (1, 2, 3)]
    return np.array([[min(y), max(y)] for y in ends]).T


def test_a_curve_is_the_mean_with_a_standard_deviation_no_lower_than_a_seed():
    axes = drawn()
    curve(axes, np.arange(1, 4), VALUES, style=Style("#000000"), label="a")
    mean, sd = np.mean(VALUES, axis=0), np.sqrt(np.sum((VALUES - np.mean(VALUES, axis=0)) ** 2, axis=0) / 2)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), mean)
    np.testing.assert_allclose(band(axes), [np.maximum(mean - sd, [1, 0, 2]), mean + sd])


def test_quartiles_are_those_of_the_sorted_seeds():
    axes = drawn()
    quartiles(axes, np.arange(1, 4), VALUES, style=Style("#000000"), label="a")
    np.testing.assert_allclose(axes.lines[0].get_ydata(), np.sort(VALUES, axis=0)[1])
    np.testing.assert_allclose(band(axes), [[1.5, 2, 2], [2.5, 6, 2]])


def test_a_single_seed_has_no_band():
    axes = drawn()
    for draw in (curve, quartiles):
        draw(axes, np.arange(1, 4), VALUES[:1], style=Style("#000000"), label="a")
    assert not axes.collections


@pytest.mark.parametrize("count", [3, 7])
def test_the_spreads_of_many_lines_are_at_places_of_their_own(count):
    axes = drawn()
    lines = [Curve(np.arange(40), np.random.default_rng(i).random((3, 40)), Style("#000000"), str(i)) for i in range(count)]
    curves(axes, lines)
    if count == 3:
        assert len(axes.collections) == 3
        assert not axes.containers
        return
    places = [{float(segment[0, 0]) for segment in bars.lines[2][0].get_segments()} for bars in axes.containers]
    assert all(len(at) >= 5 for at in places)
    assert len(set().union(*places)) == sum(map(len, places))


def test_a_moving_average_leaves_straight_lines_and_their_ends():
    line = np.arange(20.0)
    np.testing.assert_allclose(smoothed(line, 9), line)
    rough = line + np.tile([1, -1], 10)
    assert np.abs(smoothed(rough, 9) - line)[4:-4].max() < 0.2
    np.testing.assert_allclose(smoothed(rough, 3)[1:-1], np.convolve(rough, np.ones(3) / 3, "valid"))


def test_the_smooth_line_has_the_label_and_the_raw_one_is_faint():
    axes = drawn()
    smooth_curve(axes, np.arange(3), VALUES, style=Style("#000000"), label="a", window=3)
    raw, smooth = axes.lines
    np.testing.assert_allclose(raw.get_ydata(), VALUES.mean(axis=0))
    assert smooth.get_label() == "a"
    assert raw.get_alpha() < 0.5
    assert raw.get_linewidth() < smooth.get_linewidth()


@pytest.mark.parametrize(
    ("key", "name"),
    [("fashion-mnist", "Fashion-MNIST"), ("digits", "digits"), ("mine", "mine"), ("mnist:unit", "MNIST in [0, 1]")],
)
def test_data_sets_have_names(key, name):
    assert dataset_name(key) == name
