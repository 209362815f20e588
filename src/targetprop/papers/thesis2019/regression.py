"""Figs 5.7, 5.8 and 5.13 to 5.19: student-teacher regression with exact or learned inverses.

Every seed has its own teacher, student and samples. All seeds of a method are one program.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._linear_algebra import pseudo_inverse
from ...data import StudentTeacherTask
from ...diagnostics.decomposition import decompose, sizes
from ...experiments.experiment import Experiment, ExperimentPart, extrapolated
from ...experiments.item import EpochOptions, Item, Picture, Report, report_cell
from ...feedback.learners import BenIsraelCohen
from ...feedback.maps import DenseFeedback
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
from ...losses import MeanSquaredError, SquaredError
from ...networks.activations import Identity, LeakyReLU
from ...networks.layers import Dense
from ...networks.network import Network, Trace
from ...rules import Backprop, Minibatch
from ...rules.contract import output_update
from ...training.program import Span, over_members, run_steps
from ...training.recipe import Recipe
from ...training.result import Summary
from ...training.schedule import Learning
from ...training.state import Data, Hyperparameters, Member, Split, Task, initial_state
from ...training.values import get_value, set_values
from .recipes import RANDOMIZED, RECIPES, RegressionTask, published_settings, regression_task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS, STABLE = 15, 1e6  # a loss above the second number counts as diverged
MEASURED = 32  # test samples of which signals and angles are taken
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
    "bp": ("BP", rule_style("bp")),
    "bp-fixed": ("BP, hidden layers fixed", rule_style("bp")._replace(line=DASH_DOTTED)),
}


@dataclasses.dataclass(frozen=True)
class Regression(Experiment):
    """A recipe on a task.

    Metrics, before training and after each epoch:

    - `train_loss`, `test_loss`: the mean of `||h_L - t||^2` (equation 5.50).
    - `approximation`: the mean norm of (5.59).
    - `to_signal`, `to_gauss_newton`, `to_backprop`: the mean cosines of the target update to
      (5.57), (5.60) and (5.61).

    All but the losses are there only for rules with feedback. They are taken on a test batch for
    the first hidden layer.
    """

    recipe: Recipe
    task: RegressionTask

    @property
    def steps(self) -> int:
        return self.recipe.schedule.epochs

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        members, data = (_stack(entries) for entries in zip(*(self._begin(seed) for seed in seeds), strict=True))
        epoch, measure = self._programs()
        found = [measure(members, data)]
        for number in range(1, self.steps + 1):
            members = epoch(members, data, jnp.asarray(number))
            found.append(measure(members, data))
            advance(1)
        curves = {name: np.stack([np.asarray(entry[name]) for entry in found], axis=1) for name in found[0]}
        return [{name: [float(f"{x:.4g}") for x in values[i]] for name, values in curves.items()} for i in range(len(seeds))]

    def seconds(self, seeds: Sequence[int]) -> float:
        short = dataclasses.replace(
            self, recipe=self.recipe.replace(schedule=dataclasses.replace(self.recipe.schedule, epochs=1))
        )
        return extrapolated(lambda: short.run(seeds, lambda steps: None), self.steps)

    def _begin(self, seed: int) -> tuple[Member, Data]:
        recipe, task = self.recipe, self.task
        drawn = StudentTeacherTask(
            sizes=task.sizes,
            train=task.batches * recipe.batch_size,
            test=task.test,
            seed=seed,
            negative_slope=task.negative_slope,
            distance=task.distance,
        ).draw()
        data = Data(*(jnp.asarray(getattr(drawn.data, name)) for name in ("train_x", "train_y", "test_x", "test_y")))
        hidden = [LeakyReLU(task.negative_slope)] * (len(task.sizes) - 2)
        weights = [jnp.asarray(w, jnp.float32) for w in drawn.weights]
        layers = [Dense(w, None, s) for w, s in zip(weights, [*hidden, Identity()], strict=True)]
        network, seed_array = Network(layers, task.sizes[0]), jnp.asarray(seed, jnp.uint32)
        numbers = jax.tree.map(
            jnp.asarray, Hyperparameters(recipe.rule, recipe.stepsize, recipe.optimizer, recipe.feedback_optimizer)
        )
        state = initial_state(network, numbers, seed_array, recipe.trainable)
        state = eqx.tree_at(lambda s: s.feedback, state, at_inverses(network, state.feedback), is_leaf=lambda x: x is None)
        split = Split(jnp.arange(len(data.x)), jnp.arange(0))
        return Member(state, numbers, split, seed_array), data

    def _programs(self) -> tuple[Callable, Callable]:
        task = Task(SquaredError(), MeanSquaredError(), self.recipe.batch_size, self.recipe.trainable)

        def epoch(member: Member, data: Data, number: Array) -> Member:
            zero, stop = jnp.asarray(0), jnp.asarray(self.task.batches)
            return member._replace(state=run_steps(task, member, data, Span(number, zero, zero, stop), Learning())[0])

        axes = (eqx.if_array(0), eqx.if_array(0), None)
        mapped = eqx.filter_vmap(epoch, in_axes=axes, out_axes=eqx.if_array(0))
        return eqx.filter_jit(mapped), eqx.filter_jit(lambda members, data: over_members(_measure, members, data))


def at_inverses(network: Network, feedback: Any) -> Any:
    """Feedback that starts at the inverses, as in the thesis.

    Every mapping `s(Q h)` gets `Q = W^†`. Mappings of other forms start there anyway, and are not
    changed.

    **Arguments:**

    - `network`: the network.
    - `feedback`: its feedback parameters.
    """
    if not (isinstance(feedback, tuple) and all(isinstance(g, DenseFeedback) for g in feedback)):
        return feedback
    inverses = [pseudo_inverse(layer.weight) for layer in network.layers[1:] if isinstance(layer, Dense)]
    return eqx.tree_at(lambda maps: [g.dense.weight for g in maps], feedback, inverses)


def _stack(entries: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0], *entries)


def _measure(member: Member, data: Data) -> dict[str, Array]:
    network, numbers = member.state.network, member.hyperparameters
    found = {
        name: 2 * jnp.mean(SquaredError().value(network(x), y))
        for name, x, y in (("train_loss", data.x, data.y), ("test_loss", data.test_x, data.test_y))
    }
    if member.state.feedback is None:
        return found
    trace = network.trace(data.test_x[:MEASURED])
    dh = output_update(SquaredError(), trace.output, data.test_y[:MEASURED], numbers.stepsize)
    batch = Minibatch(trace, dh)
    parts = decompose(numbers.rule, network, member.state.feedback, batch)
    off = [reconstruction + taylor for reconstruction, taylor in zip(parts.reconstruction, parts.taylor, strict=True)]
    moved = parts.signal[0] + off[0]
    return found | {
        "approximation": jnp.mean(sizes(tuple(off))[0]),
        "to_signal": _cosine(moved, parts.signal[0]),
        "to_gauss_newton": _cosine(moved, factored_gauss_newton(network, trace, dh)),
        "to_backprop": _cosine(moved, Backprop().target_updates(network, None, batch)[0]),
    }


def factored_gauss_newton(network: Network, trace: Trace, output_update: Array) -> Float[Array, "batch n_1"]:
    """The Gauss-Newton learning signal of the first hidden layer.

    It is `W_2^† D_2^{-1} .. W_L^† D_L^{-1} dh_L`.

    **Arguments:**

    - `network`: the network.
    - `trace`: its forward pass.
    - `output_update`: `dh_L`, shape `(batch, n_L)`.

    **Returns:** the signal, shape `(batch, n_1)`.

    Source: Meulemans 2019, equation 5.60.
    """
    signal = output_update
    for layer, point in zip(network.layers[:0:-1], trace.points[:0:-1], strict=True):
        assert isinstance(layer, Dense)
        signal = (signal / layer.activation.slope(point.a)) @ pseudo_inverse(layer.weight).T
    return signal


def _cosine(u: Float[Array, "batch n"], v: Float[Array, "batch n"]) -> Float[Array, ""]:
    return jnp.mean(jnp.sum(u * v, axis=1) / (jnp.linalg.norm(u, axis=1) * jnp.linalg.norm(v, axis=1)))


ITERATED = "+ben-israel-cohen"
ITERATED_RATE = 0.02


def _recipe(task: str, method: str) -> Recipe:
    """The recipe of a method, with the gradient or, for names that end in `ITERATED`, the other
    learner.
    """
    found = RECIPES.build(f"{task}/{method.removesuffix(ITERATED)}")
    if not method.endswith(ITERATED):
        return found
    learner = BenIsraelCohen(get_value(found, "rule.learner.noise"))
    return set_values(found, {"rule.learner": learner, "feedback_optimizer.learning_rate": ITERATED_RATE})


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
        text = (
            f"After {epochs} epochs; mean ± SD over the seeds that did not diverge, each with a teacher of its own. Losses "
            "are means of `||h_L - t||^2`; norms and cosines are means over a batch of test samples, for the first hidden "
            "layer. `R-`: one random layer learns at a time. The picture has medians and quartiles over seeds; a mean may "
            "be that of one bad seed. The thesis draws curves and gives no numbers."
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
