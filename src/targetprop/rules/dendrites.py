"""Pyramidal neurons with segregated dendrites, in continuous time.

Each neuron mixes its basal input, from the layer below, with its apical input, from the layer
above (Meulemans 2019, sections 6.3 to 6.6).
"""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._checks import check_fields
from ..dynamics._base import Displacements
from ..dynamics.circuit import Circuit, Gains, Motion, scaled_up
from ..dynamics.equilibria import EquilibriumSolver, Sweeps
from ..dynamics.plasticity import AtEquilibrium, Plasticity
from ..dynamics.targets import SoftTarget
from ..errors import ConfigError, check_range
from ..feedback.learners import ActivityReconstruction, Learner, NoLearning
from ..feedback.mappings import ExactInverses, Layerwise, Mappings
from ..feedback.reconstruction import FeedbackStep
from ..networks.layers import Activity
from ..networks.network import Network, Trace
from .contract import Credit, FirstOrder, Minibatch, Rule, check_hidden_layers
from .layerwise import expand_layerwise


class Dendrites(Rule):
    """A rule whose activities are the equilibrium of the circuit of equation (6.1).

    The target displaces the output by `dh_L`, computed at the equilibrium without a target. The
    signal decays by `rho = mu / (1 - mu)` per layer. So the target update of layer `i` is divided
    by `rho^(L+1-i)`: the learning rate of each layer compensates for its distance from the output
    (Meulemans 2019, equation 6.19).
    """

    mu: eqx.AbstractVar[Any]
    mappings: eqx.AbstractVar[Mappings]
    learner: eqx.AbstractVar[Learner]
    solver: eqx.AbstractVar[EquilibriumSolver]
    plasticity: eqx.AbstractVar[Plasticity]
    family: ClassVar[str] = "continuous time"

    def __check_init__(self):
        check_fields(self)
        check_range(self, "mu", lambda mu: (mu > 0) & (mu < 0.5), "between 0 and 0.5, because feedback must be weak")
        if self.mappings.direct:
            raise ConfigError(
                f"Dendrites need mappings that read the next layer, but {type(self.mappings).__name__} read the output: "
                "use Layerwise, LearnedInverses or ExactInverses."
            )
        if not isinstance(self.learner, ActivityReconstruction | NoLearning):
            raise ConfigError(
                f"Dendrites learn without noise, but {type(self.learner).__name__} needs noise: "
                "use ActivityReconstruction or NoLearning."
            )
        self.learner.check(self.mappings)

    @property
    def learns_feedback(self):
        return self.learner.learns

    @property
    def iterative(self):
        return True

    @property
    def has_post_update(self):
        return self.mappings.has_post_update

    @property
    def requires(self):
        return self.mappings.requires

    def init(self, network, *, key):
        check_hidden_layers(self, network)
        return self.mappings.init(network, key=key)

    def equilibrium(self, network, feedback, trace):
        if isinstance(self.mappings, ExactInverses):
            return trace  # without a target, the forward pass obeys equation (6.5)
        circuit = self.circuit(network, feedback, trace)
        return circuit.at_rest(trace, self.solver.find(circuit.free(trace)).displacements)

    def target_updates(self, network, feedback, batch):
        signals = self.signals(self.with_target(network, feedback, batch))
        return (*scaled_up(signals, self.mu)[:-1], batch.output_update)

    def feedback_step(self, network, feedback, batch):
        return self.reconstruction(self.layerwise_maps(network, feedback, batch.trace), batch.h[2:], batch.h[1:-1])

    def reconstruction(self, maps: Any, sources: Sequence[Activity], goals: Sequence[Activity]) -> FeedbackStep | None:
        """What the mappings learn at an equilibrium, or `None` if they do not learn.

        **Arguments:**

        - `maps`: the mappings.
        - `sources`: `sources[i - 1]`, an activity of layer `i + 1`, is the input of `g_i`.
        - `goals`: `goals[i - 1]`, an activity of layer `i`, is the output that `g_i` learns.
        """
        learner = self.learner
        return learner.reconstruct(maps, sources, goals) if isinstance(learner, ActivityReconstruction) else None

    def post_update(self, before, after, feedback, credit):
        return self.mappings.post_update(before, after, feedback, credit.trace)

    def layerwise_maps(self, network, feedback, trace):
        return self.mappings.maps(network, feedback, trace)

    def first_order(self, network, feedback, batch):
        signal, _ = expand_layerwise(self.layerwise_maps(network, feedback, batch.trace), batch)
        without = dataclasses.replace(batch, output_update=jnp.zeros_like(batch.output_update))
        return FirstOrder(signal, self.target_updates(network, feedback, without)[:-1])

    def advice(self, network, feedback, batch):
        forward = network.trace(batch.h[0])
        circuit = self.circuit(network, feedback, forward)
        free = self.solver.find(circuit.free(forward))
        found = _advice("free network", free, self.solver)
        if not found:
            rest = circuit.at_rest(forward, free.d)
            nudged = self.solver.find(circuit.with_target(rest, SoftTarget(batch.output_update)))
            found = _advice("network with a target", nudged, self.solver)
        return found

    def circuit(self, network: Network, feedback: Any, trace: Trace) -> Circuit:
        """The network with its feedback, for the batch of a trace."""
        maps = self.mappings.maps(network, feedback, trace)
        return Circuit(network, maps, Gains.mixing(self.mu), self.mappings.inverting)

    def with_target(self, network: Network, feedback: Any, batch: Minibatch) -> "WithTarget":
        """The network at its equilibrium with a target."""
        rest = batch.trace
        motion = self.circuit(network, feedback, rest).with_target(rest, SoftTarget(batch.output_update))
        return WithTarget(rest, motion, self.solver.find(motion).displacements)

    @abc.abstractmethod
    def signals(self, at: "WithTarget") -> Displacements:
        """The learning signal of each layer, before it is scaled."""

    def local_updates(self, network: Network, at: "WithTarget") -> tuple[Trace, Displacements, Displacements]:
        """The activities at which the layers learn, and their target updates.

        **Arguments:**

        - `network`: the network.
        - `at`: the network with a target.

        **Returns:** the activities as a trace and as `h_1 .. h_L`, and the target updates there,
        with one row for each sample and time.
        """

        def read(d):
            moved = at._replace(d=d)
            return at.rest.h[0], moved.activities, self.signals(moved)

        x, h, signals = self.plasticity.gather(at.motion, at.d, self.solver.tolerance, read)
        return network.trace_at((x, *h[:-1])), h, scaled_up(signals, self.mu)


class WithTarget(NamedTuple):
    """A network with a target.

    **Arguments:**

    - `rest`: the equilibrium without a target.
    - `motion`: the dynamics with the target, in displacements from `rest`.
    - `d`: the displacements, by default at the equilibrium with the target.
    """

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
        f"the {name} reaches no equilibrium within {solver.steps} steps in {lost.sum()} of {len(lost)} samples: "
        f"layer {layer} still moves by {residuals[layer - 1]:.2g} of its size in the time tau, "
        f"and the tolerance is {solver.tolerance:.2g}; {solver.advice()}"
    ]


class SinglePhase(Dendrites):
    """Dynamical target propagation with segregated dendrites, in a single phase.

    With a target, each layer learns to predict its own activity, `dh_i = h*_i - f_i(h*_{i-1})`
    (Meulemans 2019, equations 6.1 to 6.26). With exact inverses, this is incremental target
    propagation with `gamma = rho`. With learned inverses, the reconstruction errors are
    `rho^-(L-i)` times as large as the signal (equation 6.22).

    The mappings learn from the same activities as the weights. If the mappings learn alone, as in
    pretraining, there is no target (the sleep phase of section 6.5).

    **Arguments:**

    - `mu`: the weight of the feedback in the mixture, in (0, 0.5).
    - `mappings`: the feedback mappings.
    - `learner`: what the mappings learn.
    - `solver`: how the equilibrium is found.
    - `plasticity`: when the network learns, at the equilibrium or on the way to it.
    """

    mu: float = 0.1
    """Weight of the feedback in the mixture, between 0 and 0.5."""
    mappings: Mappings = Layerwise()
    """The feedback mappings."""
    learner: Learner = ActivityReconstruction()
    """What the mappings learn. Use none for exact inverses."""
    solver: EquilibriumSolver = Sweeps()
    """How the equilibrium is found."""
    plasticity: Plasticity = AtEquilibrium()
    """When the weights learn: at the equilibrium, or continuously on the way to it."""

    name: ClassVar[str] = "single-phase"
    equation: ClassVar[str] = "dh_i = h*_i - f_i(h*_{i-1}), h*_i = (1 - mu) f_i(h*_{i-1}) + mu g_i(h*_{i+1})"
    source: ClassVar[str] = "Meulemans 2019, eq. 6.17"

    def credit(self, network, feedback, batch):
        trace, h, updates = self.local_updates(network, self.with_target(network, feedback, batch))
        maps = self.layerwise_maps(network, feedback, batch.trace)
        return Credit(batch, trace, updates, self.reconstruction(maps, h[1:], h[:-1]))

    def signals(self, at):
        return at.motion.local_error(at.d, at.motion.feedforward_change(at.d))


class TwoPhase(Dendrites):
    """Dynamical difference target propagation with segregated dendrites, in two phases.

    Each layer learns the difference of its activities with and without a target,
    `dh_i = h^l_i - h^f_i`. The input of its update is the one with the target (Meulemans 2019,
    equations 6.27 to 6.37; the printed (6.35) has `h^f_{i-1}`). The reconstruction errors of the
    feedback are in both phases and cancel. The mappings learn in the free phase, at its
    equilibrium. The arguments are the same as in `SinglePhase`.
    """

    mu: float = 0.1
    """Weight of the feedback in the mixture, between 0 and 0.5."""
    mappings: Mappings = Layerwise()
    """The feedback mappings."""
    learner: Learner = ActivityReconstruction()
    """What the mappings learn. Use none for exact inverses."""
    solver: EquilibriumSolver = Sweeps()
    """How the equilibrium is found."""
    plasticity: Plasticity = AtEquilibrium()
    """When the weights learn: at the equilibrium, or continuously on the way to it."""

    name: ClassVar[str] = "two-phase"
    equation: ClassVar[str] = "dh_i = h^l_i - h^f_i, h_i = (1 - mu) f_i(h_{i-1}) + mu g_i(h_{i+1})"
    source: ClassVar[str] = "Meulemans 2019, eq. 6.35"

    def credit(self, network, feedback, batch):
        trace, _, updates = self.local_updates(network, self.with_target(network, feedback, batch))
        return Credit(batch, trace, updates, self.feedback_step(network, feedback, batch))

    def signals(self, at):
        return at.d
