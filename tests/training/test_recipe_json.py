"""Recipes as plain data and back, and the settings that a run leaves behind."""

import dataclasses
import json
import subprocess
from pathlib import Path

import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import targetprop as tp
from targetprop.dynamics.equilibria import Integration, Newton
from targetprop.dynamics.plasticity import ContinuousPlasticity
from targetprop.experiments.sources import recipe_names
from targetprop.experiments.store import Store
from targetprop.feedback.regularizers import WeightDecayPerUnit
from targetprop.rules import RULES
from targetprop.training import provenance
from targetprop.training.loading import read_config

RESULTS = Path(__file__).parents[2] / "results"


def there_and_back(recipe: tp.Recipe) -> tp.Recipe:
    """A recipe that was written to a file and read."""
    return tp.Recipe.from_json(json.loads(json.dumps(recipe.to_json())))


@pytest.mark.parametrize("name", [*recipe_names(), *RULES])
def test_every_recipe_that_ships_comes_back(name):
    assert there_and_back(tp.recipe(name)) == tp.recipe(name)


BASE = tp.Recipe(tp.dtp())
VARIANTS = {
    "per layer": {"optimizer": tp.PerLayer((tp.Adam(0.1, b1=0.5), tp.SGD(0.2, nesterov=True), tp.RMSProp(0.3)))},
    "schedules": {
        "optimizer": tp.Adam(schedule=tp.CosineDecay(), warmup=0.1, clip=1.0, weight_decay=1e-4, steps=77),
        "feedback_optimizer": tp.SGD(schedule=tp.LinearDecay(0.2)),
    },
    "mask": {"update_mask": tp.OneRandomLayer()},
    "penalty": {"penalty": tp.OrthogonalityPenalty(0.25)},
    "loss": {"loss": tp.SquaredError()},
    "layers": {"trainable": (1, 3), "dtype": "float64", "validation": 0},
    "convolutions": {"architecture": tp.CNN((3, 5), (7,), tp.LeakyReLU(0.3), kernel=3)},
    "no width": {"architecture": tp.SquareMLP(2, tp.Identity(), bias=False, width=None)},
    "rule around a rule": {"rule": tp.InverseSlopes(tp.TargetPropExact(tp.RobustShermanMorrison(0.25, 0.5)))},
    "parts within parts": {
        "rule": tp.TargetPropagation(
            tp.ExactInverses(tp.Woodbury(0.2)), tp.Plain(), tp.NoLearning(), tp.LossCurvature(0.5), name="mine"
        )
    },
    "learner": {"rule": tp.dtpdrl(sigma=0.3, regularizer=WeightDecayPerUnit(1e-7), samples=3)},
    "dendrites": {"rule": tp.TwoPhase(solver=Newton(1e-3, 7), plasticity=ContinuousPlasticity(5.0, 3))},
    "a solver of Diffrax": {"rule": tp.SinglePhase(solver=Integration(1e-3))},
    "flow": {"rule": tp.GradientTargets(tp.AtZero(), tp.SteadyState(1e-2), tp.HuberCost(0.5))},
    "flow per layer": {"rule": tp.GradientTargets(integrator=tp.PerLayerIntegrator((tp.Euler(0.1, 2), tp.Euler())))},
    "solver per layer": {"rule": tp.GaussNewtonTargets(tp.PerLayerSolver((tp.Tikhonov(0.1), tp.PseudoInverse())))},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS.keys())
def test_other_parts_and_numbers_come_back(changes):
    recipe = BASE.replace(**changes)
    assert recipe != BASE
    assert there_and_back(recipe) == recipe
    assert tp.Recipe.from_json(recipe.to_json()).to_json() == recipe.to_json()


@given(
    st.floats(1e-300, 1e300),
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 2**31 - 1),
    st.lists(st.integers(1, 99), max_size=4),
)
def test_numbers_come_back_to_the_last_bit(large, fraction, count, widths):
    recipe = tp.Recipe(
        tp.dtp(sigma=large),
        architecture=tp.MLP(tuple(widths)),
        stepsize=large,
        optimizer=tp.Adam(large, fraction, fraction),
        schedule=tp.Schedule(count, count, count),
        batch_size=count,
    )
    assert there_and_back(recipe) == recipe


def test_a_number_that_is_an_array_comes_back_as_a_number():
    recipe = BASE.replace(stepsize=jax.numpy.float32(0.1))
    assert there_and_back(recipe).stepsize == float(recipe.stepsize)


@dataclasses.dataclass(frozen=True)
class OwnArchitecture(tp.Architecture):
    hidden: tuple[int, ...] = (3,)
    activation: tp.Activation = tp.Tanh()

    def build(self, input_shape, outputs, *, key, dtype):
        return tp.mlp((input_shape[0], *self.hidden, outputs), self.activation, key=key, dtype=dtype)


class OwnRule(tp.Rule):
    inner: tp.Rule
    scale: float = 0.5

    name = "own"
    equation = "own"
    source = "a test"

    def target_updates(self, network, feedback, batch):
        return self.inner.target_updates(network, feedback, batch)


def test_classes_of_ones_own_come_back_once_they_are_defined():
    recipe = BASE.replace(rule=OwnRule(tp.Backprop(), 0.25), architecture=OwnArchitecture((4, 5), tp.ReLU()))
    assert there_and_back(recipe) == recipe


def changed(**fields) -> dict:
    """The description of a recipe with some entries changed, by dotted name."""
    document = BASE.to_json()
    for name, value in fields.items():
        *path, last = name.split("__")
        inner = document
        for part in path:
            inner = inner[part]
        inner[last] = value
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (changed(rule={"type": "Nonsense"}), r"recipe\.rule is a Nonsense, and no class .* import or define"),
        (changed(rule__mappings={"type": "SGD"}), r"recipe\.rule\.mappings is a SGD, and no class that fits"),
        (changed(rule={"type": "Popen", "args": "ls"}), r"recipe\.rule is a Popen"),
        (changed(optimizer={"type": "Optimizer"}), r"recipe\.optimizer cannot be made"),
        (changed(optimizer__lr=1.0), r"recipe\.optimizer is a Adam, which has no field lr"),
        (changed(batch_size="many"), r"recipe\.batch_size is 'many'"),
        (changed(batch_size=8.5), r"recipe\.batch_size is 8\.5"),
        (changed(batch_size=-8), r"Recipe needs batch_size above 0, not -8"),
        (changed(dtype="float16"), r"recipe\.dtype is 'float16'"),
        (changed(architecture__hidden=[3, None]), r"recipe\.architecture\.hidden\[1\] is None"),
        (changed(rule=None), r"recipe\.rule is None"),
        (changed(type="MLP"), r"recipe is a MLP"),
        ({}, r"recipe is a None"),
        ([], r"recipe is \[\]"),
    ],
)
def test_what_is_no_recipe_is_refused_by_field(document, message):
    with pytest.raises(tp.ConfigError, match=message):
        tp.Recipe.from_json(document)


def test_fields_that_are_missing_keep_their_defaults():
    document = BASE.to_json()
    del document["update_mask"], document["optimizer"]["eps"]
    assert tp.Recipe.from_json(document) == BASE


CONFIGS = sorted(RESULTS.rglob("config.json"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.parent.relative_to(RESULTS)))
def test_every_committed_run_can_be_read_and_still_counts(path):
    config = read_config(path)
    assert config.data == config.recipe.dataset
    stored = json.loads(path.read_text())
    assert provenance.same_settings(stored["recipe"], json.loads(json.dumps(config.recipe.to_json())))
    source = path.relative_to(RESULTS).parts[0]
    assert set(config.seeds) <= set(Store(RESULTS).seeds(source, config.recipe))


def test_a_damaged_config_is_an_error_of_the_user(tmp_path):
    path = tmp_path / "config.json"
    for text in ("{", "[]", "{}", '{"recipe": 1, "seeds": [0], "data": []}'):
        path.write_text(text)
        with pytest.raises(tp.ConfigError, match=r"config\.json is damaged, or is no config\.json"):
            read_config(path)


def test_the_environment_names_commit_processor_and_flags():
    found = provenance.environment()
    assert found["machine"]["processor"]
    with jax.default_matmul_precision("float32"):
        assert provenance.environment()["jax"]["jax_default_matmul_precision"] == "float32"
    assert found["jax"]["jax_default_matmul_precision"] is None
    with jax.enable_x64(True):
        assert provenance.environment()["jax"]["jax_enable_x64"]
    random = {"jax_default_prng_impl", "jax_threefry_partitionable", "jax_random_seed_offset"}
    assert set(found["jax"]) == {"jax_enable_x64", "jax_default_matmul_precision", "jax_platforms", "XLA_FLAGS"} | random


def git(folder, *args) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", "-C", str(folder), *identity, *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_that_of_the_tree_of_the_package_alone(tmp_path, monkeypatch):
    package = tmp_path / "src" / "package"
    package.mkdir(parents=True)
    monkeypatch.setattr(provenance, "SOURCE", package)
    assert provenance.commit.__wrapped__() is None  # there is no repository
    git(tmp_path, "init")
    (tmp_path / "other").write_text("another project, with the package in its environment")
    git(tmp_path, "add", "other")
    git(tmp_path, "commit", "-m", "one")
    (package / "version.py").write_text("1")
    assert provenance.commit.__wrapped__() is None
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "two")
    assert provenance.commit.__wrapped__() == git(tmp_path, "rev-parse", "HEAD")
    (package / "version.py").write_text("2")
    assert provenance.commit.__wrapped__() == git(tmp_path, "rev-parse", "HEAD") + "-dirty"
    monkeypatch.setenv("PATH", "")
    assert provenance.commit.__wrapped__() is None
