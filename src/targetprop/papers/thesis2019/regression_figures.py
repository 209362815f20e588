"""The pictures of the student-teacher regressions: Figs 5.7, 5.8 and 5.13 to 5.19, and modified TP."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...experiments.experiment import ExperimentPart
from ...experiments.item import EpochOptions, Item, Picture, Report, report_cell
from ...feedback.learners import BenIsraelCohen
from ...figures import (
    DASH_DOTTED,
    DOTTED,
    NAVY,
    QUARTILE_BAND,
    Style,
    canvas,
    covered,
    grid,
    legend,
    log_scale,
    quartiles,
    rule_style,
    seeds_note,
)
from ...training.recipe import Recipe
from ...training.result import Summary
from ...training.values import get_value, set_values
from .recipes import RANDOMIZED, RECIPES, published_settings, regression_task
from .regression import Regression

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS, STABLE = 15, 1e6  # a loss above the second number counts as diverged
LOSSES = {"train_loss": "training loss", "test_loss": "test loss"}
SIGNALS = {
    "approximation": "norm of the approximation error",
    "to_signal": "cosine to the learning signal $e^{TP}_1$",
    "to_gauss_newton": "cosine to $e^{GN}_1$",
    "to_backprop": "cosine to $e^{BP}_1$",
}
LABELS = {
    "tp-ai": ("TP-AI", rule_style("tp-ai")),
    "dtp-ai": ("DTP-AI", rule_style("dtp-ai")),
    "original-tp": ("original TP", rule_style("tp")),
    "original-dtp": ("original DTP", rule_style("dtp")),
    "tp-ei": ("TP-EI", rule_style("tp-exact")),
    "mtp-ei": ("MTP-EI", Style(NAVY)),
    "mtp": ("MTP", Style(NAVY)),
    "mtp-ai": ("MTP-AI", rule_style("tp-ai")),
    "bp": ("BP", rule_style("bp")),
    "bp-fixed": ("BP, hidden layers fixed", rule_style("bp")._replace(line=DASH_DOTTED)),
    "bp-normalized": ("BP", rule_style("bp")),
    "bp-fixed-normalized": ("BP, hidden layer fixed", rule_style("bp")._replace(line=DASH_DOTTED)),
}

ITERATED = "+ben-israel-cohen"
ITERATED_RATE = 0.02


def _recipe(task: str, method: str) -> Recipe:
    """The recipe of a method, with the gradient or, for names that end in `ITERATED`, the other
    learner.
    """
    found = RECIPES.build(f"{task}/{method.removesuffix(ITERATED)}")
    if not method.endswith(ITERATED):
        return found
    learner = BenIsraelCohen(get_value(found, "rule.rule.learner.noise"))
    return set_values(found, {"rule.rule.learner": learner, "feedback_optimizer.learning_rate": ITERATED_RATE})


def _label(method: str) -> str:
    if method.endswith(ITERATED):
        return f"{_label(method.removesuffix(ITERATED))}, Ben-Israel-Cohen"
    label = LABELS[method.removeprefix(RANDOMIZED)][0]
    return f"R-{label}" if method.startswith(RANDOMIZED) else label


class RegressionFigure(Item[EpochOptions]):
    """Metrics of some methods on a task over training, a panel for each metric."""

    source = "thesis2019"

    def __init__(self, name: str, title: str, task: str, methods: Sequence[str], metrics: Sequence[str], seeds: int = SEEDS):
        self.name, self.title, self.task = name, title, task
        self.methods, self.metrics = tuple(methods), tuple(metrics)
        self.defaults = EpochOptions(seeds=seeds)

    def parts(self, options: EpochOptions) -> list[ExperimentPart]:
        folder = options.results / self.source / "regression" / options.variant / self.task
        return [
            ExperimentPart(_label(method), self.task, self._experiment(method, options), folder / method)
            for method in self.methods
        ]

    def _experiment(self, method: str, options: EpochOptions) -> Regression:
        found = _recipe(self.task, method)
        if options.epochs is not None:
            found = found.replace(schedule=dataclasses.replace(found.schedule, epochs=options.epochs))
        return Regression(found, regression_task(self.task))

    def report(self, options: EpochOptions) -> Report:
        parts = self.parts(options)
        found = {method: list(part.found().values()) for method, part in zip(self.methods, parts, strict=True)}
        cells, rows = [], []
        for method, seeds in found.items():
            kept = [metrics for metrics in seeds if _stable(metrics)]
            for metric in self.metrics:
                if seeds and metric not in seeds[0]:
                    continue
                first, last = (Summary(tuple(metrics[metric][at] for metrics in kept)) for at in (0, -1))
                cells.append(report_cell(_label(method), metric, last))
                median = f"{np.median(last.values):.3g}" if kept else "-"
                name = (LOSSES | SIGNALS)[metric]
                ends = (_shown(first), _shown(last), median)
                rows.append((_label(method), name, *ends, str(len(kept)), str(len(seeds) - len(kept))))
        epochs = options.epochs or published_settings()["tasks"][self.task]["epochs"]
        drawn = "draws curves and gives no numbers" if self.name.startswith("fig-") else "does not have this experiment"
        text = (
            f"After {epochs} epochs; mean ± SD over the seeds that did not diverge, each with a teacher of its own. Losses "
            "are means of `||h_L - t||^2`; norms and cosines are means over a batch of test samples, for the first hidden "
            "layer. `R-`: one random layer learns at a time. The picture has medians and quartiles over seeds; a mean may "
            f"be that of one bad seed. The thesis {drawn}."
        )
        titles = ("method", "metric", "start", "end", "end (median)", "seeds", "diverged")
        complete = all(found.values())
        pictures = (Picture(lambda: self._draw(found)),) if complete else ()
        return Report(cells, titles, rows, pictures, text, options.variant)

    def _draw(self, found: dict[str, list[dict[str, Any]]]) -> "Figure":
        """Medians and quartiles. A mean would be that of the worst seed."""
        figure = canvas(10, 4.7)
        panels = figure.subplots(1, len(self.metrics))
        stable = {method: [metrics for metrics in seeds if _stable(metrics)] for method, seeds in found.items()}
        for axes, metric in zip(panels, self.metrics, strict=True):
            for method, seeds in stable.items():
                values = np.array([metrics[metric] for metrics in seeds if metric in metrics])
                if len(values):
                    quartiles(axes, np.arange(values.shape[1]), values, style=self._style(method), label=_label(method))
            axes.set(xlabel="\n".join(["epoch", *covered(axes)]), ylabel=(LOSSES | SIGNALS)[metric])
            if metric.startswith("to_"):
                axes.set_ylim(top=1.02)
            else:
                log_scale(axes)
        grid(panels)
        figure.suptitle(self.title)
        legend(figure, panels, seeds_note(map(len, stable.values()), "median", QUARTILE_BAND))
        return figure

    def _style(self, method: str) -> Style:
        plain = method.removeprefix(RANDOMIZED)
        if plain.endswith(ITERATED):
            return Style(NAVY)
        style = LABELS[plain][1]
        return style._replace(line=DOTTED) if plain != method and plain in self.methods else style


def _shown(found: Summary) -> str:
    """Mean and standard deviation of values of any size."""
    return f"{found.mean:.3g} ± {found.sd:.2g}" if found.values else "-"


def _stable(metrics: dict[str, Any]) -> bool:
    last = metrics["train_loss"][-1]
    return last is not None and last < STABLE


TARGETS = ("tp-ai", "dtp-ai", "original-tp", "original-dtp")
RANDOM = tuple(RANDOMIZED + method for method in TARGETS)
CONTROLS = ("bp", "bp-fixed")
EXACT = ("tp-ei", RANDOMIZED + "tp-ei", RANDOMIZED + "mtp-ei")
FIGURES = (
    RegressionFigure("fig-5.7", "Fig. 5.7: regression with exact inverses", "exact", (*EXACT, *CONTROLS), tuple(LOSSES)),
    RegressionFigure(
        "fig-5.8", "Fig. 5.8: approximation errors with exact inverses", "exact", EXACT, ("approximation", "to_signal")
    ),
    RegressionFigure(
        "fig-5.13",
        "Fig. 5.13: regression with 4 hidden layers of equal size",
        "deep",
        (RANDOM[0], "tp-ai", *CONTROLS),
        tuple(LOSSES),
    ),
    RegressionFigure("fig-5.14", "Fig. 5.14: regression, randomized methods", "equal", (*RANDOM, *CONTROLS), tuple(LOSSES)),
    RegressionFigure("fig-5.15", "Fig. 5.15: regression, all layers at once", "equal", (*TARGETS, *CONTROLS), tuple(LOSSES)),
    RegressionFigure(
        "fig-5.16", "Fig. 5.16: approximation errors, equal layers", "equal", RANDOM, ("approximation", "to_signal")
    ),
    RegressionFigure(
        "fig-5.17", "Fig. 5.17: directions of the targets, equal layers", "equal", RANDOM, ("to_gauss_newton", "to_backprop")
    ),
    RegressionFigure(
        "fig-5.18",
        "Fig. 5.18: regression with contracting layers",
        "contracting",
        (*RANDOM, *CONTROLS),
        ("test_loss", "to_signal"),
    ),
    RegressionFigure(
        "fig-5.19",
        "Fig. 5.19: directions of the targets, contracting layers",
        "contracting",
        RANDOM,
        ("to_gauss_newton", "to_backprop"),
    ),
    RegressionFigure(
        "modified-tp",
        "Modified target propagation with batch normalization: Algorithms A.1 and A.3",
        "equal",
        ("mtp", f"{RANDOMIZED}mtp", "mtp-ai", f"{RANDOMIZED}mtp-ai", "bp-normalized", "bp-fixed-normalized"),
        ("test_loss", "to_gauss_newton"),
    ),
    *(
        RegressionFigure(
            f"ben-israel-cohen-{task}",
            f"Ben-Israel and Cohen's iteration as DTP-AI's learner, {task} layers",
            task,
            (RANDOM[1], RANDOM[1] + ITERATED),
            ("test_loss", "to_gauss_newton"),
        )
        for task in ("equal", "contracting")
    ),
)
