"""Pyramidal neurons with segregated dendrites: networks in continuous time that mix what the basal dendrites receive from
below with what the apical ones receive from above (Meulemans 2019, sections 6.3 to 6.6)."""

import abc
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
from ..feedback.backward import Backward, ExactInverses, TrainedFeedback
from ..networks.network import Activity, Network, Trace
from ._base import Lesson, Rule


class Dendrites(Rule):
    """A rule whose activities are those at which the circuit of equation (6.1) comes to rest.

    The target updates are divided by `rho^(L+1-i)`, `rho = mu / (1 - mu)`, by which the signal has decayed at layer `i`:
    the learning rate of each layer makes up for its distance from the teacher (Meulemans 2019, equation 6.19). The
    teacher holds the output at a distance of `dh_L`, taken where the network rests without it.
    """

    mu: eqx.AbstractVar[Any]
    backward: eqx.AbstractVar[Backward]
    solver: eqx.AbstractVar[EquilibriumSolver]
    plasticity: eqx.AbstractVar[Plasticity]

    def __check_init__(self):
        if isinstance(self.mu, float) and not 0 < self.mu < 0.5:
            raise ConfigError(f"mu = {self.mu:g} is no mixture with weak feedback: choose it between 0 and 0.5.")

    def init(self, network, *, key):
        return self.backward.init(network, key=key)

    def settle(self, network, feedback, trace):
        if isinstance(self.backward, ExactInverses):
            return trace  # which obeys equation (6.5) without a teacher
        circuit = self.circuit(network, feedback, trace)
        return circuit.at_rest(trace, self.solver.find(circuit.free(trace)).displacements)

    def target_updates(self, network, feedback, trace, output_update):
        signals = self.signals(self.taught(network, feedback, trace, output_update))
        return (*scaled_up(signals, self.mu)[:-1], output_update)

    def feedback_gradients(self, network, feedback, trace, *, key):
        return self.backward.learned(feedback, trace.h[2:], trace.h[1:-1])

    def lesson(self, network, feedback, trace, output_update, *, key):
        return self.learned_from(network, self.taught(network, feedback, trace, output_update))[0]

    def follow(self, before, after, feedback, lesson):
        return self.backward.follow(before, after, feedback, lesson.trace)

    def complaints(self, network, feedback, trace, output_update):
        forward = network.trace(trace.points[0].x)
        circuit = self.circuit(network, feedback, forward)
        free = self.solver.find(circuit.free(forward))
        found = _complaint("free", free, self.solver)
        if not found:
            rest = circuit.at_rest(forward, free.d)
            found = _complaint("taught", self.solver.find(circuit.with_target(rest, SoftTarget(output_update))), self.solver)
        return found

    def circuit(self, network: Network, feedback: Any, trace: Trace) -> Circuit:
        """The network with its feedback, for the batch of a trace."""
        maps = self.backward.maps(network, feedback, trace)
        return Circuit(network, maps, Gains.mixing(self.mu), self.backward.returned)

    def taught(self, network: Network, feedback: Any, rest: Trace, output_update: Activity) -> "Taught":
        """The network at rest under the teacher."""
        motion = self.circuit(network, feedback, rest).with_target(rest, SoftTarget(output_update))
        return Taught(rest, motion, self.solver.find(motion).displacements)

    @abc.abstractmethod
    def signals(self, taught: "Taught") -> Displacements:
        """What each layer learns from, before it is scaled."""

    def learned_from(self, network: Network, taught: "Taught") -> tuple[Lesson, Displacements]:
        """What the layers learn under the teacher, and the activities `h_1 .. h_L` at which they do, with a row for each
        sample and time."""

        def read(d):
            at = taught._replace(d=d)
            return taught.rest.h[0], at.activities, self.signals(at)

        x, h, signals = self.plasticity.gather(taught.motion, taught.d, self.solver.tolerance, read)
        return Lesson(network.trace_at((x, *h[:-1])), scaled_up(signals, self.mu)), h


class Taught(NamedTuple):
    """A network under a teacher: the trace where it rests without, its motion from there, and the displacements to which
    that has come, at rest unless said otherwise."""

    rest: Trace
    motion: Motion
    d: Displacements

    @property
    def activities(self) -> Displacements:
        """`h_1 .. h_L`."""
        return jax.tree.map(jnp.add, self.motion.h, self.d)


def _complaint(name, equilibrium, solver):
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
    feedback in the mixture, `backward` what the feedback mappings are, `solver` how the network is brought to rest,
    `plasticity` when it learns: at that rest or on the way there. The mappings learn from the same activities; where they
    learn alone, as before the forward weights do, there is no teacher (the sleep phase of section 6.5).
    """

    mu: float = 0.1
    """Weight of the feedback in the mixture, between 0 and 0.5."""
    backward: Backward = TrainedFeedback()
    """The feedback mappings."""
    solver: EquilibriumSolver = Sweeps()
    """How rest is found."""
    plasticity: Plasticity = AtEquilibrium()
    """When the weights learn: at rest, or along with the activities."""

    name: ClassVar[str] = "single-phase"
    equation: ClassVar[str] = "dh_i = h*_i - f_i(h*_{i-1}), h*_i = (1 - mu) f_i(h*_{i-1}) + mu g_i(h*_{i+1})"
    source: ClassVar[str] = "Meulemans 2019, eq. 6.17"

    def learn(self, network, feedback, trace, output_update, *, key):
        taught = self.taught(network, feedback, trace, output_update)
        lesson, h = self.learned_from(network, taught)
        return lesson, self.backward.learned(feedback, h[1:], h[:-1])

    def signals(self, taught):
        return taught.motion.local_error(taught.d, taught.motion.feedforward_change(taught.d))


class TwoPhase(Dendrites):
    """Dynamical difference target propagation with segregated dendrites in two phases: each layer learns the difference
    between its activity under the teacher and without, `dh_i = h^l_i - h^f_i`, from the input it has under the teacher
    (Meulemans 2019, equations 6.27 to 6.37; the printed (6.35) has `h^f_{i-1}`).

    The reconstruction errors of the feedback, which both phases have, cancel. The mappings learn in the free phase, at
    its rest. `mu`, `backward`, `solver` and `plasticity` as in `SinglePhase`.
    """

    mu: float = 0.1
    """Weight of the feedback in the mixture, between 0 and 0.5."""
    backward: Backward = TrainedFeedback()
    """The feedback mappings."""
    solver: EquilibriumSolver = Sweeps()
    """How rest is found."""
    plasticity: Plasticity = AtEquilibrium()
    """When the weights learn: at rest, or along with the activities."""

    name: ClassVar[str] = "two-phase"
    equation: ClassVar[str] = "dh_i = h^l_i - h^f_i, h_i = (1 - mu) f_i(h_{i-1}) + mu g_i(h_{i+1})"
    source: ClassVar[str] = "Meulemans 2019, eq. 6.35"

    def signals(self, taught):
        return taught.d
