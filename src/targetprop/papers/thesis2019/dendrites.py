"""Chapter 6: networks in continuous time, beside target propagation and backpropagation.

The thesis derives these networks and leaves their simulation to future work.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...diagnostics import AngleToBackprop, AngleToTargetPropagation, Probe
from ...experiments.experiment import ExperimentPart
from ...experiments.figures import COLORS, canvas, curve, legend, whole_numbers
from ...experiments.item import Item, Part, Report, TrainingOptions, check_known, plus_minus, report_cell
from ...experiments.store import Store
from ...experiments.training_part import TrainingPart, published_recipe, with_epochs
from ...training.result import Summary
from .dendrite_recipes import EXACT, LEARNED, SQUARE, TASKS
from .settling import MIXTURES, NOISE, TIMES, TrainedSettling

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SOURCE, ROOT = "thesis2019", "thesis2019/dendrites"
PROBED, EVERY = "digits", 20  # the task on which signals, noise and angles are measured; steps between two measurements
LABELS = {"bp": "BP", "tp": "TP", "dtp": "DTP", "tp-exact": "TP, exact"}
REFERENCES = {"angle_bp": "BP", "angle_tp": "TP", "angle_dtp": "DTP"}
ANGLES = tuple(f"diagnostics/{reference}" for reference in REFERENCES)
INTERLEAVED = (0, (3, 3)), (3, (3, 3))  # dashes of two lines that may lie on each other: one shows where the other pauses
UNITS = {"digits": "test error (%)", "mnist": "test error (%)", "student-teacher": "test loss"}


def _label(method: str) -> str:
    plain = method.removeprefix(SQUARE)
    name = LABELS.get(plain, plain)
    return f"{name}, square" if plain != method and not name.endswith("exact") else name


@dataclasses.dataclass(frozen=True)
class ModelResults:
    """The results of a model.

    - `curves`: the training runs of every method on every task.
    - `angles`, `settling`: what was measured in its networks during and after training.
    """

    curves: dict[tuple[str, str], np.ndarray]  # (task, method): test errors, shape (seeds, epochs)
    angles: dict[str, np.ndarray]  # reference: degrees, shape (seeds, epochs, hidden)
    settling: dict[str, list[dict[str, Any]]]  # method: a dictionary per seed


class DendriteItem(Item[TrainingOptions]):
    """A model of chapter 6.

    **Arguments:**

    - `name`, `title`: those of the item. Methods of this name are the model itself.
    - `learned`: the methods in networks of any widths.
    - `exact`: the methods in square networks with exact inverses.
    """

    source = SOURCE

    def __init__(self, name: str, title: str, learned: Sequence[str], exact: Sequence[str]):
        self.name, self.title = name, title
        self.methods = (*learned, *(SQUARE + method for method in exact))
        self.own = tuple(method for method in self.methods if method.removeprefix(SQUARE) == name)
        self.defaults = TrainingOptions(seeds=5)

    def parts(self, options: TrainingOptions) -> list[Part]:
        tasks, methods = self._selected(options)
        training = [self._training(task, method, options) for task in tasks for method in methods]
        return [*training, *(self._settling(m, options) for m in methods if m in self.own and PROBED in tasks)]

    def _training(self, task: str, method: str, options: TrainingOptions) -> TrainingPart:
        name = f"{ROOT}/{task}/{method}"
        found = published_recipe(name, options.epochs)
        store = Store(options.results)
        if task != PROBED or method not in self.own:
            return TrainingPart(_label(method), task, name, found, store)
        probe = Probe(EVERY, (AngleToBackprop(), AngleToTargetPropagation()))
        return TrainingPart(_label(method), task, name, found, store, probe, ANGLES)

    def _settling(self, method: str, options: TrainingOptions) -> ExperimentPart:
        experiment = TrainedSettling(with_epochs(published_recipe(f"{ROOT}/{PROBED}/{method}", None), options.epochs))
        folder = options.results / SOURCE / "settling" / options.variant / method
        return ExperimentPart(f"{_label(method)}, settling", PROBED, experiment, folder)

    def report(self, options: TrainingOptions) -> Report:
        tasks, methods = self._selected(options)
        found = self._found(tasks, methods, options)
        cells, rows = [], []
        for task in tasks:
            for method in methods:
                last = Summary(tuple(map(float, found.curves[task, method][:, -1])))
                cells.append(report_cell(_label(method), f"{task}: {UNITS[task]}", last))
                rows.append((task, _label(method), UNITS[task], plus_minus(last, 2), str(len(last.values))))
        for method, seeds in found.settling.items():
            for quantity, value in self._measured(seeds).items():
                cells.append(report_cell(_label(method), f"{PROBED}: {quantity}", value))
                rows.append((PROBED, _label(method), quantity, _shown(value), str(len(value.values))))
        for reference, values in found.angles.items():
            for i, layer in enumerate(values[:, -1].T, start=1):
                summary = Summary(tuple(map(float, layer)))
                quantity = f"angle of layer {i} to {reference} (degrees)"
                cells.append(report_cell(_label(self.own[0]), f"{PROBED}: {quantity}", summary))
                rows.append((PROBED, _label(self.own[0]), quantity, plus_minus(summary, 1), str(len(layer))))
        text = (
            "At the end of training, mean ± SD over seeds. `square`: layers of one width with exact inverses. Signals are "
            "medians over test samples of the norms of what a layer learns from, before it is scaled up; reconstruction "
            "errors those of what it learns without a teacher, for multiplexing those of the feedback, which cancel. The "
            "thesis gives no numbers; what it predicts stands in the docs."
        )
        draw = (lambda path: self._draw(found, path)) if found.settling and found.angles else None
        return Report(cells, ("task", "method", "quantity", "value", "seeds"), rows, draw, text, options.variant)

    def _selected(self, options: TrainingOptions) -> tuple[tuple[str, ...], tuple[str, ...]]:
        check_known(self.name, "dataset", options.dataset, tuple(TASKS))
        check_known(self.name, "method", options.methods, self.methods)
        return options.dataset or tuple(TASKS), options.methods or self.methods

    def _found(self, tasks: Sequence[str], methods: Sequence[str], options: TrainingOptions) -> ModelResults:
        curves, angles = {}, {}
        for task in tasks:
            for method in methods:
                runs = list(self._training(task, method, options).found().values())
                histories = [[record["test_error"] for record in run.history] for run in runs]
                curves[task, method] = np.array(histories, float) if runs else np.empty((0, 1))
                if runs and task == PROBED and method == self.own[0]:
                    for key, reference in REFERENCES.items():
                        values = [[record[f"diagnostics/{key}"] for record in run.history] for run in runs]
                        angles[reference] = np.array(values, float)
        settling = {}
        for method in self.own if PROBED in tasks else ():
            seeds = list(self._settling(method, options).found().values())
            if seeds:
                settling[method] = seeds
        return ModelResults(curves, angles, settling)

    def _measured(self, seeds: Sequence[dict[str, Any]]) -> dict[str, Summary]:
        """Signal and reconstruction error of each hidden layer, at the mixture of the recipe."""
        at = _published_mixture(seeds[0])
        found = {}
        for name in ("signal", "reconstruction"):
            values = np.array([metrics[name][at] for metrics in seeds], float)
            for i, layer in enumerate(values.T, start=1):
                found[f"{name} of layer {i}"] = Summary(tuple(map(float, layer)))
        return found

    def _draw(self, found: ModelResults, path: Path) -> None:
        figure = canvas(17, 10)
        panels = figure.subplots(2, 4)
        method, seeds = next(iter(found.settling.items()))
        _draw_course(panels[0, 0], found.settling)
        _draw_signals(panels[0, 1], found.settling)
        _draw_scaling(panels[0, 2], method, seeds)
        _draw_noise(panels[0, 3], found.settling)
        _draw_angles(panels[1, 0], found.angles, _label(method))
        for axes, task in zip(panels[1, 1:], TASKS, strict=True):
            shown = {m: values for (t, m), values in found.curves.items() if t == task and values.size}
            axes.set_visible(bool(shown))
            _draw_learning(axes, task, shown)
        figure.suptitle(self.title)
        legend(figure, panels[1, 1:])
        figure.savefig(path, dpi=130)


def _published_mixture(metrics: dict[str, Any]) -> int:
    return MIXTURES.index(0.1) if len(metrics["signal"]) > 1 else 0


def _shown(found: Summary) -> str:
    return f"{found.mean:.2g} ± {found.sd:.1g}" if len(found.values) > 1 else f"{found.mean:.2g}"


def _mean(seeds: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([metrics[name] for metrics in seeds], float).mean(axis=0)


def _draw_course(axes: "Axes", settling: dict[str, list[dict[str, Any]]]) -> None:
    for method, style in zip(settling, ("-", "--"), strict=False):
        for i, layer in enumerate(_mean(settling[method], "taught").T, start=1):
            name = f"layer {i}" + (", exact" if style == "--" else "")
            axes.semilogy(TIMES, np.maximum(layer, 1e-8), style, color=COLORS[i], label=name, linewidth=1.3)
    axes.set(xlabel="time / tau", title="under the teacher: way still to go", ylim=(1e-5, 1.5))
    _finish(axes)


def _draw_signals(axes: "Axes", settling: dict[str, list[dict[str, Any]]]) -> None:
    kinds = (("signal", "signal", COLORS[4]), ("reconstruction", "reconstruction error", COLORS[5]))
    for seeds, style in zip(settling.values(), ("-", "--"), strict=False):
        at = _published_mixture(seeds[0])
        for name, label, color in kinds:
            values = _mean(seeds, name)[at]
            if np.any(values > 0):
                exact = ", exact" if style == "--" else ""
                axes.semilogy(
                    np.arange(1, len(values) + 1), values, "o" + style, color=color, label=label + exact, markersize=3
                )
    whole_numbers(axes)
    axes.set(xlabel="layer", title="signal and reconstruction error")
    _finish(axes)


def _draw_scaling(axes: "Axes", method: str, seeds: Sequence[dict[str, Any]]) -> None:
    signal, error = _mean(seeds, "signal"), _mean(seeds, "reconstruction")
    if len(signal) == 1:
        free = _mean(seeds, "free")
        depth = (free.shape[1] + 1) // 2
        for i, part in enumerate(free.T):
            up = i < depth
            layer, style = (i + 1, "-") if up else (i + 1 - depth, ":")
            name = f"layer {layer}, {'event rate' if up else 'burst probability'}"
            axes.semilogy(TIMES, np.maximum(part, 1e-8), style, color=COLORS[layer], label=name, linewidth=1.3)
        axes.set(xlabel="time / tau", title="from silence: way still to go", ylim=(1e-5, 1.5))
    else:
        rho = np.array(MIXTURES) / (1 - np.array(MIXTURES))
        for i in range(signal.shape[1]):
            axes.loglog(rho, signal[:, i], "o-", color=COLORS[i + 1], label=f"signal, layer {i + 1}", markersize=4)
            reference = signal[0, i] * (rho / rho[0]) ** (signal.shape[1] + 1 - i)
            axes.loglog(rho, reference, ":", color=COLORS[i + 1], linewidth=1)
            if np.any(error[:, i] > 0):
                axes.loglog(rho, error[:, i], "s--", color=COLORS[i + 1], label=f"error, layer {i + 1}", markersize=4)
        axes.set(xlabel="mu / (1 - mu)", title=f"{_label(method)}: dotted, the predicted powers")
    _finish(axes)


def _draw_noise(axes: "Axes", settling: dict[str, list[dict[str, Any]]]) -> None:
    for method, style in zip(settling, ("-", "--"), strict=False):
        for i, layer in enumerate(_mean(settling[method], "noise").T, start=1):
            name = f"layer {i}" + (", exact" if style == "--" else "")
            axes.semilogx(NOISE, layer, "o" + style, color=COLORS[i], label=name, markersize=3)
    axes.axhline(90, color="gray", linewidth=0.8)
    axes.set(xlabel="noise / activity", title="angle to BP's update under noise (degrees)", ylim=(0, 120))
    _finish(axes)


def _draw_angles(axes: "Axes", angles: dict[str, np.ndarray], label: str) -> None:
    for (reference, values), color in zip(angles.items(), (COLORS[0], COLORS[1], COLORS[3]), strict=True):
        mean = values.mean(axis=2)
        curve(axes, np.arange(1, mean.shape[1] + 1), mean, color=color, label=f"to {reference}")
    axes.axhline(90, color="gray", linewidth=0.8)
    axes.set(xlabel="epoch", title=f"{label}: angle to other rules' updates", ylim=(0, 120))
    _finish(axes)


def _draw_learning(axes: "Axes", task: str, curves: dict[str, np.ndarray]) -> None:
    plain = list(dict.fromkeys(m.removeprefix(SQUARE) for m in (*LEARNED, *EXACT)))
    for method, values in curves.items():
        base = method.removeprefix(SQUARE)
        style = "-" if base == method else INTERLEAVED[base == "tp-exact"]
        x = np.arange(1, values.shape[1] + 1)
        curve(axes, x, values, color=COLORS[plain.index(base)], label=_label(method), style=style)
    axes.set(xlabel="epoch", title=f"{task}: {UNITS[task]}", yscale="log")
    axes.grid(alpha=0.3, which="both", linewidth=0.5)


def _finish(axes: "Axes") -> None:
    axes.grid(alpha=0.3, linewidth=0.5)
    axes.legend(fontsize=7, handlelength=4, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)


ITEMS = (
    DendriteItem(
        "single-phase",
        "Segregated dendrites in a single phase (section 6.3 to 6.5)",
        ("bp", "tp", "dtp", "single-phase"),
        ("bp", "tp-exact", "single-phase"),
    ),
    DendriteItem(
        "two-phase",
        "Segregated dendrites in two phases (section 6.6)",
        ("bp", "tp", "dtp", "two-phase"),
        ("bp", "tp-exact", "two-phase"),
    ),
    DendriteItem(
        "multiplexing",
        "Multiplexing of event rates and burst probabilities (section 6.9)",
        ("bp", "tp", "dtp", "multiplexing"),
        ("bp", "tp-exact", "multiplexing"),
    ),
)
