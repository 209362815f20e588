"""The checks of a rule, and their report."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ConfigError
from ..networks.layers import parameters
from ..rules.contract import Example, Rule, assign
from .cases import LOSS, Case, Inputs, Training, ask, distance, image_network, numbers, same, samples

FLOAT32 = 1e-4
"""The largest allowed difference of float32 and float64, relative to the norm of an array."""


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """One check.

    **Arguments:**

    - `name`: its name.
    - `says`: what it checks.
    - `problem`: what is wrong, or `None`.
    """

    name: str
    says: str
    problem: str | None = None


@dataclasses.dataclass(frozen=True)
class RuleReport:
    """The results of all checks of a rule."""

    rule: str
    results: tuple[CheckResult, ...]

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(result for result in self.results if result.problem is not None)

    def __str__(self) -> str:
        lines = [f"{self.rule}: {len(self.results) - len(self.failed)} of {len(self.results)} checks hold"]
        for result in self.results:
            lines.append(f"  {'FAILED' if result.problem else 'ok    '} {result.name}: {result.says}")
            if result.problem:
                lines.append(f"         {result.problem}")
        return "\n".join(lines)


class RuleCheckError(AssertionError):
    """A rule does not fulfil the contract. The message is the report."""


def check_rule(rule: Rule) -> RuleReport:
    """Run the contract suite on a rule, like `check_estimator` of scikit-learn.

    The checks use small dense networks that meet `rule.requires`, and one network with layers that
    are not dense. They take some seconds, mostly for compilation.

    **Arguments:**

    - `rule`: the rule, an object.

    **Returns:** the report of all checks.

    **Raises:** `RuleCheckError` with the whole report if a check fails. `TypeError` if `rule` is
    not a rule.
    """
    if not isinstance(rule, Rule):
        raise TypeError(f"{rule!r} is not a rule: give an object of a subclass of targetprop.Rule.")
    checks = RuleChecks(rule)
    report = RuleReport(rule.name, tuple(checks.run(name) for name in RuleChecks.names()))
    if report.failed:
        raise RuleCheckError(str(report))
    return report


class RuleChecks:
    """The checks of one rule.

    Each check is a method `check_NAME`. It raises `AssertionError` if it fails.
    """

    def __init__(self, rule: Rule):
        self.rule = rule

    @staticmethod
    def names() -> tuple[str, ...]:
        """The names of all checks, in order."""
        return tuple(name.removeprefix("check_") for name in vars(RuleChecks) if name.startswith("check_"))

    def run(self, name: str) -> CheckResult:
        """Run one check. Any exception of the rule counts as a problem."""
        method = getattr(self, f"check_{name}")
        says = " ".join((method.__doc__ or "").split())
        try:
            method()
        except Exception as error:  # noqa: BLE001 (a rule may raise anything)
            return CheckResult(name, says, f"{type(error).__name__}: {' '.join(str(error).split())}"[:500])
        return CheckResult(name, says)

    @functools.cached_property
    def case(self) -> Case:
        """The rule on a small network."""
        return Case(self.rule)

    @functools.cached_property
    def training(self) -> Training:
        """The rule in training."""
        return Training(self.rule)

    def check_says_what_it_is(self):
        """The rule has a name, an equation, a source and a docstring."""
        for field in ("name", "equation", "source"):
            assert isinstance(getattr(self.rule, field), str), f"{field} is not a string"
            assert getattr(self.rule, field), f"{field} is empty"
        assert type(self.rule).__doc__, "the class has no docstring"

    def check_shapes(self):
        """Every target update has the shape and the type of its activity."""
        case = self.case
        for outcome, dtype in ((case.single, np.float32), (case.double, np.float64)):
            for h, updates in ((outcome.h, outcome.updates), outcome.credited):
                assert isinstance(updates, tuple), "the target updates are not a tuple"
                wanted, found = [a.shape for a in h[1:]], [dh.shape for dh in updates]
                assert found == wanted, f"shapes {found}, not {wanted}"
                types = {dh.dtype for dh in updates}
                assert types == {np.dtype(dtype)}, f"{types} in a network of {np.dtype(dtype)}"
            types = {leaf.dtype for leaf in jax.tree.leaves((outcome.gradients, outcome.step))}
            assert types == {np.dtype(dtype)}, f"gradients of {types} in a network of {np.dtype(dtype)}"

    def check_last_update(self):
        """The last target update is the output update itself."""
        np.testing.assert_array_equal(self.case.single.updates[-1], self.case.single.output_update)

    def check_every_layer_moves(self):
        """Every sample gives each layer a finite target update, and each parameter a gradient."""
        outcome = self.case.single
        for dh in (*outcome.updates, *outcome.credited[1]):
            assert np.all(np.any(np.asarray(dh) != 0, axis=1)), "a sample has no target update"
        for leaf in jax.tree.leaves(outcome.gradients):
            assert np.all(np.isfinite(leaf)), "a gradient is not finite"
            assert np.any(np.asarray(leaf) != 0), "a gradient is zero"

    def check_float32(self):
        """The results in float32 and in float64 agree up to rounding."""
        for part in ("updates", "credited", "gradients", "step"):
            off = distance(getattr(self.case.single, part), getattr(self.case.double, part))
            assert off <= FLOAT32, f"{part} in float32 are off by {off:.2g}, relative to float64"

    def check_feedback_gradients(self):
        """Feedback gradients exist if declared. They are finite and fit the parameters."""
        step = self.case.single.step
        assert (step is not None) == self.rule.learns_feedback, "learns_feedback and feedback_step do not agree"
        if step is None:
            return
        trained = parameters(self.case.inputs.feedback)
        assert jax.tree.structure(step.gradients) == jax.tree.structure(trained), "gradients of another structure"
        for gradient, leaf in zip(jax.tree.leaves(step.gradients), jax.tree.leaves(trained), strict=True):
            assert (gradient.shape, gradient.dtype) == (leaf.shape, leaf.dtype), "a gradient of another shape or type"
            assert np.all(np.isfinite(gradient)), "a gradient of the feedback is not finite"
        assert step.losses.ndim == 1, "losses must have the shape (mappings,)"
        assert np.all(np.isfinite(step.losses)), "a feedback loss is not finite"

    def check_post_update(self):
        """A rule that changes something after the step of the optimizer declares it."""
        inputs = self.case.inputs
        credit = assign(self.rule, inputs.network, inputs.feedback, Example(LOSS, inputs.x, inputs.y, 0.1, self.case.key))
        moved = jax.tree.map(lambda leaf: 0.9 * leaf if eqx.is_inexact_array(leaf) else leaf, inputs.network)
        after, feedback = self.rule.post_update(inputs.network, moved, inputs.feedback, credit)
        if not (same(after, moved) and same(feedback, inputs.feedback)):
            assert self.rule.has_post_update, "post_update changes something, but has_post_update is false"

    def check_keys(self):
        """The same key gives the same result, and another key gives other noise."""
        case, rule = self.case, self.rule
        again = rule.init(case.network, key=jax.random.key(2))
        assert same(again, case.inputs.feedback), "init does not depend on its arguments alone"
        assert same(ask(case.inputs, case.key), case.single), "the same key gives another result"
        if case.single.step is not None:
            noisy = rule.draw(case.network.trace(case.inputs.x), case.key) is not None
            changed = not same(ask(case.inputs, jax.random.key(3)).step, case.single.step)
            assert changed == noisy, "draw and feedback_step do not agree on whether there is noise"

    def check_other_layers(self):
        """Layers that are not dense work, or raise a ConfigError that says what is needed."""
        network, refused = image_network(), None
        try:
            feedback = self.rule.init(network, key=jax.random.key(0))
        except ConfigError as error:
            feedback, refused = None, str(error)
        if refused is not None:
            assert self.rule.requires, f"refused, though the rule requires nothing: {refused}"
            assert "layer" in refused.lower(), f"the error does not mention layers: {refused}"
            return
        x, y = numbers(4, 1, 5, 5), jnp.array([0, 2, 1, 1])
        outcome = ask(Inputs(self.rule, network, feedback, x, y), jax.random.key(0))
        assert [dh.shape[1:] for dh in outcome.updates] == [(2, 2, 2), (8,), (3,)], "updates of other shapes"
        assert jax.tree.structure(outcome.gradients) == jax.tree.structure(parameters(network)), "another structure"
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(outcome.step)), "feedback: not finite"
        for leaf in jax.tree.leaves(outcome.gradients):
            assert np.all(np.isfinite(leaf)), "a gradient is not finite"
            assert np.any(np.asarray(leaf) != 0), "a gradient is zero"

    def check_compiles_once(self):
        """Other numbers, learning rates and seeds change the result but compile nothing anew."""
        with jax.enable_x64(True):
            training = self.training
            reference, before = training.reference.network, training.traces
            others = [training.member(0, learning_rate=3e-3), training.member(0, scale=0.5), training.member(5)]
            states = [training.alone(one, samples()) for one in others]
            assert training.traces == before, "other numbers compile another program"
            assert not any(same(state.network, reference) for state in states), "other numbers change nothing"

    def check_ensembles(self):
        """Several seeds under vmap give the same results as each seed alone."""
        with jax.enable_x64(True):
            training = self.training
            members = [training.member(seed) for seed in (0, 1, 2)]
            stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0], *members)
            together = eqx.filter(training.batched(stacked, samples()), eqx.is_array)
            for index, one in enumerate(members):
                state = jax.tree.map(lambda leaf, index=index: leaf[index], together)
                off = distance(state, eqx.filter(training.alone(one, samples()), eqx.is_array))
                assert off <= 1e-9, f"seed {index} is off by {off:.2g} under vmap"

    def check_no_leak(self):
        """Test and validation samples never reach the state. Training labels do."""
        with jax.enable_x64(True):
            training, data = self.training, samples()
            one, reference = training.member(0), training.reference
            test = data._replace(test_x=jnp.zeros_like(data.test_x), test_y=data.test_y[::-1])
            validation = data._replace(x=data.x.at[16:].set(0.0), y=data.y.at[16:].set(0))
            assert same(training.alone(one, test), reference), "test samples reach the state"
            assert same(training.alone(one, validation), reference), "validation samples reach the state"
            other_labels = data._replace(y=data.y[::-1])
            assert not same(training.alone(one, other_labels), reference), "the training labels change nothing"
