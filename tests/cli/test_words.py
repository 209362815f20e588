"""Words that stand for objects: collected from the classes, a user's own included."""

import dataclasses
from typing import ClassVar

import equinox as eqx
import pytest

import targetprop as tp
from targetprop.cli import read, words
from targetprop.dynamics.equilibria import EquilibriumSolver
from targetprop.dynamics.gradient_flow import LocalCost, Start
from targetprop.dynamics.integrators import Integrator
from targetprop.dynamics.plasticity import Plasticity
from targetprop.feedback.gauss_newton import Solver
from targetprop.feedback.inverses import Inverse
from targetprop.feedback.learners import InverseLearner, Learner
from targetprop.feedback.mappings import Mappings
from targetprop.feedback.metrics import OutputMetric
from targetprop.feedback.noise import Noise
from targetprop.feedback.regularizers import Decay, Regularizer
from targetprop.networks.activations import Activation
from targetprop.rules import Propagation
from targetprop.training.masks import UpdateMask

EXPECTED = {
    Activation: "identity tanh sigmoid softplus relu leaky-relu",
    Regularizer: "weight-decay weight-decay-per-unit output-noise",
    Decay: "weight-decay weight-decay-per-unit",
    Start: "activity zero",
    Integrator: "euler steady-state",
    LocalCost: "quadratic huber",
    InverseLearner: "inverse-loss ben-israel-cohen",
    Learner: "none reconstruction difference-reconstruction uncorrected-reconstruction activity-reconstruction",
    Mappings: "layerwise direct random-hidden recurrent-random-hidden learned-inverses exact-inverses",
    Noise: "gaussian rademacher",
    OutputMetric: "euclidean loss-curvature",
    Propagation: "plain difference burst-channel",
    UpdateMask: "one-random-layer",
    Solver: "tikhonov pseudo-inverse",
    Inverse: "automatic lu explicit woodbury robust-sherman-morrison conjugate-gradients",
    EquilibriumSolver: "sweeps newton integration",
    Plasticity: "at-equilibrium continuous",
    tp.Penalty: "orthogonality",
    tp.Loss: "squared-error cross-entropy",
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_every_object_has_a_word_that_stands_for_it(kind):
    found = words.words_of(kind)
    for word in EXPECTED[kind].split():
        one = found[word]
        assert issubclass(one, kind)
        default = words.read(found, word)
        assert default == one()
        assert words.read(found, words.write(found, default)) == default


@pytest.mark.parametrize("kind", [int, str, tuple[int, ...], float | None, tp.Optimizer, tp.Rule, type, None])
def test_other_fields_have_no_words(kind):
    assert words.words_of(kind) == {}


def test_none_has_the_word_that_its_field_declares():
    found = words.words_of(tp.Loss | None, "auto")
    assert next(iter(found)) == "auto"
    assert words.read(found, "auto") is None
    assert words.write(found, None) == "auto"
    assert words.read(found, "squared-error") == tp.SquaredError()
    assert "auto" not in words.words_of(tp.Loss)


def train_options(*args):
    return read(["train", "bp", *args]).options


def test_optional_fields_of_a_recipe():
    options = train_options("--loss", "cross-entropy", "--penalty", "orthogonality:0.5")
    assert options.recipe.loss == tp.SoftmaxCrossEntropy()
    assert options.recipe.penalty == tp.OrthogonalityPenalty(0.5)
    options = train_options("--loss", "auto", "--penalty", "none")
    assert (options.recipe.loss, options.recipe.penalty) == (None, None)


@pytest.fixture
def swish():
    """A user's own activation."""

    class Swish(tp.Activation):
        word: ClassVar[str] = "swish"
        sharpness: float = 1.0

        def __call__(self, a):
            return a

        def slope(self, a):
            return a

        def inverse(self, h):
            return h

        def difference(self, a, d):
            return d

        def inverse_difference(self, h, d):
            return d

    return Swish


def test_a_users_own_class_is_found(swish):
    assert words.words_of(tp.Activation)["swish"] is swish
    assert "swish[:sharpness]" in words.usage(words.words_of(tp.Activation))
    assert train_options("--activation", "swish:2").recipe.architecture.activation == swish(2.0)


def test_a_subclass_without_a_word_of_its_own_is_not_on_the_command_line():
    class Base(eqx.Module):
        pass

    class One(Base):
        word: ClassVar[str] = "one"
        number: int = 3

    class Special(One):
        pass

    class Deeper(Special):
        word: ClassVar[str] = "deeper"

    assert words.words_of(Base) == {"one": One, "deeper": Deeper}
    assert words.read(words.words_of(Base), "one:4") == One(4)


@dataclasses.dataclass(frozen=True)
class Inner:
    """Of a class with the annotations as strings."""

    word: ClassVar[str] = "inner"
    activation: "Activation" = tp.Tanh()
    scale: "float" = 1.0


def test_annotations_may_be_strings():
    found = words.words_of(Inner)
    assert words.usage(found) == "{inner[:activation[:scale]]}"
    assert words.read(found, "inner:leaky-relu:0.2:3") == Inner(tp.LeakyReLU(0.2), 3.0)
    assert words.read(found, words.write(found, Inner(tp.ReLU(), 2.0))) == Inner(tp.ReLU(), 2.0)


@pytest.mark.parametrize("text", ["", "wavy", "tanh:1", "leaky-relu:much", "leaky-relu:0.1:2"])
def test_text_that_does_not_fit_is_refused(text):
    with pytest.raises(ValueError, match=r"is not one of|one field too many|could not convert"):
        words.read(words.words_of(tp.Activation), text)
