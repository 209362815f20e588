"""Measurements on minibatches during training: the probe and its diagnostics."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._array_checks import CheckedModule
from .._linear_algebra import decomposed
from ..errors import ConfigError, check_count
from ..feedback.gauss_newton import PseudoInverse, Solver, Tikhonov, gauss_newton_update, output_jacobians
from ..feedback.maps import layerwise_paths
from ..networks.network import Network
from ..rules import Backprop, Difference, Example, GradientTargets, Minibatch, Plain, Rule, Updates, assign, prepare
from ..rules.updates import local_gradients
from .angles import angle, backprop_gradients, flat, gauss_newton_target_gradients, layer_angles
from .damping import DAMPINGS, damping_angles
from .decomposition import decompose, sizes
from .hebbian import hebbian_parts, target_residuals
from .null_space import null_space_shares
from .output_change import output_change
from .spectra import feedback_jacobians


class Sample(NamedTuple):
    """What a rule computes on one minibatch, as in a training step.

    All layers have updates, even if they are not trained.

    **Arguments:**

    - `rule`, `network`, `feedback`: the rule and its parameters.
    - `x`: the inputs.
    - `error`: the output error `e_L`.
    - `batch`: the minibatch, with the equilibrium of the network.
    - `updates`: the target updates at this equilibrium.
    - `gradients`: the gradients of the parameters. If a rule learns from several rows per sample,
      they are the gradients of all rows.
    - `forward`: the minibatch with the forward pass. It differs from `batch` only for networks in
      continuous time.
    """

    rule: Rule
    network: Network
    feedback: Any
    x: Array
    error: Float[Array, "batch n_L"]
    batch: Minibatch
    updates: Updates
    gradients: Network
    forward: Minibatch

    @classmethod
    def take(cls, rule: Rule, network: Network, feedback: Any, example: Example) -> "Sample":
        """The sample of a rule on the minibatch of an example."""
        forward = prepare(Backprop(), network, None, example)
        credit = assign(rule, network, feedback, example)
        batch = credit.batch
        gradients = local_gradients(network, credit.trace, credit.updates)
        error = example.loss.error(batch.output, example.target)
        matching = credit.updates[-1].shape == batch.output_update.shape
        updates = credit.updates if matching else rule.target_updates(network, feedback, batch)
        return cls(rule, network, feedback, example.x, error, batch, updates, gradients, forward)


class Diagnostic(CheckedModule):
    """A measurement on a minibatch."""

    @abc.abstractmethod
    def __call__(self, sample: Sample) -> Mapping[str, Array]:
        """Named values: a number, or one number for each hidden layer."""


class AngleToBackprop(Diagnostic):
    """`angle_bp`: degrees between the parameter update of each hidden layer and backpropagation.

    Meulemans et al. 2020, Fig. 4a.
    """

    def __call__(self, sample: Sample) -> Mapping[str, Array]:
        reference = backprop_gradients(sample.network, sample.forward.trace, sample.forward.output_update)
        return {"angle_bp": layer_angles(sample.gradients, reference)}


class AngleToGaussNewtonTargets(Diagnostic):
    """Degrees between the parameter update of each hidden layer and that of Gauss-Newton targets.

    Meulemans et al. 2020, Fig. 4b. With a damped solver, Fig. S3 to S5. `name` is the name of the
    values.
    """

    solver: Solver = PseudoInverse()
    name: str = eqx.field(static=True, default="angle_gnt")

    def __call__(self, sample: Sample) -> Mapping[str, Array]:
        network = sample.network
        reference = gauss_newton_target_gradients(network, sample.forward.trace, sample.forward.output_update, self.solver)
        return {self.name: layer_angles(sample.gradients, reference)}


class AngleToTargetPropagation(Diagnostic):
    """`angle_tp` and `angle_dtp`: degrees between the update and the updates of TP and DTP.

    These are parameter updates, with one angle for each hidden layer. TP and DTP use the same
    feedback mappings, in the forward pass. Raises `ConfigError` for a rule without layer-wise
    mappings.
    """

    def __call__(self, sample: Sample) -> Mapping[str, Array]:
        trace, dh = sample.forward.trace, sample.forward.output_update
        maps = sample.rule.layerwise_maps(sample.network, sample.feedback, trace)
        if maps is None:
            raise ConfigError(f"{sample.rule.name} has no layer-wise mappings: use another diagnostic.")
        paths, angles = layerwise_paths(maps, trace), {}
        for name, propagation in (("angle_tp", Plain()), ("angle_dtp", Difference())):
            updates = (*propagation.target_updates(paths, trace, dh), dh)
            angles[name] = layer_angles(sample.gradients, local_gradients(sample.network, trace, updates))
        return angles


class AngleToGaussNewton(Diagnostic):
    """`angle_gn`: degrees between the parameter update of each hidden layer and Gauss-Newton.

    The Gauss-Newton step is that of the layer on the minibatch (Meulemans et al. 2020, equation
    117). See `gauss_newton_update` for its cost.
    """

    solver: Solver = Tikhonov(1.0)

    def __call__(self, sample: Sample) -> Mapping[str, Array]:
        step = gauss_newton_update(sample.network, sample.x, sample.error, self.solver)
        return {"angle_gn": 180 - layer_angles(sample.gradients, step)}


class DampingSearch(Diagnostic):
    """`angle_gnt/LAMBDA` for each damping, the input of `best_dampings`.

    Meulemans et al. 2020, Table S7.
    """

    dampings: tuple[float, ...] = eqx.field(static=True, default=DAMPINGS)

    def __call__(self, sample: Sample) -> Mapping[str, Array]:
        angles = damping_angles(sample.batch.trace, sample.gradients, sample.batch.output_update, self.dampings)
        return {f"angle_gnt/{damping:g}": row for damping, row in zip(self.dampings, angles, strict=True)}


class NullSpaceShare(Diagnostic):
    """`null_space_share`: the share of the update of each sample that cannot move the output.

    It is averaged over the minibatch (Meulemans et al. 2020, Fig. 2).
    """

    def __call__(self, sample: Sample) -> Mapping[str, Array]:
        shares = null_space_shares(sample.network, sample.batch.trace, sample.updates)
        return {"null_space_share": jnp.mean(shares, axis=1)}


class TargetDecomposition(Diagnostic):
    """The norms of the parts of the target updates, averaged over the minibatch.

    `learning_signal`, `reconstruction_error` and `taylor_error` (Meulemans 2019, equations 5.57 to
    5.59).
    """

    def __call__(self, sample: Sample) -> Mapping[str, Array]:
        parts = decompose(sample.rule, sample.network, sample.feedback, sample.batch)
        names = ("learning_signal", "reconstruction_error", "taylor_error")
        return {name: jnp.mean(sizes(part), axis=1) for name, part in zip(names, parts, strict=True)}


class UpdateParts(Diagnostic):
    """The norms of the parts of the parameter update of each hidden layer.

    `update_backprop`, `update_hebbian`, `update_carried` and `update_rest` (Farias and Maziero
    2018, equations 14 and 51). See `hebbian_parts`. Raises `ConfigError` for a rule other than
    `GradientTargets`, and for a flow that is integrated to infinite time.
    """

    def __call__(self, sample: Sample) -> Mapping[str, Array]:
        if not isinstance(sample.rule, GradientTargets):
            raise ConfigError(f"The update of {sample.rule.name} has no Hebbian part: use gradient-targets.")
        network, batch = sample.network, sample.batch
        parts = hebbian_parts(sample.rule, network, batch)
        hidden = range(network.depth - 1)
        found = {}
        for name, part in parts._asdict().items():
            gradients = local_gradients(network, batch.trace, (*part, jnp.zeros_like(batch.output_update)))
            norms = [jnp.linalg.norm(flat(gradients.layers[i])) for i in hidden]
            found[f"update_{name}"] = jnp.stack(norms)
        return found


class TargetResidual(Diagnostic):
    """`target_residual`: the share of the distance to its target that remains for each layer.

    The layer below is assumed to be at its own target. The share is averaged over the minibatch.
    Above 1, the target of the layer below moves the layer away from its own. For gradient targets,
    `tau` is then too large.
    """

    def __call__(self, sample: Sample) -> Mapping[str, Array]:
        residuals = target_residuals(sample.network, sample.batch.trace, sample.updates)
        return {"target_residual": jnp.mean(residuals, axis=1)}


class OutputDirection(Diagnostic):
    """`angle_output`: degrees between the change of the output and the negative output error.

    The change is that of a small step along the update. The angle is averaged over the minibatch
    (Meulemans et al. 2020, Fig. S2).
    """

    def __call__(self, sample: Sample) -> Mapping[str, Array]:
        change = output_change(sample.network, sample.x, sample.gradients)
        return {"angle_output": jnp.mean(angle(change, -sample.error))}


class SingularValues(Diagnostic):
    """`forward_singular_max`, `forward_singular_min`, and the same with `feedback`.

    These are the largest and the smallest singular value of the Jacobians of the forward and the
    feedback path between a layer and the output, averaged over the minibatch.
    """

    def __call__(self, sample: Sample) -> Mapping[str, Array]:
        paths = {
            "forward": output_jacobians(sample.batch.trace),
            "feedback": feedback_jacobians(sample.rule, sample.network, sample.feedback, sample.batch),
        }
        values = {}
        for path, jacobians in paths.items():
            spectra = [decomposed(jacobian)[1] for jacobian in jacobians]
            values[f"{path}_singular_max"] = jnp.stack([jnp.mean(s[:, 0]) for s in spectra])
            values[f"{path}_singular_min"] = jnp.stack([jnp.mean(s[:, -1]) for s in spectra])
        return values


NAMED: dict[str, Diagnostic] = {
    "angle-bp": AngleToBackprop(),
    "angle-gnt": AngleToGaussNewtonTargets(),
    "angle-gnt-damped": AngleToGaussNewtonTargets(Tikhonov(1.0), "angle_gnt_damped"),
    "angle-gn": AngleToGaussNewton(),
    "angle-tp": AngleToTargetPropagation(),
    "damping-search": DampingSearch(),
    "null-space-share": NullSpaceShare(),
    "target-decomposition": TargetDecomposition(),
    "target-residual": TargetResidual(),
    "update-parts": UpdateParts(),
    "output-direction": OutputDirection(),
    "singular-values": SingularValues(),
}
USUAL = (
    "angle-bp",
    "angle-gnt",
    "angle-gnt-damped",
    "null-space-share",
    "target-decomposition",
    "output-direction",
    "singular-values",
)
DIAGNOSTICS = tuple(NAMED[name] for name in USUAL)


def named_diagnostics(names: Sequence[str]) -> tuple[Diagnostic, ...]:
    """Diagnostics by name. Raises `ConfigError` for an unknown name."""
    for name in names:
        if name not in NAMED:
            raise ConfigError(f"There is no diagnostic {name!r}; there are {', '.join(NAMED)}.")
    return tuple(NAMED[name] for name in names)


class Probe(CheckedModule):
    """Diagnostics at every `every`-th step of a joint pass, from its first step on.

    They are computed on the minibatch of the step, before the network learns it. The values of an
    epoch are averaged. A probe does not change the training.
    """

    every: int = eqx.field(static=True, default=100)
    diagnostics: tuple[Diagnostic, ...] = DIAGNOSTICS

    def __check_init__(self):
        check_count(self, "every")

    def __call__(self, sample: Sample) -> dict[str, Array]:
        """The values of all diagnostics, named `diagnostics/NAME`."""
        found = {}
        for diagnostic in self.diagnostics:
            found |= {f"diagnostics/{name}": value for name, value in diagnostic(sample).items()}
        return found
