"""Appendix A: the targets of GAIT-prop as a shift of an equilibrium, for two and more layers."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...dynamics._base import Displacements
from ...dynamics.chain import amplification, coupling_of_full_share, largest_coupling, target_shares
from ...dynamics.circuit import Circuit, Gains, Motion
from ...dynamics.equilibria import EquilibriumSolver, Integration, Sweeps
from ...dynamics.stability import circuit_jacobian, spectral_abscissa
from ...dynamics.targets import InjectedCurrent
from ...dynamics.trajectories import trajectory
from ...experiments.experiment import Experiment, ExperimentPart, extrapolated
from ...experiments.item import Item, Options, Picture, Report, report_cell
from ...feedback.mappings import ExactInverses
from ...figures import BLACK, BLUE, DOTTED, GRAY, VERMILLION, canvas, grid, layer_colors, note, seeds_note
from ...networks.activations import Identity
from ...networks.layers import Dense
from ...networks.network import Network, Trace
from ...training.result import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DEPTHS, NU, WIDTH, BATCH = (2, 3, 5, 8), 0.2, 8, 4
LIMIT_DEPTHS = (2, 3, 4, 5, 6, 8, 10, 16)
DURATION, POINTS = 25.0, 51
TOLERANCES = {"float64": 1e-10, "float32": 1e-4}
SOLVERS: dict[str, type[Integration] | type[Sweeps]] = {"integration": Integration, "sweeps": Sweeps}

Activities = list[np.ndarray]
Direction = tuple[np.ndarray, np.ndarray]


def random_weights(rng: np.random.Generator, depth: int, width: int) -> np.ndarray:
    """`W_2 .. W_L` with singular values from 1/2 to 2."""
    u, _, v = np.linalg.svd(rng.standard_normal((depth - 1, width, width)))
    return u * rng.uniform(0.5, 2, (depth - 1, 1, width)) @ v


@dataclasses.dataclass(frozen=True)
class EquilibriumCircuit(Experiment):
    """The circuit of equation (24), with random weights, input currents and output currents.

    Metrics:

    - `at rest`: the coefficients of the activity of each layer along its forward pass `y_i` and
      along the inverted target `t_i`.
    - `on the way`: the same on the way to rest, before the target is applied and after.
    - `distance`: for each solver and precision, the largest relative distance of a layer from the
      closed form, before and after.

    **Arguments:**

    - `depth`: the number of layers.
    - `nu`: the coupling.
    - `width`: the number of units in a layer.
    - `batch`: the number of samples.
    """

    depth: int
    nu: float
    width: int
    batch: int

    @property
    def steps(self) -> int:
        return 1

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        found = [self._one(np.random.default_rng(seed)) for seed in seeds]
        advance(1)
        return found

    def seconds(self, seeds: Sequence[int]) -> float:
        return extrapolated(lambda: self._one(np.random.default_rng(seeds[0])), len(seeds))

    def _one(self, rng: np.random.Generator) -> dict[str, Any]:
        weights = random_weights(rng, self.depth, self.width)
        x, current = rng.standard_normal((2, self.batch, self.width))
        y, t = [x], [current]
        for up, down in zip(weights, weights[::-1], strict=True):
            y.append(y[-1] @ up.T)
            t.insert(0, np.linalg.solve(down, t[0].T).T)
        directions = list(zip(y, t, strict=True))
        distances, kept = {}, {}
        for precision, tolerance in TOLERANCES.items():
            with jax.enable_x64(precision == "float64"):
                circuit, trace, injected = self._circuit(weights, x, current, jnp.dtype(precision))
                for name, solver in SOLVERS.items():
                    rest, moved = _at_rest(solver(tolerance), circuit, trace, injected)
                    distances[f"{name}, {precision}"] = float(f"{self._distance(rest, moved, directions):.2g}")
                    if (precision, name) == ("float64", "integration"):
                        kept["at rest"] = _coefficients(rest, moved, directions)
                        kept["on the way"] = _on_the_way(circuit, trace, injected, directions)
        return {"distance": distances, **kept}

    def _circuit(self, weights: np.ndarray, x: np.ndarray, current: np.ndarray, dtype: Any):
        """The circuit, its forward pass, and the current into the output layer.

        Layer 1 is the identity, so that the input is the current into it.
        """
        layers = [Dense(jnp.asarray(w, dtype), None, Identity()) for w in (np.eye(self.width), *weights)]
        network, method = Network(layers, self.width), ExactInverses()
        trace = network.trace(jnp.asarray(x, dtype))
        maps = method.maps(network, method.init(network, key=jax.random.key(0)), trace)
        return Circuit(network, maps, Gains.coupling(jnp.asarray(self.nu, dtype))), trace, jnp.asarray(current, dtype)

    def _distance(self, rest: Activities, moved: Activities, directions: Sequence[Direction]) -> float:
        scales = zip(amplification(self.depth, self.nu), target_shares(self.depth, self.nu), strict=True)
        distances = [0.0]
        for u, du, (a, gamma), (y, t) in zip(rest, moved, scales, directions, strict=True):
            for found, expected in ((u, a * y), (du, gamma * t)):
                distances.append(float(np.linalg.norm(found - expected) / np.linalg.norm(expected)))
        return max(distances)


@eqx.filter_jit
def _found(solver: EquilibriumSolver, motion: Motion) -> Displacements:
    return solver.find(motion).displacements


@eqx.filter_jit
def _path(motion: Motion, times: jax.Array) -> Displacements:
    return trajectory(motion, times, tolerance=1e-8)


def _at_rest(
    solver: EquilibriumSolver, circuit: Circuit, trace: Trace, injected: jax.Array
) -> tuple[Activities, Activities]:
    """The activities of each layer at rest without a target, and how far the target moves them."""
    rest = circuit.at_rest(trace, _found(solver, circuit.free(trace, echo=False)))
    moved = _found(solver, circuit.with_target(rest, InjectedCurrent(injected)))
    return [np.asarray(u, np.float64) for u in rest.h[1:]], [np.asarray(u, np.float64) for u in moved]


def _on_the_way(circuit: Circuit, trace: Trace, injected: jax.Array, directions: Sequence[Direction]) -> list[list]:
    """The coefficients on the way to rest.

    First at times from 0 to `DURATION` without a target. Then from rest, for the same time, with a
    target.
    """
    free = circuit.free(trace, echo=False)
    rest = circuit.at_rest(trace, _found(Sweeps(1e-10), free))
    found = []
    for motion in (free, circuit.with_target(rest, InjectedCurrent(injected))):
        path = _path(motion, jnp.linspace(0, DURATION, POINTS))
        for at in range(POINTS):
            d = [np.asarray(layer[at]) for layer in path]
            found.append(_coefficients([np.asarray(h) for h in motion.h], d, directions))
    return found


def _coefficients(rest: Activities, moved: Activities, directions: Sequence[Direction]) -> list[tuple[float, float]]:
    """The coefficients of each layer's activity along its forward pass and its inverted target."""
    found = []
    for u, du, (y, t) in zip(rest, moved, directions, strict=True):
        both = np.stack([y.ravel(), t.ravel()], axis=1)
        solution = np.linalg.lstsq(both, (u + du).ravel(), rcond=None)[0]
        found.append(tuple(float(f"{value:.6g}") for value in solution))
    return found


@dataclasses.dataclass(frozen=True)
class CouplingLimit(Experiment):
    """The coupling at which the circuit becomes unstable, for several depths.

    There the largest real part of an eigenvalue is 0. It is found by bisection, with random
    weights.

    **Arguments:**

    - `depths`: the numbers of layers.
    - `width`: the number of units in a layer.
    """

    depths: tuple[int, ...]
    width: int

    @property
    def steps(self) -> int:
        return len(self.depths)

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        found = [{"limits": [self._limit(np.random.default_rng(seed), depth) for depth in self.depths]} for seed in seeds]
        advance(self.steps)
        return found

    def seconds(self, seeds: Sequence[int]) -> float:
        return extrapolated(lambda: self.run(seeds, lambda steps: None), 1)

    def _limit(self, rng: np.random.Generator, depth: int) -> float:
        blocks = random_weights(rng, depth, self.width)[:, None]
        low, high = 0.0, 2.0
        while high - low > 1e-6:
            between = (low + high) / 2
            matrix = circuit_jacobian(blocks, np.linalg.inv(blocks), Gains.coupling(between))
            low, high = (between, high) if spectral_abscissa(matrix)[0] < 0 else (low, between)
        return float(f"{high:.6g}")


class EquilibriumFigure(Item[Options]):
    """The circuit of the paper, with two layers and with more: at rest, on the way, and its limit
    of stability.
    """

    source, name = "gait2020", "appendix-a"
    title = "Appendix A: GAIT-prop as equilibrium states of a linear circuit"
    defaults = Options(seeds=5)

    def parts(self, options: Options) -> list[ExperimentPart]:
        folder = options.results / self.source / self.name
        circuits = [
            ExperimentPart(
                f"{depth} layers", "at rest", EquilibriumCircuit(depth, NU, WIDTH, BATCH), folder / f"layers-{depth}"
            )
            for depth in DEPTHS
        ]
        return [*circuits, ExperimentPart("coupling", "limit", CouplingLimit(LIMIT_DEPTHS, WIDTH), folder / "limit")]

    def report(self, options: Options) -> Report:
        *circuits, limit = (list(part.found().values()) for part in self.parts(options))
        lines = []
        for depth, seeds in zip(DEPTHS, circuits, strict=True):
            row, gamma = f"{depth} layers, nu = {NU:g}", NU / (1 - NU)
            (first, *_, last), (share, *_) = amplification(depth, NU), target_shares(depth, NU)
            for name, published, scale, layer, along in (
                ("activity of layer 1 / its input", 1 + gamma, first, 0, 0),
                ("activity of the output / its forward pass", None, last, -1, 0),
                ("share of the inverted target in layer 1", gamma, share, 0, 1),
            ):
                values = [metrics["at rest"][layer][along] for metrics in seeds]
                lines.append((row, name, published if depth == 2 else None, scale, values))
            for kind in [f"{name}, {precision}" for precision in TOLERANCES for name in SOLVERS]:
                values = [metrics["distance"][kind] for metrics in seeds]
                lines.append((row, f"largest distance, {kind}", None, 0.0, values))
        for at, depth in enumerate(LIMIT_DEPTHS):
            values = [metrics["limits"][at] for metrics in limit]
            lines.append(
                (f"{depth} layers", "stable below nu", 1.0 if depth == 2 else None, largest_coupling(depth), values)
            )
        cells, rows = [], []
        for row, column, published, theory, values in lines:
            ours = Summary(tuple(values))
            cells.append(report_cell(row, column, ours, published) | {"theory": theory})
            spread = f" ± {ours.sd:.1e}" if len(values) > 1 else ""
            written = f"{ours.mean:.5g}{spread}" if values else "-"
            rows.append(
                (row, column, "-" if published is None else f"{published:.5g}", f"{theory:.5g}", written, str(len(values)))
            )
        text = (
            f"Random weights with singular values from 1/2 to 2, {WIDTH} units per layer, {BATCH} inputs and targets; mean "
            "± SD over seeds. `distance` is that of a layer's activity without a target, or of its shift by the target, "
            "from the closed form, relative to it, the largest of all layers; solvers are asked for a velocity of "
            + " and ".join(f"{tolerance:g} in {precision}" for precision, tolerance in TOLERANCES.items())
            + ". `stable below` is where the first eigenvalue crosses the axis."
        )
        titles = ("what", "quantity", "paper", "theory", "ours", "seeds")
        complete = all(circuits) and limit
        return Report(cells, titles, rows, (Picture(lambda: _draw(circuits, limit)),) if complete else (), text)


def _draw(circuits: Sequence[list[dict]], limit: Sequence[dict]) -> "Figure":
    figure = canvas(11, 8.4)
    panels = figure.subplots(2, 2)
    for axes, depth in zip(panels[0], (2, 5), strict=True):
        _draw_path(axes, depth, circuits[DEPTHS.index(depth)][0]["on the way"])
    _draw_shares(panels[1, 0], circuits)
    _draw_limit(panels[1, 1], limit)
    grid(panels.flat)
    figure.suptitle(
        "Weak feedback leaves a share of the inverted target in every layer; the deeper the circuit, the weaker it must be"
    )
    counts = [*map(len, circuits), len(limit)]
    note(figure, f"above: 1 seed; below: dots, {seeds_note(counts, band='')}; lines, theory")
    return figure


def _draw_path(axes: "Axes", depth: int, coefficients: list) -> None:
    times = np.concatenate([np.linspace(0, DURATION, POINTS), DURATION + np.linspace(0, DURATION, POINTS)])
    values = np.array(coefficients)
    for i, color in enumerate(layer_colors(depth)):
        axes.plot(times, values[:, i, 0], color=color, label=f"layer {i + 1}")
        axes.plot(times, values[:, i, 1], "--", color=color)
    for style, label in (("-", "of the forward pass"), ("--", "of the inverted target")):
        axes.plot([], [], style, color=GRAY, label=label)
    ends = np.concatenate([amplification(depth, NU), target_shares(depth, NU)])
    axes.plot(np.full(2 * depth, 2 * DURATION + 1), ends, "<", color=BLACK, markersize=5, label="closed forms")
    axes.axvline(DURATION, color=GRAY, linestyle=DOTTED)
    axes.set(
        title=rf"{depth} layers, $\nu = {NU:g}$; the target comes at {DURATION:g} $\tau$", ylim=(-0.1, 1.7 * values.max())
    )
    axes.set(xlabel=r"time / $\tau$", ylabel="coefficient in the activity")
    axes.legend(fontsize=9, loc="upper center", ncols=3, handlelength=1.6, columnspacing=1)


def _draw_shares(axes: "Axes", circuits: Sequence[list[dict]]) -> None:
    for depth, seeds, color in zip(DEPTHS, circuits, layer_colors(len(DEPTHS)), strict=True):
        layers, measured = np.arange(1, depth + 1), np.array([metrics["at rest"] for metrics in seeds])[:, :, 1]
        axes.plot(layers, target_shares(depth, NU), color=color, linewidth=1, label=f"{depth} layers")
        axes.plot(layers, measured.mean(axis=0), "o", color=color, markersize=5)
    axes.set(title=rf"Share $\gamma_i$ of the inverted target, $\nu = {NU:g}$", yscale="log")
    axes.set(xlabel="layer i", ylabel=r"$\gamma_i$")
    axes.legend(fontsize=9)


def _draw_limit(axes: "Axes", limit: Sequence[dict]) -> None:
    found = np.array([metrics["limits"] for metrics in limit])
    depths = np.arange(2, max(LIMIT_DEPTHS) + 1)
    axes.plot(depths, [largest_coupling(int(depth)) for depth in depths], color=VERMILLION, label="comes to rest below")
    axes.plot(LIMIT_DEPTHS, found.mean(axis=0), "o", color=VERMILLION, markersize=5)
    full = [coupling_of_full_share(int(depth)) for depth in depths]
    axes.plot(depths, full, "--", color=BLUE, label=r"$\gamma_{L-1} < 1$ below")
    axes.axhline(0.25, color=GRAY, linestyle=":", label="infinite depth")
    axes.set(title="How strong the feedback may be", xlabel="layers", ylabel=r"$\nu$", ylim=(0, 1.05))
    axes.legend(fontsize=9)
