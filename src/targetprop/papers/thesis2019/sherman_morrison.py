"""Fig. 5.5: how close to singular a weight matrix becomes, and the effect of the robust update."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ...experiments.experiment import Experiment, ExperimentPart, extrapolated
from ...experiments.item import Item, Options, Picture, Report, plus_minus, report_cell
from ...feedback.inverse_formulas import robust_sherman_morrison
from ...figures import BLUE, DOTTED, GRAY, VERMILLION, canvas, grid, note
from ...training.result import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE, TRIALS, THRESHOLD, CONDITION = 6, 20_000, 0.1, 0.4
PUBLISHED = 0.80
DRAWN = 2_000
COLUMN = "random steps of rank 1"


@dataclasses.dataclass(frozen=True)
class Singularity(Experiment):
    """`|1 + v^T W^{-1} u|` and the smallest singular value of `W + u v^T`, plain and robust.

    `u`, `v` and `W` are Gaussian. Metrics: the Pearson correlation of the two numbers, and that of
    their logarithms, where the first is below `threshold`. Also the smallest singular values, and
    the first trials.

    **Arguments:**

    - `size`: the size of the matrices.
    - `trials`: the number of trials.
    - `threshold`: the threshold of the robust update.
    - `condition`: `W` is drawn until the product of its smallest and its largest singular value is
      above this number.
    """

    size: int
    trials: int
    threshold: float
    condition: float

    @property
    def steps(self) -> int:
        return 1

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        with jax.enable_x64(True):
            found = [self._trials(np.random.default_rng(seed)) for seed in seeds]
        advance(1)
        return found

    def seconds(self, seeds: Sequence[int]) -> float:
        short = dataclasses.replace(self, trials=self.trials // 20)
        return extrapolated(lambda: short.run(seeds, lambda steps: None), 20)

    def _trials(self, rng: np.random.Generator) -> dict[str, Any]:
        weight = self._weights(rng)
        u, v = rng.normal(size=(2, self.trials, self.size))
        inverse = np.linalg.inv(weight)
        denominator = np.abs(1 + np.einsum("ti,tij,tj->t", v, inverse, u))
        plain = _smallest(weight + u[:, :, None] * v[:, None])
        update = jax.vmap(robust_sherman_morrison, in_axes=(0, 0, 0, 0, None))
        w, inverted, left, right = (jnp.asarray(array) for array in (weight, inverse, u, v))
        robust = _smallest(np.asarray(update(w, inverted, left, right, self.threshold)[0]))
        low = denominator < self.threshold
        pair = np.stack([denominator[low], plain[low]])
        return {
            "correlation": round(float(np.corrcoef(pair)[0, 1]), 4),
            "log_correlation": round(float(np.corrcoef(np.log(pair))[0, 1]), 4),
            "shortened": int(low.sum()),
            "smallest": {"plain": float(plain.min()), "robust": float(robust.min())},
            "denominator": np.round(denominator[:DRAWN], 4).tolist(),
            "plain": np.round(plain[:DRAWN], 4).tolist(),
            "robust": np.round(robust[:DRAWN], 4).tolist(),
        }

    def _weights(self, rng: np.random.Generator) -> np.ndarray:
        kept = np.empty((0, self.size, self.size))
        while len(kept) < self.trials:
            drawn = rng.normal(size=(self.trials, self.size, self.size))
            s = np.linalg.svd(drawn, compute_uv=False)
            kept = np.concatenate([kept, drawn[s[:, 0] * s[:, -1] > self.condition]])
        return kept[: self.trials]


def _smallest(matrices: np.ndarray) -> np.ndarray:
    return np.linalg.svd(matrices, compute_uv=False)[:, -1]


class SingularityFigure(Item[Options]):
    """The denominator of the Sherman-Morrison formula, and the smallest singular value after the
    step.
    """

    source, name = "thesis2019", "fig-5.5"
    title = "Fig. 5.5: the denominator of a step tells how close to singular it leads"
    defaults = Options(seeds=5)

    def parts(self, options: Options) -> list[ExperimentPart]:
        experiment = Singularity(SIZE, TRIALS, THRESHOLD, CONDITION)
        return [ExperimentPart("correlation", COLUMN, experiment, options.results / self.source / self.name)]

    def report(self, options: Options) -> Report:
        found = list(self.parts(options)[0].found().values())
        cells, rows = [], []
        for row, key in (("of the logarithms", "log_correlation"), ("of the values", "correlation")):
            values = Summary(tuple(metrics[key] for metrics in found))
            cells.append(report_cell(row, COLUMN, values, PUBLISHED))
            rows.append((row, f"{PUBLISHED:.2f}", plus_minus(values, 3), str(len(found))))
        text = (
            "Pearson correlation of `|1 + v^T W^-1 u|` with the smallest singular value of `W + u v^T` where the first is "
            f"below {THRESHOLD:g}; {TRIALS} trials per seed with {SIZE} x {SIZE} matrices; mean ± SD over seeds. The thesis "
            "does not name the size of the matrices, nor that it correlates the logarithms; its number fits these alone."
        )
        if found:
            smallest = {kind: min(metrics["smallest"][kind] for metrics in found) for kind in ("plain", "robust")}
            text += (
                f" The smallest singular value of all trials is {smallest['plain']:.1e} after the plain update and "
                f"{smallest['robust']:.1e} after the robust one."
            )
        titles = ("correlation", "published", "ours", "seeds")
        return Report(cells, titles, rows, (Picture(lambda: _draw(found[0])),) if found else (), text)


def _draw(metrics: dict[str, Any]) -> "Figure":
    figure = canvas(10, 4.4)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    denominator = np.array(metrics["denominator"])
    for axes, kind, color in zip(panels, ("plain", "robust"), (VERMILLION, BLUE), strict=True):
        axes.scatter(denominator, metrics[kind], s=4, color=color, linewidths=0)
        axes.axvline(THRESHOLD, color=GRAY, linestyle=DOTTED, label="threshold")
        axes.set(xscale="log", yscale="log", xlabel="$|1 + v^T W^{-1} u|$", title=f"{kind} update", ylim=(3e-5, 3))
    grid(panels)
    panels[0].set_ylabel("smallest singular value of the new weight")
    panels[0].legend(fontsize=8)
    figure.suptitle("A small denominator announces a nearly singular weight; the robust update stays away from it")
    note(figure, f"1 seed, {len(denominator)} trials")
    return figure
