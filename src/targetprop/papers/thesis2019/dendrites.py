"""Chapter 6: networks in continuous time, beside target propagation and backpropagation.

The thesis derives these networks and leaves their simulation to future work.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...diagnostics import AngleToBackprop, AngleToTargetPropagation, Probe
from ...experiments.experiment import ExperimentPart
from ...experiments.item import Item, Part, Picture, Report, TrainingOptions, check_known, plus_minus, report_cell
from ...experiments.store import Store
from ...experiments.training_part import TrainingPart, published_recipe, with_epochs
from ...figures import rule_name
from ...training.result import Summary
from .dendrite_figures import UNITS, ModelResults, draw_learning, draw_settling, label, published_mixture
from .dendrite_recipes import SQUARE, TASKS
from .settling import TrainedSettling

SOURCE, ROOT = "thesis2019", "thesis2019/dendrites"
PROBED, EVERY = "digits", 20  # the task on which signals, noise and angles are measured; steps between two measurements
REFERENCES = ("bp", "tp", "dtp")  # the rules whose updates the angles are measured to
ANGLES = tuple(f"diagnostics/angle_{rule}" for rule in REFERENCES)


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
            return TrainingPart(label(method), task, name, found, store)
        probe = Probe(EVERY, (AngleToBackprop(), AngleToTargetPropagation()))
        return TrainingPart(label(method), task, name, found, store, probe, ANGLES)

    def _settling(self, method: str, options: TrainingOptions) -> ExperimentPart:
        experiment = TrainedSettling(with_epochs(published_recipe(f"{ROOT}/{PROBED}/{method}", None), options.epochs))
        folder = options.results / SOURCE / "settling" / options.variant / method
        return ExperimentPart(f"{label(method)}, settling", PROBED, experiment, folder)

    def report(self, options: TrainingOptions) -> Report:
        tasks, methods = self._selected(options)
        found = self._found(tasks, methods, options)
        cells, rows = [], []
        for task in tasks:
            for method in methods:
                last = Summary(tuple(map(float, found.curves[task, method][:, -1])))
                cells.append(report_cell(label(method), f"{task}: {UNITS[task]}", last))
                rows.append((task, label(method), UNITS[task], plus_minus(last, 2), str(len(last.values))))
        for method, seeds in found.settling.items():
            for quantity, value in self._measured(seeds).items():
                cells.append(report_cell(label(method), f"{PROBED}: {quantity}", value))
                rows.append((PROBED, label(method), quantity, _shown(value), str(len(value.values))))
        for rule, values in found.angles.items():
            for i, layer in enumerate(values[:, -1].T, start=1):
                summary = Summary(tuple(map(float, layer)))
                quantity = f"angle of layer {i} to {rule_name(rule)} (degrees)"
                cells.append(report_cell(label(self.own[0]), f"{PROBED}: {quantity}", summary))
                rows.append((PROBED, label(self.own[0]), quantity, plus_minus(summary, 1), str(len(layer))))
        text = (
            "At the end of training, mean ± SD over seeds. `square`: layers of one width with exact inverses. Signals are "
            "medians over test samples of the norms of what a layer learns from, before it is scaled up; reconstruction "
            "errors those of what it learns without a teacher, for multiplexing those of the feedback, which cancel. The "
            "thesis gives no numbers; what it predicts stands in the docs."
        )
        pictures = self._pictures(found) if found.settling and found.angles else ()
        return Report(cells, ("task", "method", "quantity", "value", "seeds"), rows, pictures, text, options.variant)

    def _pictures(self, found: ModelResults) -> tuple[Picture, ...]:
        titles = f"{self.title}: settling", f"{self.title}: learning"
        return (
            Picture(lambda: draw_settling(found, self.title), "settling", titles[0]),
            Picture(lambda: draw_learning(found, self.own[0], self.title), "learning", titles[1]),
        )

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
                    for rule, key in zip(REFERENCES, ANGLES, strict=True):
                        angles[rule] = np.array([[record[key] for record in run.history] for run in runs], float)
        settling = {}
        for method in self.own if PROBED in tasks else ():
            seeds = list(self._settling(method, options).found().values())
            if seeds:
                settling[method] = seeds
        return ModelResults(curves, angles, settling)

    def _measured(self, seeds: Sequence[dict[str, Any]]) -> dict[str, Summary]:
        """Signal and reconstruction error of each hidden layer, at the mixture of the recipe."""
        at = published_mixture(seeds[0])
        found = {}
        for name in ("signal", "reconstruction"):
            values = np.array([metrics[name][at] for metrics in seeds], float)
            for i, layer in enumerate(values.T, start=1):
                found[f"{name} of layer {i}"] = Summary(tuple(map(float, layer)))
        return found


def _shown(found: Summary) -> str:
    return f"{found.mean:.2g} ± {found.sd:.1g}" if len(found.values) > 1 else f"{found.mean:.2g}"


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
