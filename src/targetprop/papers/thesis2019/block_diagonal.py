"""Fig. 5.6: the effect of the blocks beside the diagonal on Gauss-Newton targets of all layers."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...experiments.experiment import Experiment, ExperimentPart, extrapolated
from ...experiments.item import Item, Options, Picture, Report, plus_minus, report_cell
from ...figures import BLUE, DOTTED, GRAY, canvas, grid, note
from ...training.result import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, TRIALS = 6, 10_000
SETTINGS = ((2, 1), (10, 1), (10, 100))
CHUNK = 100
BINS = 45


@dataclasses.dataclass(frozen=True)
class BlockDiagonal(Experiment):
    """The angle between full and block-diagonal Gauss-Newton steps of all hidden activities.

    The full step is `-J^+ e` with `J = [J_1 .. J_{L-1}]`. The block-diagonal one is `-J_i^+ e` for
    each layer. Layer Jacobians and the error are Gaussian. The samples of a minibatch are stacked
    in `J` and in `e`, and each has Jacobians of its own. Metrics: the mean angle in degrees, and a
    histogram.

    **Arguments:**

    - `width`: the number of units in a layer.
    - `hidden`: the number of hidden layers.
    - `batch`: the number of samples.
    - `trials`: the number of trials.

    Source: Meulemans 2019, Lemma 4.2.
    """

    width: int
    hidden: int
    batch: int
    trials: int

    @property
    def steps(self) -> int:
        return self.trials // CHUNK

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        found = []
        for seed in seeds:
            rng, angles = np.random.default_rng(seed), []
            for _ in range(self.steps):
                angles.append(self._angles(rng))
                advance(1)
            counts, _ = np.histogram(np.concatenate(angles), BINS, (0, 180))
            found.append({"angle": round(float(np.mean(angles)), 3), "counts": counts.tolist()})
        return found

    def seconds(self, seeds: Sequence[int]) -> float:
        short = dataclasses.replace(self, trials=CHUNK)
        return extrapolated(lambda: short.run(seeds, lambda steps: None), self.steps)

    def _angles(self, rng: np.random.Generator) -> np.ndarray:
        shape = (CHUNK, self.batch, self.width, self.width)
        blocks = [rng.normal(size=shape)]
        for _ in range(self.hidden - 1):
            blocks.append(blocks[-1] @ rng.normal(size=shape))
        stacked = [block.reshape(CHUNK, -1, self.width) for block in blocks]
        error = rng.normal(size=(CHUNK, self.batch * self.width, 1))
        full = np.linalg.pinv(np.concatenate(stacked, axis=2)) @ error
        diagonal = np.concatenate([np.linalg.pinv(block) @ error for block in stacked], axis=1)
        product = np.sum(full * diagonal, axis=(1, 2))
        lengths = np.linalg.norm(full, axis=(1, 2)) * np.linalg.norm(diagonal, axis=(1, 2))
        return np.degrees(np.arccos(np.clip(product / lengths, -1, 1)))


class BlockDiagonalFigure(Item[Options]):
    """The angle between targets by full and by block-diagonal Gauss-Newton."""

    source, name = "thesis2019", "fig-5.6"
    title = "Fig. 5.6: angle between targets by full and by block-diagonal Gauss-Newton"
    defaults = Options(seeds=1)

    def parts(self, options: Options) -> list[ExperimentPart]:
        folder = options.results / self.source / self.name
        return [
            ExperimentPart(
                f"{hidden} hidden layers, {batch} sample{'s' if batch > 1 else ''}",
                "mean angle",
                BlockDiagonal(WIDTH, hidden, batch, TRIALS),
                folder / f"hidden-{hidden}-batch-{batch}",
            )
            for hidden, batch in SETTINGS
        ]

    def report(self, options: Options) -> Report:
        found = {part.row: list(part.found().values()) for part in self.parts(options)}
        cells, rows = [], []
        for row, seeds in found.items():
            values = Summary(tuple(metrics["angle"] for metrics in seeds))
            cells.append(report_cell(row, "mean angle", values))
            rows.append((row, plus_minus(values, 1), str(len(seeds))))
        text = (
            f"Mean angle in degrees over {TRIALS} trials per seed, layers of {WIDTH} units (the thesis does not name their "
            "number). The thesis draws histograms and gives no numbers; it finds any angle for two layers, nearly right "
            "angles for ten, and small ones for ten layers and 100 samples."
        )
        pictures = (Picture(lambda: _draw(found)),) if all(found.values()) else ()
        return Report(cells, ("setting", "mean angle (degrees)", "seeds"), rows, pictures, text)


def _draw(found: dict[str, list[dict[str, Any]]]) -> "Figure":
    figure = canvas(11, 3.8)
    edges = np.linspace(0, 180, BINS + 1)
    for axes, (title, seeds) in zip(figure.subplots(1, len(found), sharex=True), found.items(), strict=True):
        counts = np.sum([metrics["counts"] for metrics in seeds], axis=0)
        axes.stairs(counts / counts.sum(), edges, fill=True, color=BLUE)
        axes.axvline(90, color=GRAY, linestyle=DOTTED)
        axes.set(title=title, xlabel="angle (degrees)", xticks=range(0, 181, 45))
    figure.axes[0].set_ylabel("share of the trials")
    figure.suptitle("Targets of all layers at once: full against block-diagonal Gauss-Newton")
    grid(figure.axes)
    counts = sorted({len(seeds) for seeds in found.values()})
    seeds = f"{' or '.join(map(str, counts))} seed{'s' * (counts != [1])}"
    note(figure, f"{seeds}, {TRIALS} trials in each panel; dotted: right angle")
    return figure
