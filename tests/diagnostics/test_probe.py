"""Diagnostics during training: sampled when they should be, written with the metrics, and without
effect.
"""

import json
import logging
import signal

import numpy as np
import pytest

import targetprop as tp
from targetprop.cli import main
from targetprop.data import load
from targetprop.diagnostics import AngleToBackprop, Probe
from targetprop.diagnostics.averages import Averages
from targetprop.diagnostics.warnings import training_warnings
from targetprop.training import loop
from targetprop.training.checkpoint import CHECKPOINT, read_checkpoint
from targetprop.training.ensemble import Ensemble

RECIPE = tp.recipe("dtp", "digits").replace(
    architecture=tp.MLP((6, 5)), batch_size=100, schedule=tp.Schedule(2, pretraining=1, between=1)
)


class Backwards(tp.Rule):
    """Hidden layers learn against the gradient, the first not at all."""

    name = "backwards"
    equation = "dh_i = -J^T dh_{i+1}"
    source = "a test"

    def target_updates(self, network, feedback, batch):
        first, second, last = tp.Backprop().target_updates(network, feedback, batch)
        return 0 * first, -second, last


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same run without and with a probe."""
    folders = [tmp_path_factory.mktemp(name) for name in ("without", "with")]
    for folder, probe in zip(folders, (None, Probe(4)), strict=True):
        tp.train(RECIPE, seeds=2, out=folder, probe=probe, progress=False)
    return folders


def records(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_probe_changes_nothing(runs):
    without, probed = (records(folder) for folder in runs)
    bare = [{k: v for k, v in record.items() if k != "warnings" and "/" not in k} for record in probed]
    assert bare == without
    for one, other in zip(*(read_checkpoint(folder / CHECKPOINT).arrays for folder in runs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_joint_epochs_have_a_value_for_each_hidden_layer(runs):
    for record in records(runs[1]):
        found = {name: value for name, value in record.items() if name.startswith("diagnostics/")}
        if "train_loss" not in record:
            assert found == {}
            continue
        assert isinstance(found.pop("diagnostics/angle_output"), float)
        assert {"diagnostics/angle_bp", "diagnostics/null_space_share", "diagnostics/movement"} <= set(found)
        assert {len(value) for value in found.values()} == {2}


def test_the_mean_over_an_epoch(monkeypatch):
    """Every fourth of the 11 steps of a pass, before it is learned."""
    seen = []
    diagnose = Ensemble.diagnose

    def watched(self, probe, at, step):
        seen.append((at.epoch, at.joint, step, diagnose(self, probe, at, step)))
        return seen[-1][-1]

    monkeypatch.setattr(Ensemble, "diagnose", watched)
    result = tp.train(RECIPE, seeds=2, probe=Probe(4, (AngleToBackprop(),)), progress=False)
    assert [entry[:3] for entry in seen] == [(epoch, True, step) for epoch in (1, 2) for step in (0, 4, 8)]
    for member, seed in enumerate(result.seeds):
        for record in seed.history:
            values = [found["diagnostics/angle_bp"][member] for epoch, *_, found in seen if epoch == record["epoch"]]
            np.testing.assert_allclose(record["diagnostics/angle_bp"], np.mean(values, axis=0), rtol=1e-6)


def test_a_probe_sees_the_minibatch_of_its_step():
    """With one step in between, the second value is that of the network after that step on the
    next minibatch.
    """
    data = load("digits")
    together, alone = (Ensemble([RECIPE], [3], data) for _ in range(2))
    at = next(at for at in RECIPE.schedule.passes(True) if at.joint)
    probe = Probe(1, (AngleToBackprop(),))
    together.advance(at, 0, 2)
    for step in (0, 1):
        alone.diagnose(probe, at, step)
        alone.advance(at, step, step + 1)
    np.testing.assert_array_equal(
        together.diagnose(probe, at, 2)["diagnostics/angle_bp"], alone.diagnose(probe, at, 2)["diagnostics/angle_bp"]
    )
    assert together.diagnose(probe, at, 3)["diagnostics/angle_bp"][0, 0] != pytest.approx(
        together.diagnose(probe, at, 2)["diagnostics/angle_bp"][0, 0], abs=1e-3
    )


def test_a_resumed_run_has_the_same_diagnostics(monkeypatch, tmp_path, runs):
    """Interrupted in the middle of a joint pass and resumed."""
    monkeypatch.setattr(loop, "SECONDS_PER_RUN", 0.0)
    measure = loop.Loop._measure
    turns = iter(range(100))

    def interrupted(self, probe, at, step):
        if next(turns) == 7:
            signal.raise_signal(signal.SIGINT)
        return measure(self, probe, at, step)

    monkeypatch.setattr(loop.Loop, "_measure", interrupted)
    first = tp.train(RECIPE, seeds=2, out=tmp_path, probe=Probe(4), progress=False)
    assert first.interrupted
    tp.train(RECIPE, seeds=2, out=tmp_path, probe=Probe(4), resume=True, progress=False)
    assert records(tmp_path) == records(runs[1])


def test_sums_survive_being_written():
    averages = Averages()
    averages.add({"a": np.array([[0.1, 0.2], [1 / 3, np.nan]], np.float32), "b": np.array([1.0, 2.0])})
    again = Averages(**json.loads(json.dumps(averages.to_json())))
    for one in (averages, again):
        one.add({"a": np.array([[0.3, 0.2], [1 / 3, 1.0]], np.float32), "b": np.array([2.0, 4.0])})
    assert again.of(0) == averages.of(0)
    assert averages.of(0)["a"] == pytest.approx([0.2, 0.2])
    assert averages.of(1)["b"] == 3.0
    assert np.isnan(averages.of(1)["a"][1])


def test_layers_that_stand_still_or_learn_backwards_are_named(caplog):
    recipe = tp.recipe(Backwards()).replace(architecture=tp.MLP((6, 5)), schedule=tp.Schedule(1), optimizer=tp.SGD(0.1))
    with caplog.at_level(logging.WARNING, "targetprop"):
        result = tp.train(recipe, probe=Probe(10), progress=False)
    record = result.seeds[0].history[0]
    assert record["warnings"] == [
        "hidden layer 1 has stopped moving",
        "hidden layer 2 learns at more than 90 degrees to the gradient",
    ]
    assert [entry.getMessage() for entry in caplog.records] == [f"seed 0, epoch 1: {text}" for text in record["warnings"]]
    assert record["diagnostics/movement"][0] == 0
    assert record["diagnostics/angle_bp"][1] == pytest.approx(180, abs=0.1)
    assert np.isnan(record["diagnostics/angle_bp"][0])


def test_layers_that_are_not_trained_may_stand_still():
    record = {"diagnostics/movement": [0.0, 1e-3], "diagnostics/angle_bp": [50.0, 89.9]}
    assert training_warnings(record, (2, 3)) == []
    assert training_warnings(record) == ["hidden layer 1 has stopped moving"]
    assert training_warnings({}) == []


def test_the_command_writes_diagnostics(tmp_path, capfd):
    small = ["--hidden", "6", "--epochs", "1", "--out", str(tmp_path), "--json"]
    assert main(["train", "bp", "--diagnose-every", "30", *small]) == 0
    json.loads(capfd.readouterr().out)
    record = records(tmp_path)[0]
    assert record["diagnostics/angle_bp"] == pytest.approx([0.0], abs=0.1)
    assert record["diagnostics/null_space_share"] == pytest.approx([0.0], abs=1e-3)
    assert (
        main(["train", "bp", "--diagnose-every", "30", "--diagnose", "angle-gn", "damping-search", "--overwrite", *small])
        == 0
    )
    assert {"diagnostics/angle_gn", "diagnostics/angle_gnt/0.1"} <= records(tmp_path)[0].keys()
    assert main(["train", "bp", "--diagnose-every", "30", "--diagnose", "angle", *small]) == 2
    assert "there are angle-bp" in capfd.readouterr().err
    assert main(["train", "bp", "--diagnose-every", "0", *small]) == 2
    assert "Probe needs every above 0, not 0" in capfd.readouterr().err
