"""Target propagation, composed of parts: mappings, propagation, learner and metric."""

from typing import NamedTuple

import equinox as eqx

from .._checks import check_fields
from ..feedback.gauss_newton import Root
from ..feedback.learners import Learner, NoLearning
from ..feedback.mappings import Layerwise, Mappings
from ..feedback.metrics import Euclidean, OutputMetric
from ..feedback.noise import NoiseDraw
from ..feedback.reconstruction import FeedbackStep
from .contract import Minibatch, Rule
from .layerwise import expand_layerwise
from .propagation import Difference, Propagation


class About(NamedTuple):
    """The formula of the target updates of a named combination, and its source."""

    equation: str
    source: str


ABOUT: dict[str, About] = {}
"""The named combinations. Presets register themselves here."""


class TargetPropagation(Rule):
    """A rule composed of parts.

    Every combination can be trained and explained, and has a `name` for tables. A combination that
    makes no sense raises `ConfigError` with the reason. The named rules of the papers, such as
    `dtp` or `ddtp_linear`, are combinations too: see `targetprop.rules.presets`.

    **Arguments:**

    - `mappings`: the form of the feedback mappings.
    - `propagation`: how targets travel through them.
    - `learner`: what the mappings learn.
    - `metric`: how displacements of the output are measured.
    - `name`: the name in tables.
    """

    mappings: Mappings = Layerwise()
    propagation: Propagation = Difference()
    learner: Learner = NoLearning()
    metric: OutputMetric = Euclidean()
    name: str = eqx.field(static=True, default="target-propagation")  # pyright: ignore[reportIncompatibleVariableOverride]

    def __check_init__(self):
        check_fields(self)
        self.propagation.check(self.mappings)
        self.learner.check(self.mappings)

    @property
    def equation(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The formula of the target updates, composed from the parts for a new combination."""
        if self.name in ABOUT:
            return ABOUT[self.name].equation
        above = "L" if self.mappings.direct else "{i+1}"
        travels = self.propagation.equation.replace("_k", f"_{above}")
        return f"{travels}, {self.mappings.equation}"

    @property
    def family(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Where the targets come from."""
        if isinstance(self.learner, NoLearning):
            return "random feedback"
        return "targets from the output" if self.mappings.direct else "targets from layer to layer"

    @property
    def source(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The papers of a named combination."""
        return ABOUT[self.name].source if self.name in ABOUT else "a combination of parts"

    @property
    def learns_feedback(self):
        return self.learner.learns

    @property
    def has_post_update(self):
        return self.mappings.has_post_update

    @property
    def requires(self):
        return self.mappings.requires

    def init(self, network, *, key):
        return self.mappings.init(network, key=key)

    def target_updates(self, network, feedback, batch):
        start = self._root(batch).solve(batch.output_update)
        paths = self._paths(network, feedback, batch)
        return (*self.propagation.target_updates(paths, batch.trace, start), batch.output_update)

    def draw(self, trace, key):
        return self.learner.draw(trace, key)

    def feedback_step(self, network, feedback, batch):
        def step(noise: NoiseDraw | None) -> FeedbackStep | None:
            paths = self._paths(network, feedback, batch)
            return self.learner.step(network, paths, batch.trace, noise, self._root(batch))

        if batch.noise is not None or batch.key is None:
            learned = step(batch.noise)
        else:
            learned = self.learner.averaged(step, batch.trace, batch.key)
        return None if learned is None else learned._replace(gradients=self.mappings.gradients(feedback, learned.gradients))

    def post_update(self, before, after, feedback, credit):
        return self.mappings.post_update(before, after, feedback, credit.trace)

    def layerwise_maps(self, network, feedback, trace):
        return None if self.mappings.direct else self.mappings.maps(network, feedback, trace)

    def first_order(self, network, feedback, batch):
        maps = self.layerwise_maps(network, feedback, batch.trace)
        if maps is None or self.propagation.corrected:
            return super().first_order(network, feedback, batch)
        return expand_layerwise(maps, batch)

    def _paths(self, network, feedback, batch: Minibatch):
        paths = self.mappings.paths(network, feedback, batch.trace)
        return self.propagation.paths(paths, batch.trace)

    def _root(self, batch: Minibatch) -> Root:
        return self.metric.root(batch.curvature, batch.output)
