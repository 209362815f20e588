"""Fig. 5.12: when the pseudo-inverse of a path is the product of pseudo-inverses (Lemma 4.8)."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...data.random_matrices import robust_diagonal, robust_gaussian
from ...experiments.experiment import Experiment, ExperimentPart, extrapolated
from ...experiments.item import Item, Options, Picture, Report, report_cell
from ...figures import BLUE, canvas, grid, note
from ...training.result import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REPETITIONS, BATCH = 1000, 8
NETWORKS = {"equal, 5-5-5": (5, 5, 5), "wide first layer, 7-5-5": (7, 5, 5), "narrow output, 5-5-3": (5, 5, 3)}


@dataclasses.dataclass(frozen=True)
class Factorization(Experiment):
    """`||J_1^f e - J_1^† e||` in random networks, averaged over a batch of output errors `e`.

    `J_1` is the Jacobian of the output at the first hidden layer, and `J_1^f = W_2^† D_2^{-1} ..
    W_L^† D_L^{-1}` (equation 5.48). Weights and slopes are standard normal, and safe to invert as
    in the thesis. In float64.

    **Arguments:**

    - `widths`: the widths of the hidden layers and of the output.
    - `repetitions`: the number of networks.
    """

    widths: tuple[int, ...]
    repetitions: int = REPETITIONS

    @property
    def steps(self) -> int:
        return 1

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        found = []
        for seed in seeds:
            generator = np.random.default_rng(seed)
            found.append({"distance": [float(f"{self._one(generator):.4g}") for _ in range(self.repetitions)]})
        advance(1)
        return found

    def seconds(self, seeds: Sequence[int]) -> float:
        short = dataclasses.replace(self, repetitions=10)
        return extrapolated(lambda: short.run(seeds, lambda steps: None), self.repetitions / 10)

    def _one(self, generator: np.random.Generator) -> float:
        jacobian, factored = np.eye(self.widths[0]), np.eye(self.widths[0])
        for below, above in zip(self.widths[:-1], self.widths[1:], strict=True):
            w, slopes = robust_gaussian(generator, above, below), robust_diagonal(generator, above)
            jacobian = slopes[:, None] * (w @ jacobian)
            factored = factored @ np.linalg.pinv(w) / slopes
        errors = generator.standard_normal((self.widths[-1], BATCH))
        return float(np.linalg.norm((factored - np.linalg.pinv(jacobian)) @ errors, axis=0).mean())


class FactorizationFigure(Item[Options]):
    """Histograms of the distance between the two updates, for three shapes of network."""

    source, name = "thesis2019", "fig-5.12"
    title = "Fig. 5.12: factorized against true pseudo-inverse of the path to the output"
    defaults = Options(seeds=1)

    def parts(self, options: Options) -> list[ExperimentPart]:
        folder = options.results / self.source / self.name
        return [
            ExperimentPart(label, "distance", Factorization(widths), folder / "-".join(map(str, widths)))
            for label, widths in NETWORKS.items()
        ]

    def report(self, options: Options) -> Report:
        found = {
            part.row: np.array([entry["distance"] for entry in part.found().values()]).reshape(-1)
            for part in self.parts(options)
        }
        cells, rows = [], []
        for label, values in found.items():
            cells.append(report_cell(label, "distance", Summary(tuple(map(float, values)))))
            quantiles = [f"{q:.2g}" for q in np.quantile(values, (0.5, 0.9, 1))] if len(values) else ["-"] * 3
            rows.append((label, *quantiles, str(len(values))))
        text = (
            "`||J_1^f e - J_1^† e||`, a mean over 8 random output errors, in random networks in float64. The thesis draws "
            "histograms and gives no numbers; its distances are zero up to rounding for the first two shapes and large for "
            "the third."
        )
        complete = all(len(values) for values in found.values())
        titles = ("hidden widths and output", "median", "90 %", "largest", "networks")
        return Report(cells, titles, rows, (Picture(lambda: _draw(found)),) if complete else (), text)


def _draw(found: dict[str, np.ndarray]) -> "Figure":
    figure = canvas(10, 3.8)
    panels = figure.subplots(1, len(found))
    for axes, (label, values) in zip(panels, found.items(), strict=True):
        axes.hist(np.log10(np.maximum(values, 1e-17)), bins=40, color=BLUE)
        axes.set(title=label, xlabel=r"$\log_{10} \|J_1^f e - J_1^\dagger e\|$")
    grid(panels)
    panels[0].set_ylabel("networks")
    figure.suptitle("The pseudo-inverse factorizes where no layer above the first hidden one changes the width")
    counts = sorted({len(values) for values in found.values()})
    note(figure, f"{' or '.join(map(str, counts))} random networks in each panel")
    return figure
