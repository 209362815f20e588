"""Fig. 5.9 to 5.11, and a learner that the thesis proposes: how well feedback inverts one layer.

A layer `h_2 = s(W h_1)` does not change. Its feedback `g` learns from noise on `h_1`.
"""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...data.random_matrices import robust_gaussian
from ...experiments.experiment import Experiment, ExperimentPart, extrapolated
from ...experiments.item import Item, Options, Picture, Report, plus_minus, report_cell
from ...feedback.learners import BenIsraelCohen, InverseLearner, InverseLoss
from ...feedback.maps import DenseFeedback, FeedbackMap, InverseFeedback
from ...figures import BLUE, GREEN, ORANGE, QUARTILE_BAND, Style, canvas, grid, log_scale, note, quartiles, seeds_note
from ...networks.activations import Identity, LeakyReLU, Tanh
from ...networks.layers import Dense
from ...networks.network import Network
from ...training.result import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SLOPE = 0.35
POINTS, MEASURED = 100, 200  # samples of a curve, and noise samples that the reconstruction error is averaged over
SEEDS = 15
LIMIT = 1e4  # a curve of which some seed is larger is not drawn


class FeedbackForm(abc.ABC):
    """A layer and the form of its feedback."""

    @abc.abstractmethod
    def layer(self, w: Array) -> Dense:
        """`h_2 = s(W h_1)`."""

    @abc.abstractmethod
    def feedback(self, q: Array) -> FeedbackMap:
        """`g`, with the weight `Q`."""


@dataclasses.dataclass(frozen=True)
class InverseForm(FeedbackForm):
    """`g(h) = Q s^{-1}(h)`, leaky ReLU (equations 5.42 and 5.43)."""

    def layer(self, w):
        return Dense(w, None, LeakyReLU(SLOPE))

    def feedback(self, q):
        return InverseFeedback(Dense(q, None, Identity()), LeakyReLU(SLOPE), (q.shape[0],))


@dataclasses.dataclass(frozen=True)
class AutoencoderForm(FeedbackForm):
    """`g(h) = s(Q h)`, tanh (equations 5.46 and 5.47)."""

    def layer(self, w):
        return Dense(w, None, Tanh())

    def feedback(self, q):
        return DenseFeedback(Dense(q, None, Tanh()), (q.shape[0],))


@dataclasses.dataclass(frozen=True)
class InverseLearning(Experiment):
    """Feedback from a layer of `above` units to one of `below` units learns from noise.

    Metrics, at `POINTS` moments after the start: `distance`, which is `||Q - W^†||_inf`, and
    `error`, the mean norm of `g(f(x)) - x`.

    **Arguments:**

    - `below`, `above`: the numbers of units.
    - `color`: 0 for white noise. Otherwise the noise is colored: a fixed random matrix maps white
      noise of this dimension to noise that has variance 1 on average.
    - `batch`: the number of noise samples in a step.
    - `rate`, `last`: the learning rate falls linearly from `rate` to `last`.
    - `iterations`: the number of steps.
    - `form`: the layer, and the form of the feedback.
    - `learner`: how the feedback learns.
    - `start`: `Q` starts at `start W^T / sigma_max^2`. 0 means that it starts at random.
    """

    below: int
    above: int
    color: int = 0
    batch: int = 1
    rate: float = 0.01
    last: float = 0.008
    iterations: int = 2000
    form: FeedbackForm = InverseForm()
    learner: InverseLearner = InverseLoss()
    start: float = 0.0
    """`Q` starts at `start W^T / sigma_max^2`, or at random for 0."""

    @property
    def steps(self) -> int:
        return 1

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        drawn = [self._draw(seed) for seed in seeds]
        w, q, color, inverse = (jnp.asarray(np.stack(entries), jnp.float32) for entries in zip(*drawn, strict=True))
        keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
        found = jax.jit(jax.vmap(self._learn))(w, q, color, inverse, keys)
        advance(1)
        distance, error = (np.asarray(entry, float) for entry in found)
        return [
            {"distance": [float(f"{x:.4g}") for x in d], "error": [float(f"{x:.4g}") for x in e]}
            for d, e in zip(distance, error, strict=True)
        ]

    def seconds(self, seeds: Sequence[int]) -> float:
        short = dataclasses.replace(self, iterations=POINTS)
        return extrapolated(lambda: short.run(seeds, lambda steps: None), self.iterations / POINTS)

    def _draw(self, seed: int) -> tuple[np.ndarray, ...]:
        """`W`, the first `Q`, the matrix that colors the noise, and `W^†`."""
        generator = np.random.default_rng(seed)
        w = robust_gaussian(generator, self.above, self.below)
        q = robust_gaussian(generator, self.below, self.above)
        if self.start:
            q = self.start * w.T / np.linalg.norm(w, 2) ** 2
        color = np.eye(self.below)
        if self.color:
            color = generator.standard_normal((self.below, self.color)) / self.color**0.5
        return w, q, color, np.linalg.pinv(w)

    def _learn(self, w, q, color, inverse, key) -> tuple[Float[Array, " moments"], Float[Array, " moments"]]:
        network = Network([Dense(jnp.eye(self.below), None, Identity()), self.form.layer(w)], self.below)

        def noise(key, samples):
            return jax.random.normal(key, (samples, color.shape[1])) @ color.T

        test = noise(jax.random.fold_in(key, self.iterations), MEASURED)

        def one(q, i):
            x = noise(jax.random.fold_in(key, i), self.batch)
            step = self.learner.invert(network, (self.form.feedback(q),), [x])
            (gradient,) = jax.tree.leaves(step.gradients)
            return q - (self.rate + (self.last - self.rate) * i / self.iterations) * gradient, None

        def measured(q):
            off = self.form.feedback(q).at(self.form.layer(w).at(test).h).h - test
            return jnp.max(jnp.sum(jnp.abs(q - inverse), axis=1)), jnp.mean(jnp.linalg.norm(off, axis=1))

        def stretch(q, first):
            found = measured(q)
            return jax.lax.scan(one, q, first + jnp.arange(self.iterations // POINTS))[0], found

        q, found = jax.lax.scan(stretch, q, jnp.arange(POINTS) * (self.iterations // POINTS))
        return tuple(jnp.append(curve, last) for curve, last in zip(found, measured(q), strict=True))  # pyright: ignore


EQUAL = {"below": 5, "above": 5, "rate": 0.005, "last": 0.004, "iterations": 2500}
CONTRACTING = {"below": 5, "above": 3, "rate": 0.005, "last": 0.00005}
EXPANDING = {"below": 3, "above": 5, "rate": 0.005, "last": 0.004}
ORIGINAL = {"batch": 8, "rate": 0.001, "last": 0.00005, "form": AutoencoderForm()}
PANELS = {
    "equal layers, 5 and 5": {
        "white": InverseLearning(**EQUAL),
        "colored, full rank": InverseLearning(**EQUAL, color=5),
        "colored, rank 2": InverseLearning(**EQUAL, color=2),
    },
    "contracting layers, 5 to 3": {
        "white": InverseLearning(**CONTRACTING),
        "white, batch of 16": InverseLearning(**CONTRACTING, batch=16),
        "colored, full rank": InverseLearning(**CONTRACTING, color=5),
    },
    "expanding layers, 3 to 5": {
        "white": InverseLearning(**EXPANDING),
        "white, λ = 0.2": InverseLearning(**EXPANDING, learner=InverseLoss(strength=0.2)),
        "colored, λ = 0.2": InverseLearning(**EXPANDING, color=3, learner=InverseLoss(strength=0.2)),
    },
}
AUTOENCODERS = {
    "g(h) = tanh(Q h)": {
        "contracting layers, 5 to 3": InverseLearning(5, 3, **ORIGINAL),
        "equal layers, 5 and 5": InverseLearning(5, 5, **ORIGINAL),
        "expanding layers, 3 to 5": InverseLearning(3, 5, **ORIGINAL),
    },
}
_GRADIENT = {"rate": 0.03, "last": 0.03, "iterations": 1000, "batch": 64, "start": 1.0}
_ITERATION = {**_GRADIENT, "rate": 0.05, "last": 0.05, "learner": BenIsraelCohen()}
LEARNERS = {
    panel: {
        "gradient": InverseLearning(*widths, **_GRADIENT),
        "Ben-Israel-Cohen": InverseLearning(*widths, **_ITERATION),
        "Ben-Israel-Cohen, random start": InverseLearning(*widths, **{**_ITERATION, "start": 0.0}),
    }
    for panel, widths in zip(PANELS, ((5, 5), (5, 3), (3, 5)), strict=True)
}
NAMES = {"distance": "||Q - W^†||_inf", "error": "||g(f(x)) - x||"}
AXES = {"distance": r"$\|Q - W^\dagger\|_\infty$", "error": "$\\|g(f(x)) - x\\|$"}
Panels = dict[str, dict[str, InverseLearning]]


class InverseFigure(Item[Options]):
    """How well the feedback of one layer has learned, a panel for each pair of layers, medians
    over seeds.
    """

    def __init__(self, name: str, title: str, metric: str, panels: Panels, text: str, folder: str = ""):
        self.source, self.name, self.title = "thesis2019", name, title
        self.metric, self.panels, self.text = metric, panels, text
        self.folder = folder or name
        self.defaults = Options(seeds=SEEDS)

    def parts(self, options: Options) -> list[ExperimentPart]:
        folder = options.results / self.source / self.folder
        return [
            ExperimentPart(panel, label, experiment, folder / _slug(panel) / _slug(label))
            for panel, curves in self.panels.items()
            for label, experiment in curves.items()
        ]

    def report(self, options: Options) -> Report:
        found = {
            (part.row, part.column): np.array([entry[self.metric] for entry in part.found().values()], float)
            for part in self.parts(options)
        }
        cells, rows = [], []
        for (panel, label), curves in found.items():
            kept = curves[np.isfinite(curves[:, -1])] if len(curves) else curves
            last = Summary(tuple(map(float, kept[:, -1]))) if len(kept) else Summary(())
            one, end = report_cell(panel, label, last), "-"
            if last.values:
                one["ours"]["median"] = float(np.median(last.values))
                end = f"{one['ours']['median']:.3g}"
            cells.append(one)
            start = f"{np.median(curves[:, 0]):.3g}" if len(curves) else "-"
            rows.append((panel, label, start, end, plus_minus(last, 3), str(len(curves)), str(len(curves) - len(kept))))
        titles = ("layers", "noise or learner", "start (median)", "end (median)", "end (mean ± SD)", "seeds", "diverged")
        complete = all(len(curves) for curves in found.values())
        text = f"`{NAMES[self.metric]}`. {self.text}"
        return Report(cells, titles, rows, (Picture(lambda: self._draw(found)),) if complete else (), text)

    def _draw(self, found: dict[tuple[str, str], np.ndarray]) -> "Figure":
        figure = canvas(min(11, max(4 * len(self.panels), 5.5)), 4.4)
        panels = figure.subplots(1, len(self.panels), squeeze=False)[0]
        for axes, (panel, curves) in zip(panels, self.panels.items(), strict=True):
            for (label, experiment), color in zip(curves.items(), (BLUE, ORANGE, GREEN), strict=False):
                values = found[panel, label]
                if np.all(values < LIMIT):
                    x = np.linspace(0, experiment.iterations, values.shape[1])
                    quartiles(axes, x, values, style=Style(color), label=label)
            axes.set(title=panel, xlabel="iteration")
            log_scale(axes)
            axes.legend(fontsize=9)
        grid(panels)
        panels[0].set_ylabel(AXES[self.metric])
        figure.suptitle(self.title)
        note(figure, seeds_note(map(len, found.values()), "median", QUARTILE_BAND))
        return figure


def _slug(label: str) -> str:
    return "-".join("".join(c if c.isalnum() or c == "." else " " for c in label.replace("λ = ", "lambda ")).split()).lower()


_SETTINGS = (
    "Medians and quartiles over seeds, each with weights of its own; W and the first Q are standard normal with a product "
    "of smallest and largest singular value above 0.4. "
)
FIGURES = (
    InverseFigure(
        "fig-5.9",
        "Fig. 5.9: distance of the feedback weights from the pseudo-inverse",
        "distance",
        PANELS,
        _SETTINGS + "The thesis draws one run of each and gives no numbers.",
        "inverses",
    ),
    InverseFigure(
        "fig-5.10",
        "Fig. 5.10: reconstruction error of feedback Q s⁻¹(h)",
        "error",
        PANELS,
        _SETTINGS + "The same runs as in Fig. 5.9, on noise of the kind that is learned from.",
        "inverses",
    ),
    InverseFigure(
        "fig-5.11",
        "Fig. 5.11: reconstruction error of the original form, tanh(Q h)",
        "error",
        AUTOENCODERS,
        _SETTINGS + "White noise in batches of 8. The thesis draws one run of each and gives no numbers.",
    ),
    InverseFigure(
        "ben-israel-cohen",
        "Ben-Israel and Cohen's iteration as a feedback learner",
        "distance",
        LEARNERS,
        _SETTINGS
        + "White noise in batches of 64. The learning rate is 0.03 for the gradient, above which some runs diverge, and "
        + "0.05 for the iteration, which is stable from 0.02 to 0.2 and, the faster it learns, wanders the farther in "
        + "contracting layers. From "
        + "`W^T / sigma_max^2` but for the random start. The thesis proposes this learner (equation 4.96), untried. "
        + "Learners that diverge for some seeds are not drawn.",
    ),
)
