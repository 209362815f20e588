"""The figures of chapter 6: how networks in continuous time settle, and how they learn."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...figures import (
    BLUE,
    DASHED,
    DOTTED,
    GRAY,
    MEAN_BAR,
    SOLID,
    VERMILLION,
    Curve,
    Style,
    canvas,
    curve,
    curves,
    dataset_name,
    grid,
    layer_colors,
    legend,
    note,
    rule_name,
    rule_style,
    seeds_note,
    whole_numbers,
)
from .dendrite_recipes import SQUARE, TASKS
from .settling import MIXTURES, NOISE, TIMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INTERLEAVED = (0, (3, 3)), (3, (3, 3))  # dashes of two lines that may lie on each other: one shows where the other pauses
UNITS = {"digits": "test error (%)", "mnist": "test error (%)", "student-teacher": "test loss"}
LEFT = "distance to rest / distance at the start"
Settling = dict[str, list[dict[str, Any]]]  # method: a dictionary per seed


def label(method: str) -> str:
    """The name of a method in tables and figures. `square` stands for networks of one width."""
    plain = method.removeprefix(SQUARE)
    name = rule_name(plain)
    return f"{name}, square" if plain != method and not name.endswith("exact") else name


@dataclasses.dataclass(frozen=True)
class ModelResults:
    """The results of a model.

    - `curves`: the training runs of every method on every task.
    - `angles`, `settling`: what was measured in its networks during and after training.
    """

    curves: dict[tuple[str, str], np.ndarray]  # (task, method): test errors, shape (seeds, epochs)
    angles: dict[str, np.ndarray]  # rule: degrees, shape (seeds, epochs, hidden)
    settling: Settling


def draw_settling(found: ModelResults, title: str) -> "Figure":
    """How fast the layers settle, how large signals are, and what noise does to the updates.

    **Arguments:**

    - `found`: the results of the model.
    - `title`: its title.
    """
    figure = canvas(10, 9)
    panels = figure.subplots(2, 2)
    method, seeds = next(iter(found.settling.items()))
    _draw_course(panels[0, 0], found.settling)
    _draw_signals(panels[0, 1], found.settling)
    if len(seeds[0]["signal"]) == 1:
        _draw_from_silence(panels[1, 0], seeds)
    else:
        _draw_scaling(panels[1, 0], label(method), seeds)
    _draw_noise(panels[1, 1], found.settling)
    for axes in panels.flat:
        axes.legend(fontsize=9, handlelength=3.2, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    grid(panels.flat)
    figure.suptitle(title)
    exact = "; exact: layers of one width with exact inverses" if len(found.settling) > 1 else ""
    note(figure, seeds_note(map(len, found.settling.values()), band="") + exact)
    return figure


def draw_learning(found: ModelResults, method: str, title: str) -> "Figure":
    """The angles to other rules' updates during training, and the learning curves.

    **Arguments:**

    - `found`: the results of the model.
    - `method`: the method whose angles were measured.
    - `title`: the title of the model.
    """
    figure = canvas(10, 8.2)
    panels = figure.subplots(2, 2).flatten()
    _draw_angles(panels[0], found.angles, label(method))
    for axes, task in zip(panels[1:], TASKS, strict=True):
        shown = {m: values for (t, m), values in found.curves.items() if t == task and values.size}
        axes.set_visible(bool(shown))
        _draw_curves(axes, task, shown)
    grid(panels[:1])
    grid(panels[1:], "both")
    figure.suptitle(title)
    legend(figure, panels[1:], f"means over seeds; band or {MEAN_BAR}")
    return figure


def published_mixture(metrics: dict[str, Any]) -> int:
    """The index of the mixture of the recipe among those that were measured."""
    return MIXTURES.index(0.1) if len(metrics["signal"]) > 1 else 0


def _mean(seeds: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([metrics[name] for metrics in seeds], float).mean(axis=0)


def _draw_course(axes: "Axes", settling: Settling) -> None:
    for method, style in zip(settling, (SOLID, DASHED), strict=False):
        layers = _mean(settling[method], "taught").T
        for i, (layer, color) in enumerate(zip(layers, layer_colors(len(layers)), strict=True), start=1):
            name = f"layer {i}" + (", exact" if style == DASHED else "")
            axes.semilogy(TIMES, np.maximum(layer, 1e-8), linestyle=style, color=color, label=name, linewidth=1.4)
    axes.set(title="With a target: the layers settle", xlabel=r"time / $\tau$", ylabel=LEFT, ylim=(1e-5, 1.5))


def _draw_signals(axes: "Axes", settling: Settling) -> None:
    kinds = (("signal", "signal", BLUE), ("reconstruction", "reconstruction error", VERMILLION))
    for seeds, style in zip(settling.values(), (SOLID, DASHED), strict=False):
        at = published_mixture(seeds[0])
        for name, called, color in kinds:
            values = _mean(seeds, name)[at]
            if np.any(values > 0):
                shown = called + (", exact" if style == DASHED else "")
                layers = np.arange(1, len(values) + 1)
                axes.semilogy(layers, values, marker="o", linestyle=style, color=color, label=shown, markersize=4)
    whole_numbers(axes)
    axes.set(title="What the layers learn from", xlabel="layer", ylabel="norm, median over samples")


def _draw_scaling(axes: "Axes", called: str, seeds: Sequence[dict[str, Any]]) -> None:
    signal, error = _mean(seeds, "signal"), _mean(seeds, "reconstruction")
    rho = np.array(MIXTURES) / (1 - np.array(MIXTURES))
    for i, color in enumerate(layer_colors(signal.shape[1])):
        axes.loglog(rho, signal[:, i], "o-", color=color, label=f"signal, layer {i + 1}", markersize=4)
        reference = signal[0, i] * (rho / rho[0]) ** (signal.shape[1] + 1 - i)
        axes.loglog(rho, reference, ":", color=color, linewidth=1.2)
        if np.any(error[:, i] > 0):
            axes.loglog(rho, error[:, i], "s--", color=color, label=f"error, layer {i + 1}", markersize=4)
    axes.set(title=f"{called}, by the share of feedback", ylabel="norm, median over samples")
    axes.set_xlabel(r"$\mu / (1 - \mu)$; dotted: the powers that theory predicts")


def _draw_from_silence(axes: "Axes", seeds: Sequence[dict[str, Any]]) -> None:
    free = _mean(seeds, "free")
    depth = (free.shape[1] + 1) // 2
    colors = layer_colors(depth)
    for i, part in enumerate(free.T):
        layer, style, what = (i, SOLID, "event rate") if i < depth else (i - depth, DOTTED, "burst probability")
        name = f"layer {layer + 1}, {what}"
        axes.semilogy(TIMES, np.maximum(part, 1e-8), linestyle=style, color=colors[layer], label=name, linewidth=1.4)
    axes.set(title="From silence: the layers settle", xlabel=r"time / $\tau$", ylabel=LEFT, ylim=(1e-5, 1.5))


def _draw_noise(axes: "Axes", settling: Settling) -> None:
    for method, style in zip(settling, (SOLID, DASHED), strict=False):
        layers = _mean(settling[method], "noise").T
        for i, (layer, color) in enumerate(zip(layers, layer_colors(len(layers)), strict=True), start=1):
            name = f"layer {i}" + (", exact" if style == DASHED else "")
            axes.semilogx(NOISE, layer, marker="o", linestyle=style, color=color, label=name, markersize=4)
    axes.axhline(90, color=GRAY, linewidth=0.8)
    axes.set(title="Direction of the update under noise", xlabel="noise / activity")
    axes.set(ylabel="angle to BP's update (degrees)", ylim=(0, 120))


def _draw_angles(axes: "Axes", angles: dict[str, np.ndarray], called: str) -> None:
    for rule, values in angles.items():
        mean = values.mean(axis=2)
        curve(axes, np.arange(1, mean.shape[1] + 1), mean, style=rule_style(rule), label=f"to {rule_name(rule)}")
    axes.axhline(90, color=GRAY, linewidth=0.8)
    seeds = min(map(len, angles.values()))
    axes.set_title(f"{called}: angle to other rules (digits, {seeds} seeds)", fontsize=11)
    axes.set(xlabel="epoch", ylabel="angle, mean over layers (degrees)", ylim=(0, 120))
    axes.legend(fontsize=9, ncols=3, loc="upper right")


def _draw_curves(axes: "Axes", task: str, found: dict[str, np.ndarray]) -> None:
    lines = []
    for method, values in found.items():
        base = method.removeprefix(SQUARE)
        dashes = SOLID if base == method else INTERLEAVED[base == "tp-exact"]
        style = Style(rule_style(base).color, dashes)
        lines.append(Curve(np.arange(1, values.shape[1] + 1), values, style, label(method)))
    curves(axes, lines)
    seeds = seeds_note((len(values) for values in found.values()), "mean", "").removeprefix("mean of ")
    axes.set(title=f"{dataset_name(task)}, {seeds}", xlabel="epoch", ylabel=UNITS[task], yscale="log")
    whole_numbers(axes)
