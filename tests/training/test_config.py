"""`config.json`: what it says, and which changes a resumed run may make."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.training import provenance
from targetprop.training.configuration import Provenance, write_config
from targetprop.training.folder import stored_run
from targetprop.training.provenance import describe


def write(folder, recipe, data, seeds=(0, 1), resume=True):
    recipes = recipe if isinstance(recipe, list) else [recipe] * len(seeds)
    now = Provenance.here(recipes, list(seeds), data)
    write_config(folder, stored_run(folder, now)[0] if resume else now)


@pytest.fixture
def folder(tmp_path, dtp, toy):
    write(tmp_path, dtp, toy, resume=False)
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"rule": tp.dtp(sigma=0.2)}, "recipe.rule.learner.noise.sigma was 0.1 and is now 0.2"),
        ({"rule": tp.tp()}, "recipe.rule.propagation.type was 'Difference' and is now 'Plain'"),
        ({"stepsize": 0.25}, "recipe.stepsize was 1.0 and is now 0.25"),
        ({"optimizer": tp.Adam(0.5)}, "recipe.optimizer.learning_rate was 0.001 and is now 0.5"),
        ({"batch_size": 4}, "recipe.batch_size was 8 and is now 4"),
        ({"architecture": tp.MLP((6, 4))}, "recipe.architecture.hidden[1] was 5 and is now 4"),
        ({"architecture": tp.MLP((6,))}, "recipe.architecture.hidden was [6, 5] and is now [6]"),
        ({"loss": tp.SquaredError()}, "recipe.loss was None and is now {'type': 'SquaredError'}"),
        ({"dtype": "float64"}, "recipe.dtype was 'float32' and is now 'float64'"),
        ({"schedule": tp.Schedule(1, 1, 1)}, "recipe.schedule.epochs was 2 and is now 1"),
        ({"schedule": tp.Schedule(2, 2, 1)}, "recipe.schedule.pretraining was 1 and is now 2"),
    ],
)
def test_other_settings_are_refused_by_name(folder, dtp, toy, changes, difference):
    before = (folder / "config.json").read_text()
    with pytest.raises(ValueError, match=r"Cannot resume in .*Use the same settings, or another `out`") as caught:
        write(folder, dtp.replace(**changes), toy)
    assert f"{folder}: {difference}." in str(caught.value)
    assert (folder / "config.json").read_text() == before


@pytest.mark.parametrize(
    ("seeds", "difference"), [((0, 1, 2), "seeds was [0, 1] and is now [0, 1, 2]"), ((0, 2), "seeds[1] was 1 and is now 2")]
)
def test_other_seeds_are_refused(folder, dtp, toy, seeds, difference):
    with pytest.raises(ValueError, match="Cannot resume") as caught:
        write(folder, dtp, toy, seeds)
    assert difference in str(caught.value)


@pytest.mark.parametrize("part", ["train_x", "test_x", "train_y", "test_y"])
def test_other_data_are_refused(folder, dtp, toy, part):
    changed = getattr(toy, part).copy()
    changed[7] = changed[7] + 1e-3 if changed.dtype == np.float32 else (changed[7] + 1) % 3
    with pytest.raises(ValueError, match=r"data\.crc32 was"):
        write(folder, dtp, dataclasses.replace(toy, **{part: changed}))


def test_other_numbers_of_one_member_are_refused(tmp_path, dtp, toy):
    write(tmp_path, [dtp, dtp.replace(stepsize=0.5)], toy, resume=False)
    with pytest.raises(ValueError, match=r"recipe\[1\]\.stepsize was 0\.5 and is now 0\.25"):
        write(tmp_path, [dtp, dtp.replace(stepsize=0.25)], toy)


def test_the_same_settings_and_more_epochs_are_accepted(folder, dtp, toy):
    write(folder, dtp, toy)
    write(folder, dtp.replace(schedule=tp.Schedule(7, 1, 1)), toy)
    assert json.loads((folder / "config.json").read_text())["recipe"]["schedule"]["epochs"] == 7


def test_without_resume_anything_is_accepted(folder, bp, toy):
    write(folder, bp, toy, seeds=(5,), resume=False)
    config = json.loads((folder / "config.json").read_text())
    assert (config["recipe"]["rule"]["type"], config["seeds"]) == ("Backprop", [5])


def test_a_description_names_types_and_fields():
    regularizer = {"type": "WeightDecay", "strength": 0.5}
    assert describe(tp.dtpdrl(sigma=0.25, regularizer=tp.WeightDecay(0.5))) == {
        "type": "TargetPropagation",
        "mappings": {"type": "Layerwise", "activation": {"type": "Tanh"}},
        "propagation": {"type": "Difference"},
        "learner": {
            "type": "DifferenceReconstruction",
            "noise": {"type": "Gaussian", "sigma": 0.25, "samples": 1},
            "regularizer": regularizer,
        },
        "metric": {"type": "Euclidean"},
        "top": {"type": "OutputLayer"},
        "name": "dtpdrl",
    }
    assert describe(tp.MLP((3, 4), tp.LeakyReLU(0.125)))["activation"] == {"type": "LeakyReLU", "negative_slope": 0.125}


def test_a_run_of_an_older_version_lacks_the_fields_that_came_later(bp, toy, tmp_path):
    """It can be resumed, but not with another value of such a field."""
    write(tmp_path, bp, toy, resume=False)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    for field in ("schedule", "warmup", "clip"):
        del config["recipe"]["optimizer"][field]
    path.write_text(json.dumps(config))
    with pytest.raises(tp.ConfigError, match=r"recipe.optimizer.warmup was None and is now 0.1"):
        write(tmp_path, bp.replace(optimizer=tp.Adam(warmup=0.1)), toy)
    write(tmp_path, bp, toy)
    assert "schedule" in json.loads(path.read_text())["recipe"]["optimizer"]


def test_a_function_is_described_by_its_name_in_every_process():
    """Not by its address, so that a run can be resumed in a new process."""
    functions = (np.zeros, jnp.zeros, jnp.tanh, functools.partial(jnp.full, fill_value=2.0))
    assert [describe(function) for function in functions] == [
        "numpy.zeros",
        "jax.numpy.zeros",
        "jax.numpy.tanh",
        {"type": "partial", "function": "jax.numpy.full", "args": [], "fill_value": 2.0},
    ]
    assert describe(jax.nn.relu).endswith(".relu")


def origins(folder) -> list[dict]:
    config = json.loads((folder / "config.json").read_text())
    return [{name: config[name] for name in ("commit", "versions", "machine", "jax")}, *config.get("resumed", [])]


def test_the_origin_of_the_first_part_is_kept_and_a_change_is_told(folder, dtp, toy, monkeypatch, caplog):
    (first,) = origins(folder)
    write(folder, dtp, toy)
    assert origins(folder) == [first]
    assert caplog.messages == []
    monkeypatch.setattr(provenance, "instructions", lambda: "none")
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX")
    for _ in range(2):  # the second part is on the same machine as the one before
        write(folder, dtp, toy)
    second = first | {
        "machine": first["machine"] | {"instructions": "none"},
        "jax": first["jax"] | {"XLA_FLAGS": "--xla_cpu_max_isa=AVX"},
    }
    assert origins(folder) == [first, second]
    (message,) = caplog.messages
    assert f"instructions was {first['machine']['instructions']!r} and is now 'none'; XLA_FLAGS was" in message
    assert "may differ from those of an unbroken run" in message


@pytest.mark.parametrize(
    ("setting", "value"),
    [("jax_default_prng_impl", "rbg"), ("jax_threefry_partitionable", False), ("jax_random_seed_offset", 3)],
)
def test_other_random_numbers_are_refused(folder, dtp, toy, setting, value):
    before, old = (folder / "config.json").read_text(), getattr(jax.config, setting)
    assert old != value
    jax.config.update(setting, value)
    try:
        with pytest.raises(tp.ConfigError, match=rf"Cannot resume in .*{setting} was .* the random numbers would"):
            write(folder, dtp, toy)
    finally:
        jax.config.update(setting, old)
    assert (folder / "config.json").read_text() == before
