"""Section 6.7: the stability of the fixed points."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...dynamics.circuit import Gains
from ...dynamics.stability import exact_spectrum, tolerated_error
from ...experiments.experiment import ExperimentPart
from ...experiments.item import Item, Options, Picture, Report, plus_minus, report_cell
from ...figures import BLACK, BLUE, DOTTED, GRAY, VERMILLION, canvas, grid, layer_colors, note
from ...training.result import Summary
from .stability_experiments import (
    SETTLED,
    TARGETS,
    TIMES,
    WEIGHTS,
    ComputedSpectra,
    Growth,
    RandomCases,
    SettlingTimes,
    ToleratedErrors,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CASES = RandomCases(100_000)
COMPUTED = ComputedSpectra(40, depths=(8, 16, 32, 48, 64), width=5, mu=0.45)
GROWTH = {name: Growth(300, name, depths=(2, 4, 8), width=5, mu=0.1) for name in WEIGHTS}
MUS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.48, 0.5)
APPROXIMATE = {name: ToleratedErrors(40, name, depths=(2, 4, 8), mus=MUS, width=5) for name in WEIGHTS}
GAPS = (0.45, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
SETTLING = {
    name: SettlingTimes(3, depths=(2, 8, 32), mus=(*(round(0.5 - gap, 4) for gap in GAPS), 0.5), width=2, echo=echo)
    for name, echo in TARGETS.items()
}
RANDOM_CASES = {"fixed": "random cases, fixed target", "following": "random cases, target follows the output"}
NAMED = {"orthogonal": "orthogonal weights", "Gaussian": "Gaussian weights"}

ByExperiment = dict[str, dict[str, Any]]


class StabilityFigure(Item[Options]):
    """The random cases of the thesis, growth on the way to rest, approximate inverses, and the
    limit of `mu`.
    """

    source, name = "thesis2019", "stability"
    title = "Section 6.7: stability of the fixed points"
    defaults = Options(seeds=1)

    def parts(self, options: Options) -> list[ExperimentPart]:
        experiments = {"cases": CASES, "computed": COMPUTED}
        experiments |= {f"growth-{name.lower()}": growth for name, growth in GROWTH.items()}
        experiments |= {f"approximate-{name.lower()}": one for name, one in APPROXIMATE.items()}
        experiments |= {f"settling-{name}": settling for name, settling in SETTLING.items()}
        folder = options.results / self.source / self.name
        return [ExperimentPart(name, "", experiment, folder / name) for name, experiment in experiments.items()]

    def report(self, options: Options) -> Report:
        found = {part.row: list(part.found().values()) for part in self.parts(options)}
        cells, rows = [], []
        for row, column, theirs, theory, values in _numbers(found):
            ours = Summary(tuple(np.inf if value is None else value for value in values))
            cells.append(report_cell(row, column, ours, theirs) | {"theory": theory})
            known = ["-" if value is None else f"{value:.3g}" for value in (theirs, theory)]
            rows.append((row, column, *known, _written(ours), str(len(values))))
        text = (
            f"{CASES.draws} cases per seed: Gaussian blocks, each with its own standard deviation from {1 / CASES.spread:g} "
            f"to {CASES.spread:g}, {CASES.widths[0]} to {CASES.widths[1]} units wide, {CASES.depths[0]} to {CASES.depths[1]}"
            " layers, mu uniform in (0, 0.5); the thesis names neither sizes nor variances. `distance` is that of the "
            "computed eigenvalues to those of the theory, by which they are the same for all weights. A matrix that is not "
            "negative definite lets some displacement grow before it dies out; the thesis takes the word for one with "
            "negative eigenvalues. `growth` is the largest `||exp(t J)||`, the median over the draws. `error` is the norm "
            "of what the feedback has beside the inverse, relative to the inverse, at which the first eigenvalue crosses "
            "the axis, the median over random directions, in steps of 21 %; below the theory's none crosses in any "
            f"direction. `time` is that to {SETTLED:.0%} of the worst displacement, in units of tau."
        )
        complete = all(found.values())
        titles = ("what", "quantity", "thesis", "theory", "ours", "seeds")
        return Report(cells, titles, rows, _pictures(found) if complete else (), text)


def _numbers(found: dict[str, list[dict]]) -> list[tuple[str, str, float | None, float | None, list]]:
    """For each line: row, column, the number of the thesis, that of theory, and ours by seed."""
    lines = []
    for target, row in RANDOM_CASES.items():
        cases = [metrics["cases"][target] for metrics in found["cases"]]
        published = 1.0 if target == "fixed" else None
        for key, theirs, theory in (
            ("stable", published, 1.0),
            ("not negative definite", None, None),
            ("median distance", None, 0.0),
            ("largest distance", None, 0.0),
        ):
            lines.append((row, key, theirs, theory, [case[key] for case in cases]))
    for depth, at in _ends(COMPUTED.depths):
        row = f"{depth} layers, mu = {COMPUTED.mu:g}, exact inverses as computed"
        lines.append(
            (row, "looks unstable", None, 0.0, [metrics["depths"][at]["looks unstable"] for metrics in found["computed"]])
        )
    for weights, experiment in GROWTH.items():
        for depth, at in _ends(experiment.depths):
            entries = [metrics["depths"][at] for metrics in found[f"growth-{weights.lower()}"]]
            theory = 1.0 if weights == "orthogonal" else None
            row = f"{NAMED[weights]}, {depth} layers, mu = {experiment.mu:g}"
            lines.append((row, "growth", None, theory, [entry["growth"][1] for entry in entries]))
    for weights, experiment in APPROXIMATE.items():
        for depth, at in _ends(experiment.depths):
            for mu in (0.1, 0.3, 0.5):
                kept = [
                    metrics["limits"][at][experiment.mus.index(mu)][1] for metrics in found[f"approximate-{weights.lower()}"]
                ]
                theory = tolerated_error(depth, Gains.mixing(mu)) if weights == "orthogonal" else None
                lines.append((f"{NAMED[weights]}, {depth} layers, mu = {mu:g}", "error", None, theory, kept))
    for target, experiment in SETTLING.items():
        for depth, at in _ends(experiment.depths):
            for mu in (0.1, 0.5):
                kept = [metrics["settling"][at][experiment.mus.index(mu)]["time"] for metrics in found[f"settling-{target}"]]
                lines.append((f"{target} target, {depth} layers, mu = {mu:g}", "time", None, None, kept))
    return lines


def _ends(depths: Sequence[int]) -> list[tuple[int, int]]:
    """The smallest and the largest depth, with their indices."""
    return [(depths[0], 0), (depths[-1], -1)]


def _written(values: Summary) -> str:
    size = abs(values.mean)
    return f"{values.mean:.1e}" if 0 < size < 1e-3 else plus_minus(values, 3 if size < 10 else 0)


def _pictures(found: dict[str, list[dict]]) -> tuple[Picture, ...]:
    first = {name: entries[0] for name, entries in found.items()}
    return (
        Picture(lambda: _draw_exact(first), "exact", "Eigenvalues and transient growth with exact inverses"),
        Picture(lambda: _draw_limits(first), "limits", "Stability: rounding, approximate inverses, mu close to 1/2"),
    )


def _draw_exact(first: ByExperiment) -> "Figure":
    figure = canvas(11, 4.8)
    panels = figure.subplots(1, 3)
    _abscissae(panels[0], first["cases"]["sample"])
    _sample_growth(panels[1], first["cases"]["sample"])
    _growth(panels[2], first)
    figure.suptitle("With exact inverses the eigenvalues do not depend on the weights; transient growth does")
    draws = GROWTH["Gaussian"].draws
    return _finished(figure, f"1 seed; left and middle: random cases; right: medians of {draws} draws, band from 10 to 90 %")


def _draw_limits(first: ByExperiment) -> "Figure":
    figure = canvas(11, 5.2)
    panels = figure.subplots(1, 3)
    _spectrum(panels[0], first["computed"]["depths"][-1])
    _errors(panels[1], first)
    _settling(panels[2], first)
    figure.suptitle(r"Rounding, approximate inverses, and $\mu$ close to 1/2")
    draws = APPROXIMATE["Gaussian"].draws
    return _finished(figure, f"1 seed; middle: medians of {draws} draws of the weights")


def _finished(figure: "Figure", text: str) -> "Figure":
    for axes in figure.axes:
        axes.set_title(axes.get_title(), fontsize=11)
        axes.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, handlelength=2.4)
    grid(figure.axes)
    note(figure, text)
    return figure


def _abscissae(axes: "Axes", sample: dict[str, list]) -> None:
    mus, depths, found = (np.array(sample[name]) for name in ("mu", "depth", "abscissa"))
    line = np.linspace(0, 0.5, 201)
    shown = range(CASES.depths[0], CASES.depths[1] + 1)
    for depth, color in zip(shown, layer_colors(len(shown)), strict=True):
        axes.plot(
            line,
            [exact_spectrum(depth, Gains.mixing(mu))[0] for mu in line],
            color=color,
            linewidth=1,
            label=f"L = {depth}",
        )
        chosen = depths == depth
        axes.scatter(mus[chosen][:60], found[chosen][:60], s=9, color=color, linewidths=0)
    axes.axhline(0, color=BLACK, linewidth=1)
    axes.set(title="Random cases: dots, theory: lines", xlabel=r"$\mu$", ylabel="largest real part of an eigenvalue")


def _sample_growth(axes: "Axes", sample: dict[str, list]) -> None:
    condition, numerical, growth = (np.array(sample[name]) for name in ("condition", "numerical", "growth"))
    for chosen, color, label in (
        (numerical >= 0, VERMILLION, "not negative definite"),
        (numerical < 0, BLUE, "negative definite"),
    ):
        axes.scatter(
            condition[chosen], growth[chosen], s=4, color=color, linewidths=0, label=f"{label}: {np.mean(chosen):.0%}"
        )
    line = np.geomspace(1, condition.max(), 2)
    axes.plot(line, line, color=BLACK, linewidth=1, label="bound")
    axes.set(title="Growth before the decay", xscale="log", yscale="log")
    axes.set(xlabel=r"condition of the paths $J_i \cdots J_2$", ylabel=r"$\max_t \|\exp(t \bar J)\|$", ylim=(0.5, None))


def _growth(axes: "Axes", first: ByExperiment) -> None:
    depths = GROWTH["Gaussian"].depths
    for at, (depth, color) in enumerate(zip(depths, layer_colors(len(depths)), strict=True)):
        low, median, high = np.array(first["growth-gaussian"]["depths"][at]["norms"])
        axes.plot(TIMES, median, color=color, label=f"Gaussian, L = {depth}")
        axes.fill_between(TIMES, low, high, color=color, alpha=0.15, linewidth=0)
        straight = np.array(first["growth-orthogonal"]["depths"][at]["norms"])[1]
        axes.plot(TIMES, straight, "--", color=color, label=f"orthogonal, L = {depth}")
    mu = GROWTH["Gaussian"].mu
    axes.set(title=rf"Same eigenvalues, other weights, $\mu = {mu:g}$", yscale="log", ylim=(1e-3, None))
    axes.set(xlabel=r"time / $\tau$", ylabel=r"$\|\exp(t \bar J)\|$")


def _spectrum(axes: "Axes", entry: dict[str, Any]) -> None:
    depth, mu = COMPUTED.depths[-1], COMPUTED.mu
    axes.scatter(entry["real"], entry["imaginary"], s=8, color=VERMILLION, linewidths=0, label="as computed in float64")
    exact = exact_spectrum(depth, Gains.mixing(mu))
    axes.scatter(exact, np.zeros(depth), s=8, color=BLACK, linewidths=0, label="theory")
    axes.axvline(0, color=GRAY, linestyle=DOTTED)
    axes.set(title=rf"Rounding: L = {depth}, $\mu = {mu:g}$", xlabel="real part", ylabel="imaginary part")
    axes.set_ylim(top=1.4 * max(entry["imaginary"]))


def _errors(axes: "Axes", first: ByExperiment) -> None:
    line = np.linspace(MUS[0], 0.5, 201)
    depths, gains = APPROXIMATE["Gaussian"].depths, [Gains.mixing(mu) for mu in line]
    for at, (depth, color) in enumerate(zip(depths, layer_colors(len(depths)), strict=True)):
        axes.plot(line, [tolerated_error(depth, each) for each in gains], color=color, label=f"L = {depth}")
        for weights, mark in (("orthogonal", "o"), ("Gaussian", "x")):
            limits = first[f"approximate-{weights.lower()}"]["limits"][at]
            axes.plot(MUS, [np.nan if one[1] is None else one[1] for one in limits], mark, color=color, markersize=4)
    _key(axes, {"orthogonal weights": "o", "orthogonal, theory": "-", "Gaussian weights": "x"})
    axes.set(title="Errors at which stability ends", yscale="log", ylim=(1e-3, 1e3))
    axes.set(xlabel=r"$\mu$", ylabel=r"$\|G - J^{-1}\| / \|J^{-1}\|$")


def _settling(axes: "Axes", first: ByExperiment) -> None:
    gaps, following = [0.5 - mu for mu in SETTLING["fixed"].mus[:-1]], first["settling-following"]["settling"]
    depths = SETTLING["fixed"].depths
    for at, (depth, color) in enumerate(zip(depths, layer_colors(len(depths)), strict=True)):
        entries = first["settling-fixed"]["settling"][at][:-1]
        axes.plot(gaps, [entry["time"] for entry in entries], color=color, label=f"L = {depth}")
        axes.plot(gaps, [entry["time"] for entry in following[at][:-1]], "--", color=color)
        axes.plot(gaps, [-np.log(SETTLED) * entry["constant"] for entry in entries], ":", color=color)
    _key(axes, {"fixed target": "-", "target follows the output": "--", "fixed, by the largest eigenvalue": ":"})
    axes.set(title=r"Time to rest, orthogonal weights", xscale="log", yscale="log", ylim=(2, 3e4))
    axes.set(xlabel=r"$1/2 - \mu$", ylabel=rf"time to {SETTLED:.0%} / $\tau$")
    axes.invert_xaxis()


def _key(axes: "Axes", styles: dict[str, str]) -> None:
    """Explain the styles in the legend, without a color."""
    for label, style in styles.items():
        axes.plot([], [], style, color=GRAY, markersize=4, label=label)
