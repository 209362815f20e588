"""Target propagation, composed of parts: mappings, propagation, learner, metric and top."""

from typing import NamedTuple

import equinox as eqx

from .._checks import check_fields
from ..feedback.gauss_newton import Root
from ..feedback.learners import Learner, NoLearning
from ..feedback.mappings import Layerwise, Mappings
from ..feedback.metrics import Euclidean, OutputMetric
from ..feedback.noise import NoiseDraw
from ..feedback.reconstruction import FeedbackStep
from .contract import Rule, check_hidden_layers
from .layerwise import expand_layerwise
from .propagation import Difference, Propagation
from .tops import OutputLayer, Top, View


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
    - `top`: where the targets of the mappings set out from.
    - `name`: the name in tables.
    """

    mappings: Mappings = Layerwise()
    propagation: Propagation = Difference()
    learner: Learner = NoLearning()
    metric: OutputMetric = Euclidean()
    top: Top = OutputLayer()
    name: str = eqx.field(static=True, default="target-propagation")  # pyright: ignore[reportIncompatibleVariableOverride]

    def __check_init__(self):
        check_fields(self)
        self.propagation.check(self.mappings)
        self.learner.check(self.mappings)
        self.top.check(self.mappings, self.metric)

    @property
    def equation(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The formula of the target updates, composed from the parts for a new combination."""
        if self.name in ABOUT:
            return ABOUT[self.name].equation
        above = "L" if self.mappings.direct else "{i+1}"
        travels = self.propagation.equation.replace("_k", f"_{above}")
        return ", ".join(filter(None, (self.top.equation, travels, self.mappings.equation)))

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
        check_hidden_layers(self, network)
        return self.top.init(self.mappings, network, key=key)

    def target_updates(self, network, feedback, batch):
        view = self.top.view(network, feedback, batch)
        start = self._root(view).solve(view.batch.output_update)
        updates = self.propagation.target_updates(self._paths(view), view.batch.trace, start)
        hidden = (*updates, view.batch.output_update)[: network.depth - 1]
        return (*hidden, batch.output_update)

    def draw(self, trace, key):
        return self.learner.draw(self.top.trace(trace), key)

    def feedback_step(self, network, feedback, batch):
        view = self.top.view(network, feedback, batch)

        def step(noise: NoiseDraw | None) -> FeedbackStep | None:
            return self.learner.step(view.network, self._paths(view), view.batch.trace, noise, self._root(view))

        if batch.noise is not None or batch.key is None:
            learned = step(batch.noise)
        else:
            learned = self.learner.averaged(step, view.batch.trace, batch.key)
        if learned is None:
            return None
        gradients = self.mappings.gradients(view.feedback, learned.gradients)
        return learned._replace(gradients=self.top.gradients(feedback, gradients))

    def post_update(self, before, after, feedback, credit):
        return self.mappings.post_update(before, after, feedback, credit.trace)

    def layerwise_maps(self, network, feedback, trace):
        return None if self.mappings.direct or self.top.changes else self.mappings.maps(network, feedback, trace)

    def first_order(self, network, feedback, batch):
        maps = self.layerwise_maps(network, feedback, batch.trace)
        if maps is None or self.propagation.corrected:
            return super().first_order(network, feedback, batch)
        return expand_layerwise(maps, batch)

    def _paths(self, view: View):
        paths = self.mappings.paths(view.network, view.feedback, view.batch.trace)
        return self.propagation.paths(paths, view.batch.trace)

    def _root(self, view: View) -> Root:
        return self.metric.root(view.batch.curvature, view.batch.output)
