"""Figures of training runs: which panels, which lines, what they say."""

import math

import numpy as np
import pytest

from targetprop.errors import ConfigError
from targetprop.figures import KINDS, RuleCurves, kinds, training_figure


def record(epoch: int, seed: int, probed: bool = False) -> dict:
    found = {
        "epoch": epoch,
        "train_loss": 1.0 / epoch + seed,
        "validation_error": 10.0 / epoch,
        "test_error": 9.0 / epoch + seed,
        "feedback_loss": [0.1 * epoch, 0.2 * epoch, 0.3 * epoch],
    }
    probe = {
        "diagnostics/angle_bp": [10.0, 20.0, 30.0],
        "diagnostics/null_space_share": [0.1, 0.2, 0.3],
        "diagnostics/forward_singular_max": [3.0, 2.0, 1.0],
        "diagnostics/forward_singular_min": [0.3, 0.2, 0.1],
        "diagnostics/movement": [0.1, 0.1, 0.1],
        "diagnostics/my_own": 7.0,
        "diagnostics/angle_gnt/0.1": [1.0, 2.0, 3.0],
        "warnings": [],
    }
    return found | (probe if probed else {})


def run(rule: str = "dtp", seeds: int = 2, epochs: int = 4, probed: bool = False) -> RuleCurves:
    return RuleCurves(rule, "%", [[record(e, s, probed) for e in range(1, epochs + 1)] for s in range(seeds)])


def panels(figure) -> dict:
    return {axes.get_title(): axes for axes in figure.axes if axes.get_visible()}


def labels(axes) -> list[str]:
    return [line.get_label() for line in axes.lines if not line.get_label().startswith("_")]


def legend_title(figure) -> str:
    return figure.legends[0].get_title().get_text()


def test_a_run_shows_its_errors_its_loss_and_the_feedback_of_each_layer():
    figure = training_figure([run()], "fashion-mnist")
    found = panels(figure)
    assert list(found) == ["error", "training loss", "loss of the feedback"]
    assert labels(found["error"]) == ["test", "validation"]
    assert labels(found["loss of the feedback"]) == ["layer 1", "layer 2", "layer 3"]
    assert figure.get_suptitle() == "DTP on Fashion-MNIST"
    assert legend_title(figure) == "mean of 2 seeds; band: ± 1 SD, not below the lowest seed"
    np.testing.assert_allclose(found["error"].lines[0].get_ydata(), [9.5, 5.0, 3.5, 2.75])
    np.testing.assert_allclose(found["error"].lines[0].get_xdata(), [1, 2, 3, 4])


def test_every_panel_says_what_it_shows():
    for axes in panels(training_figure([run(probed=True)], "digits")).values():
        assert axes.get_xlabel() == "epoch"
        assert axes.get_ylabel()


def test_what_the_probe_sampled_has_figures_of_its_own():
    one = run(probed=True)
    assert kinds([one]) == list(KINDS)
    assert list(panels(training_figure([one], "digits", "angles"))) == ["angle to backpropagation"]
    singular = panels(training_figure([one], "digits", "singular-values"))["forward singular values"]
    assert labels(singular)[:2] == ["layer 1, largest", "layer 2, largest"]
    assert len(labels(singular)) == 6
    assert list(panels(training_figure([one], "digits", "other"))) == ["movement of the weights", "my_own"]
    assert all(len(panels(training_figure([one], "digits", kind))) <= 6 for kind in KINDS)


def test_runs_are_compared_by_the_mean_over_layers():
    figure = training_figure([run("bp", probed=True), run("dtp", probed=True)], "digits", "angles")
    axes = panels(figure)["angle to backpropagation"]
    assert labels(axes) == ["BP", "DTP", "right angle"]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [20.0] * 4)
    assert legend_title(figure).endswith("; means over layers")


def test_a_comparison_shows_no_feedback_losses_unless_asked():
    runs = [run("bp"), run("dtp")]
    assert list(panels(training_figure(runs, "digits"))) == ["test error", "training loss"]
    assert list(panels(training_figure(runs, "digits", "feedback"))) == ["loss of the feedback"]


def test_seeds_are_shown_as_far_as_all_of_them_have_come():
    longer = run(seeds=1, epochs=5)
    figure = training_figure([RuleCurves("dtp", "%", [*longer.histories, *run(seeds=1, epochs=2).histories, []])], "digits")
    assert len(panels(figure)["error"].lines[0].get_xdata()) == 2
    assert legend_title(figure).startswith("mean of 2 seeds")


@pytest.mark.parametrize("histories", [[], [[]]])
def test_before_the_first_epoch_the_panels_are_empty(histories):
    figure = training_figure([RuleCurves("dtp", "%", histories)], "digits")
    assert list(panels(figure)) == ["error", "training loss"]
    assert not any(axes.lines for axes in figure.axes)


def test_what_was_not_sampled_cannot_be_drawn():
    with pytest.raises(ConfigError, match=r"no picture 'angles' .* there is learning-curves, feedback"):
        training_figure([run()], "digits", "angles")


def test_rules_that_make_no_error_and_losses_that_are_not_finite_are_drawn():
    history = [{"epoch": e, "validation_error": None, "test_error": 0.0, "train_loss": math.nan} for e in (1, 2)]
    figure = training_figure([RuleCurves(f"rule {i}", "%", [history]) for i in range(20)], "separable")
    figure.canvas.draw()
    assert len(panels(figure)["test error"].lines) == 20
    assert 0 in panels(figure)["test error"].get_yticks()
