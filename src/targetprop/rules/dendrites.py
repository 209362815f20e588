"""Pyramidal neurons with segregated dendrites: networks in continuous time that mix what the basal dendrites receive from
below with what the apical ones receive from above (Meulemans 2019, sections 6.3 to 6.6)."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..dynamics._base import Displacements
from ..dynamics.circuit import Circuit, Gains, Motion, scaled_up
from ..dynamics.equilibria import EquilibriumSolver, Sweeps
from ..dynamics.plasticity import AtEquilibrium, Plasticity
from ..dynamics.targets import SoftTarget
from ..errors import ConfigError
from ..feedback.learners import ActivityReconstruction, Learner, NoLearning
from ..feedback.mappings import ExactInverses, Layerwise, Mappings
from ..feedback.reconstruction import FeedbackStep
from ..networks.layers import Activity
from ..networks.network import Network, Trace
from .contract import Credit, Minibatch, Rule


class Dendrites(Rule):
    """A rule whose activities are those at which the circuit of equation (6.1) comes to rest.

    The target updates are divided by `rho^(L+1-i)`, `rho = mu / (1 - mu)`, by which the signal has decayed at layer `i`:
    the learning rate of each layer makes up for its distance from the teacher (Meulemans 2019, equation 6.19). The
    teacher holds the output at a distance of `dh_L`, taken where the network rests without it.
    """

    mu: eqx.AbstractVar[Any]
    mappings: eqx.AbstractVar[Mappings]
    learner: eqx.AbstractVar[Learner]
    solver: eqx.AbstractVar[EquilibriumSolver]
    plasticity: eqx.AbstractVar[Plasticity]

    def __check_init__(self):
        if isinstance(self.mu, float) and not 0 < self.mu < 0.5:
            raise ConfigError(f"mu = {self.mu:g} is no mixture with weak feedback: choose it between 0 and 0.5.")
        if self.mappings.direct:
            raise ConfigError(f"Dendrites receive what comes from the next layer, not {type(self.mappings).__name__}.")
        if not isinstance(self.learner, ActivityReconstruction | NoLearning):
            raise ConfigError(
                f"Dendrites learn at rest, and {type(self.learner).__name__} needs noise: use ActivityReconstruction or "
                "NoLearning."
            )
        self.learner.check(self.mappings)

    @property
    def learns_feedback(self):
        return self.learner.learns

    @property
    def iterative(self):
        return True

    @property
    def requires(self):
        return self.mappings.requires

    def init(self, network, *, key):
        return self.mappings.init(network, key=key)

    def equilibrium(self, network, feedback, trace):
        if isinstance(self.mappings, ExactInverses):
            return trace  # which obeys equation (6.5) without a teacher
        circuit = self.circuit(network, feedback, trace)
        return circuit.at_rest(trace, self.solver.find(circuit.free(trace)).displacements)

    def target_updates(self, network, feedback, batch):
        signals = self.signals(self.with_target(network, feedback, batch))
        return (*scaled_up(signals, self.mu)[:-1], batch.output_update)

    def feedback_step(self, network, feedback, batch):
        return self.reconstruction(feedback, batch.h[2:], batch.h[1:-1])

    def reconstruction(self, feedback: Any, sources: Sequence[Activity], goals: Sequence[Activity]) -> FeedbackStep | None:
        """What the mappings learn where `g_i` reads `sources[i - 1]`, an activity of layer `i + 1`, and is to give
        `goals[i - 1]`, one of layer `i`, both at rest; `None` for those that do not learn."""
        learner = self.learner
        return learner.reconstruct(feedback, sources, goals) if isinstance(learner, ActivityReconstruction) else None

    def post_update(self, before, after, feedback, credit):
        return self.mappings.post_update(before, after, feedback, credit.trace)

    def layerwise_maps(self, network, feedback, trace):
        return self.mappings.maps(network, feedback, trace)

    def advice(self, network, feedback, batch):
        forward = network.trace(batch.h[0])
        circuit = self.circuit(network, feedback, forward)
        free = self.solver.find(circuit.free(forward))
        found = _advice("free", free, self.solver)
        if not found:
            rest = circuit.at_rest(forward, free.d)
            found = _advice(
                "taught", self.solver.find(circuit.with_target(rest, SoftTarget(batch.output_update))), self.solver
            )
        return found

    def circuit(self, network: Network, feedback: Any, trace: Trace) -> Circuit:
        """The network with its feedback, for the batch of a trace."""
        maps = self.mappings.maps(network, feedback, trace)
        return Circuit(network, maps, Gains.mixing(self.mu), self.mappings.inverting)

    def with_target(self, network: Network, feedback: Any, batch: Minibatch) -> "WithTarget":
        """The network at rest under the teacher."""
        rest = batch.trace
        motion = self.circuit(network, feedback, rest).with_target(rest, SoftTarget(batch.output_update))
        return WithTarget(rest, motion, self.solver.find(motion).displacements)

    @abc.abstractmethod
    def signals(self, taught: "WithTarget") -> Displacements:
        """What each layer learns from, before it is scaled."""

    def local_updates(self, network: Network, taught: "WithTarget") -> tuple[Trace, Displacements, Displacements]:
        """The activities at which the layers learn under the teacher, as a trace and as `h_1 .. h_L`, and the target updates
        there, with a row for each sample and time."""

        def read(d):
            at = taught._replace(d=d)
            return taught.rest.h[0], at.activities, self.signals(at)

        x, h, signals = self.plasticity.gather(taught.motion, taught.d, self.solver.tolerance, read)
        return network.trace_at((x, *h[:-1])), h, scaled_up(signals, self.mu)


class WithTarget(NamedTuple):
    """A network under a teacher: the trace where it rests without, its motion from there, and the displacements to which
    that has come, at rest unless said otherwise."""

    rest: Trace
    motion: Motion
    d: Displacements

    @property
    def activities(self) -> Displacements:
        """`h_1 .. h_L`."""
        return jax.tree.map(jnp.add, self.motion.h, self.d)


def _advice(name, equilibrium, solver):
    lost = ~np.asarray(equilibrium.reached)
    if not lost.any():
        return []
    residuals = np.max(np.asarray(equilibrium.residual)[:, lost], axis=1)
    layer = int(np.argmax(np.nan_to_num(residuals, nan=np.inf))) + 1
    return [
        f"the {name} network has no rest within {solver.steps} steps in {lost.sum()} of {len(lost)} samples: layer {layer} "
        f"still moves by {residuals[layer - 1]:.2g} of its size in the time tau, where {solver.tolerance:.2g} is asked for; "
        f"{solver.advice()}"
    ]


class SinglePhase(Dendrites):
    """Dynamical target propagation with segregated dendrites in a single phase: under the teacher each layer learns to
    predict its own activity, `dh_i = h*_i - f_i(h*_{i-1})` (Meulemans 2019, equations 6.1 to 6.26).

    With exact inverses this is incremental target propagation with `gamma = rho`; with learned ones the reconstruction
    errors come `rho^-(L-i)` times as strongly as the signal (equation 6.22). `mu`, in (0, 0.5), is the weight of the
    feedback in the mixture, `mappings` are the feedback mappings, `learner` is what they learn, `solver` how the network is brought to rest,
    `plasticity` when it learns: at that rest or on the way there. The mappings learn from the same activities; where they
    learn alone, as before the forward weights do, there is no teacher (the sleep phase of section 6.5).
    """

    mu: float = 0.1
    """Weight of the feedback in the mixture, between 0 and 0.5."""
    mappings: Mappings = Layerwise()
    """The feedback mappings."""
    learner: Learner = ActivityReconstruction()
    """What the mappings learn; none for exact inverses."""
    solver: EquilibriumSolver = Sweeps()
    """How rest is found."""
    plasticity: Plasticity = AtEquilibrium()
    """When the weights learn: at rest, or along with the activities."""

    name: ClassVar[str] = "single-phase"
    equation: ClassVar[str] = "dh_i = h*_i - f_i(h*_{i-1}), h*_i = (1 - mu) f_i(h*_{i-1}) + mu g_i(h*_{i+1})"
    source: ClassVar[str] = "Meulemans 2019, eq. 6.17"

    def credit(self, network, feedback, batch):
        trace, h, updates = self.local_updates(network, self.with_target(network, feedback, batch))
        return Credit(batch, trace, updates, self.reconstruction(feedback, h[1:], h[:-1]))

    def signals(self, taught):
        return taught.motion.local_error(taught.d, taught.motion.feedforward_change(taught.d))


class TwoPhase(Dendrites):
    """Dynamical difference target propagation with segregated dendrites in two phases: each layer learns the difference
    between its activity under the teacher and without, `dh_i = h^l_i - h^f_i`, from the input it has under the teacher
    (Meulemans 2019, equations 6.27 to 6.37; the printed (6.35) has `h^f_{i-1}`).

    The reconstruction errors of the feedback, which both phases have, cancel. The mappings learn in the free phase, at
    its rest. `mu`, `mappings`, `learner`, `solver` and `plasticity` as in `SinglePhase`.
    """

    mu: float = 0.1
    """Weight of the feedback in the mixture, between 0 and 0.5."""
    mappings: Mappings = Layerwise()
    """The feedback mappings."""
    learner: Learner = ActivityReconstruction()
    """What the mappings learn; none for exact inverses."""
    solver: EquilibriumSolver = Sweeps()
    """How rest is found."""
    plasticity: Plasticity = AtEquilibrium()
    """When the weights learn: at rest, or along with the activities."""

    name: ClassVar[str] = "two-phase"
    equation: ClassVar[str] = "dh_i = h^l_i - h^f_i, h_i = (1 - mu) f_i(h_{i-1}) + mu g_i(h_{i+1})"
    source: ClassVar[str] = "Meulemans 2019, eq. 6.35"

    def credit(self, network, feedback, batch):
        trace, _, updates = self.local_updates(network, self.with_target(network, feedback, batch))
        return Credit(batch, trace, updates, self.feedback_step(network, feedback, batch))

    def signals(self, taught):
        return taught.d
