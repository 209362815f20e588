"""What took long to make is replaced only if this was asked for."""

import json

import pytest

import targetprop as tp
from targetprop.cli import main
from targetprop.experiments import Range, search, tuning
from targetprop.training.locking import locked

SMALL = tp.recipe("bp").replace(architecture=tp.MLP((3,)), schedule=tp.Schedule(1))
RATE = "optimizer.learning_rate"


@pytest.fixture
def untrained(monkeypatch):
    """Nothing is trained: the error of a setting is its learning rate."""
    monkeypatch.setattr(
        tuning._Objective,
        "errors",
        lambda self, proposals, watch: [[proposal[RATE]] * len(self.seeds) for proposal in proposals],
    )


def find(folder, high=1.0, **options):
    found = search(SMALL, trials=3, seeds=(7,), space={RATE: Range(1e-3, high)}, out=folder, progress=False, **options)
    found.save(folder)
    return found


def test_a_search_of_other_settings_is_refused_or_replaced(untrained, tmp_path):
    first = find(tmp_path)
    before = (tmp_path / "bp.json").read_bytes()
    assert find(tmp_path) == first
    with pytest.raises(tp.ConfigError, match=r"another search.*\.high was 1\.0 and is now 0\.5.*`overwrite`"):
        find(tmp_path, high=0.5)
    (tmp_path / "bp.journal").unlink()  # its trials are elsewhere
    with pytest.raises(tp.ConfigError, match=r"bp\.json is of another search: space.*high was 1\.0 and is now 0\.5"):
        find(tmp_path, high=0.5)
    assert (tmp_path / "bp.json").read_bytes() == before
    assert find(tmp_path) == first
    other = find(tmp_path, high=0.5, overwrite=True)
    assert json.loads((tmp_path / "bp.json").read_text())["space"][RATE]["high"] == 0.5
    assert find(tmp_path, high=0.5) == other


def test_a_file_of_something_else_stays(untrained, tmp_path):
    (tmp_path / "bp.json").write_text("{}")
    with pytest.raises(tp.ConfigError, match=r"bp\.json is not the file of a search"):
        find(tmp_path)
    assert (tmp_path / "bp.json").read_text() == "{}"


def test_measurements_are_replaced_only_if_asked_for(tmp_path, capfd):
    path = tmp_path / "steps.json"
    command = f"bench --rules bp --sizes 4 3 2 --batch 2 --rounds 2 --steps 1 --out {path}".split()
    path.write_text("old")
    assert main(command) == 2
    assert "replace it with --overwrite" in capfd.readouterr().err
    assert path.read_text() == "old"
    assert main([*command, "--overwrite"]) == 0
    assert json.loads(path.read_text())["network"] == [4, 3, 2]


def test_a_comparison_of_other_rules_is_not_replaced_and_its_folder_is_held(tmp_path):
    tp.compare({"one": SMALL}, seeds=1, out=tmp_path, progress=False)
    before = (tmp_path / "comparison.json").read_bytes()
    with pytest.raises(tp.ConfigError, match="There is a comparison in"):
        tp.compare({"two": SMALL}, seeds=1, out=tmp_path, progress=False)
    with locked(tmp_path), pytest.raises(tp.ConfigError, match="Another process is writing the results in"):
        tp.compare({"two": SMALL}, seeds=1, out=tmp_path, overwrite=True, progress=False)
    assert (tmp_path / "comparison.json").read_bytes() == before
