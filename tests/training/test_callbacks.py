"""Callbacks: when they are called, what they may do, and experiment trackers."""

import json
import time

import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.training import trackers
from targetprop.training.callbacks import scalars


class Diary(tp.Callback):
    """Writes down every call."""

    def __init__(self):
        self.calls, self.steps_done = [], 0

    def start(self, run):
        self.calls.append(("start", run.rule, run.dataset, run.steps, run.resumed.steps))

    def activity(self, run, text):
        self.calls.append(text)

    def steps(self, run, number):
        self.steps_done += number

    def probe(self, run, values):
        self.calls.append(("probe", {name: np.shape(value) for name, value in values.items()}))

    def records(self, run, records):
        self.calls.append(("records", [(record["seed"], record["epoch"], record.get("pass")) for record in records]))

    def end_of_pass(self, run, at):
        self.calls.append(("end of pass", at.epoch, at.index))

    def epoch(self, run, epoch):
        self.calls.append(("epoch", epoch, [len(seed.history) for seed in run.seeds]))

    def divergence(self, run, seed):
        self.calls.append(("divergence", seed.seed, seed.status))

    def end(self, run, result):
        self.calls.append(("end", [seed.status for seed in result.seeds]))

    def close(self):
        self.calls.append("close")


def test_the_hooks_come_in_order(dtp, toy):
    diary = Diary()
    probe = tp.Probe(every=6, diagnostics=(tp.diagnostics.AngleToBackprop(),))
    tp.train(dtp, toy, seeds=[3, 4], probe=probe, callbacks=[diary], progress=False)
    sampled = ("probe", {"diagnostics/angle_bp": (2, 2)})
    assert diary.calls == [
        ("start", "dtp", "toy", 24, 0),
        "compiling",
        "pretraining, feedback pass 1",
        ("records", [(3, 0, 1), (4, 0, 1)]),
        ("end of pass", 0, 1),
        ("epoch", 0, [0, 0]),
        "epoch 1 of 2",
        sampled,
        ("records", [(3, 1, None), (4, 1, None)]),
        ("end of pass", 1, 0),
        "epoch 1, feedback pass 1",
        ("end of pass", 1, 1),
        ("epoch", 1, [1, 1]),
        "epoch 2 of 2",
        sampled,
        ("records", [(3, 2, None), (4, 2, None)]),
        ("end of pass", 2, 0),
        ("epoch", 2, [2, 2]),
        ("end", ["finished", "finished"]),
        "close",
    ]
    assert diary.steps_done == 24


def test_callbacks_change_no_number(bp, toy):
    plain, watched = (tp.train(bp, toy, callbacks=callbacks, progress=False) for callbacks in ((), (Diary(),)))
    assert [seed.history for seed in plain.seeds] == [seed.history for seed in watched.seeds]


def test_a_divergence_is_told(bp, toy):
    diary = Diary()
    recipes = [bp.replace(optimizer=tp.SGD(rate)) for rate in (0.1, 1e38)]
    tp.train(recipes, toy, seeds=[0, 1], callbacks=[diary], progress=False)
    (told,) = [call for call in diary.calls if call[0] == "divergence"]
    assert told[1] == 1
    assert "not finite in epoch 1" in told[2]


class EarlyStopping(tp.Callback):
    """Stops a seed after a given epoch."""

    def __init__(self, last):
        self.last = last

    def epoch(self, run, epoch):
        for index, seed in enumerate(run.seeds):
            if epoch == self.last.get(seed.seed):
                run.stop(index)


def test_a_seed_can_be_stopped_and_the_others_go_on(bp, toy, tmp_path):
    result = tp.train(bp, toy, seeds=2, out=tmp_path, callbacks=[EarlyStopping({1: 2})], progress=False)
    assert [seed.status for seed in result.seeds] == ["finished", "stopped"]
    assert [len(seed.history) for seed in result.seeds] == [3, 2]
    assert result.finished
    shorter = tp.train(bp.replace(schedule=tp.Schedule(2)), toy, seeds=2, progress=False)
    assert result.seeds[1].history == shorter.seeds[1].history
    assert jnp.array_equal(result.last[1].network.layers[0].weight, shorter.last[1].network.layers[0].weight)
    again = tp.train(bp, toy, seeds=2, out=tmp_path, resume=True, progress=False)
    assert [seed.status for seed in again.seeds] == ["finished", "stopped"]


def test_all_seeds_can_be_stopped(bp, toy):
    class Stop(tp.Callback):
        def epoch(self, run, epoch):
            run.stop()

    result = tp.train(bp, toy, seeds=2, callbacks=[Stop()], progress=False)
    assert [seed.status for seed in result.seeds] == ["stopped"] * 2


def test_an_error_in_a_callback_ends_the_run_and_all_are_closed(bp, toy, tmp_path):
    class Broken(tp.Callback):
        def epoch(self, run, epoch):
            if epoch == 2:
                raise RuntimeError("a bug")

    diary = Diary()
    with pytest.raises(RuntimeError, match="a bug"):
        tp.train(bp, toy, out=tmp_path, callbacks=[Broken(), diary], progress=False)
    assert diary.calls[-1] == "close"
    resumed, unbroken = tp.train(bp, toy, out=tmp_path, resume=True, progress=False), tp.train(bp, toy, progress=False)
    assert [seed.history for seed in resumed.seeds] == [seed.history for seed in unbroken.seeds]
    assert [json.loads(line)["epoch"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [1, 2, 3]


def test_a_callback_sees_the_network_that_is_trained(bp, toy):
    seen = []

    class Look(tp.Callback):
        def epoch(self, run, epoch):
            seen.append(run.network(0).layers[0].weight)

    result = tp.train(bp, toy, callbacks=[Look()], progress=False)
    assert np.array_equal(seen[-1], result.last[0].network.layers[0].weight)
    assert not np.array_equal(seen[0], seen[-1])


def test_lists_become_numbered_scalars():
    record = {"seed": 0, "epoch": 3, "warnings": ["x"], "loss": 0.5, "angle": [1.0, None], "validation_error": None}
    assert scalars(record) == {"loss": 0.5, "angle/1": 1.0}


# --- experiment trackers --------------------------------------------------------------------------------------------


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Trackers that write below a folder, and nowhere else."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "WANDB_DIR": str(tmp_path),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "TRACKIO_DIR": str(tmp_path / "trackio"),
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def expected(result):
    return [[(record["epoch"], record["test_error"]) for record in seed.history] for seed in result.seeds]


def test_mlflow_has_a_run_for_each_seed_and_continues_it(bp, toy, offline, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (offline / "mlruns").as_uri())
    short = bp.replace(schedule=tp.Schedule(2))
    for recipe, resume in ((short, False), (bp, True)):
        logger = trackers.MLflowLogger("toys")
        result = tp.train(recipe, toy, seeds=2, out=offline / "run", resume=resume, callbacks=[logger], progress=False)
    client = mlflow.MlflowClient()
    runs = client.search_runs([client.get_experiment_by_name("toys").experiment_id], order_by=["tags.mlflow.runName"])
    assert [run.info.run_name for run in runs] == ["run-seed0", "run-seed1"]
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    assert runs[0].data.params["recipe.batch_size"] == "8"
    found = [client.get_metric_history(run.info.run_id, "test_error") for run in runs]
    assert [[(entry.step, entry.value) for entry in sorted(one, key=lambda e: e.step)] for one in found] == expected(result)


def test_trackio_keeps_every_epoch_and_prints_nothing(bp, toy, offline, monkeypatch, capsys):
    pytest.importorskip("trackio")
    from trackio.sqlite_storage import SQLiteStorage

    monkeypatch.setattr("trackio.sqlite_storage.TRACKIO_DIR", offline / "trackio", raising=False)
    result = tp.train(bp, toy, seeds=2, callbacks=[trackers.TrackioLogger("toys")], progress=False)
    assert capsys.readouterr().out == ""
    names = sorted(SQLiteStorage.get_runs("toys"))
    assert names == ["bp-seed0", "bp-seed1"]
    found = [SQLiteStorage.get_logs("toys", name) for name in names]
    assert [[(entry["step"], entry["test_error"]) for entry in one] for one in found] == expected(result)


def test_wandb_writes_a_file_for_each_seed(bp, toy, offline):
    pytest.importorskip("wandb")
    tp.train(bp, toy, seeds=2, callbacks=[trackers.WandbLogger("toys")], progress=False)
    files = list(offline.glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == 2
    for path in files:  # another process writes them, and may be a moment behind
        for _ in range(300):
            if b"test_error" in path.read_bytes():
                break
            time.sleep(0.1)
        assert b"test_error" in path.read_bytes()


def test_a_missing_tracker_says_what_to_install(monkeypatch):
    monkeypatch.setattr(trackers.WandbLogger, "library", "a_library_that_is_not_there")
    with pytest.raises(tp.UserError, match="pip install"):
        trackers.WandbLogger()
