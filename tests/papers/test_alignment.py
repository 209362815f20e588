"""The angle figures and Table S7 of Meulemans et al. 2020: which runs they need, and what they
read from them.
"""

import dataclasses
import json

import pytest

import targetprop as tp
from papers.pictures import check_pictures
from targetprop.cli import main
from targetprop.diagnostics import DAMPINGS
from targetprop.errors import ConfigError
from targetprop.experiments import training_part as training
from targetprop.papers.items import item
from targetprop.papers.meulemans2020 import recipes as meulemans2020

TABLE_S7 = {  # as printed
    "ddtp-linear": (1, 1, 1, 1, 0),
    "ddtp-rhl": (1, 1, 1, 1, 0.001),
    "ddtp-rhl-extra": (1, 1, 1, 1, 0.001),
    "ddtp-rhl-rec-extra": (0.1, 0.1, 0.1, 0.1, 0.0001),
    "dtpdrl": (1, 1, 1, 1, 0.01),
    "ddtp-control": (10, 1, 1, 10, 10),
    "dtp": (10, 10, 10, 10, 10),
    "dtp-pretrained": (1, 1, 1, 1, 1),
    "dfa": (10, 1, 1, 10, 1),
}


def test_published_dampings_are_those_of_table_s7(tmp_path):
    table = item("meulemans2020", "table-s7")
    cells = table.report(dataclasses.replace(table.defaults, results=tmp_path)).cells
    published = {(cell["row"], cell["column"]): cell["published"]["mean"] for cell in cells}
    labels = list(dict.fromkeys(cell["row"] for cell in cells))
    assert len(labels) == len(TABLE_S7)
    for label, dampings in zip(labels, TABLE_S7.values(), strict=True):
        assert tuple(published[label, f"fashion-mnist, layer {i}"] for i in range(1, 6)) == dampings
    assert all(cell["ours"] is None and cell["verdict"] == "not yet run" for cell in cells)


def test_there_is_a_damping_for_each_hidden_layer():
    names = [name for name in meulemans2020.RECIPES.configurations() if name.endswith("/alignment")]
    assert len(names) == 33
    for name in names:
        dampings, place = meulemans2020.RECIPES.angles(name).dampings, name.split("/")[0]
        assert (dampings is None) == ("/bp/" in name)
        assert dampings is None or len(dampings) == len(meulemans2020.TASKS[place].sizes)


def records(seed: int, layers: int, shift: float) -> list[dict]:
    """Metrics of three epochs whose angles tell epoch, damping and layer: `shift + 10 epoch +
    number of the damping + layer / 10`, and for backpropagation half of it.
    """
    found = []
    for epoch in (1, 2, 3):
        record = {"seed": seed, "epoch": epoch, "train_loss": 0.0}
        for k, damping in enumerate(DAMPINGS):
            angles = [shift + 10 * epoch + k + layer / 10 for layer in range(1, layers + 1)]
            record[f"diagnostics/angle_gnt/{damping:g}"] = angles
        record["diagnostics/angle_bp"] = [angle / 2 for angle in record["diagnostics/angle_gnt/0"]]
        found.append(record)
    return found


@pytest.fixture
def results(tmp_path, write_run):
    """Two seeds of DDTP-linear on Fashion-MNIST, three epochs."""
    seeds = [{"seed": seed, "status": "finished"} for seed in (0, 1)]
    folder = tmp_path / "meulemans2020/fashion-mnist/ddtp-linear/alignment/epochs-3/seeds-0-1"
    recipe = training.published_recipe("meulemans2020/fashion-mnist/ddtp-linear/alignment", 3)
    write_run(folder, recipe, seeds, [*records(0, 5, 0.0), *records(1, 5, 4.0)])
    return tmp_path


def cells_of(name: str, results, **options) -> dict[tuple[str, str], dict]:
    figure = item("meulemans2020", name)
    report = figure.report(dataclasses.replace(figure.defaults, results=results, epochs=3, **options))
    assert report.variant == "epochs-3"
    check_pictures(report, most=10)
    return {(cell["row"], cell["column"]): cell for cell in report.cells if cell["ours"]}


def test_fig_4_is_the_last_hidden_layer_without_damping(results):
    cells = cells_of("fig4", results)
    assert set(cells) == {("DDTP-linear", "layer 5 to BP"), ("DDTP-linear", "layer 5 to GNT")}
    to_targets, to_backprop = cells["DDTP-linear", "layer 5 to GNT"]["ours"], cells["DDTP-linear", "layer 5 to BP"]["ours"]
    assert to_targets == {"mean": pytest.approx(22.5), "sd": pytest.approx(4 / 2**0.5), "n": 2}  # seeds 20.5 and 24.5
    assert to_backprop["mean"] == pytest.approx(11.25)


def test_fig_s3_compares_with_the_damping_of_each_layer(results):
    cells = cells_of("fig-s3", results)
    for layer, damping in enumerate(TABLE_S7["ddtp-linear"], start=1):
        expected = 2 + 20 + DAMPINGS.index(damping) + layer / 10
        assert cells["DDTP-linear", f"layer {layer} to damped GNT"]["ours"]["mean"] == pytest.approx(expected)


def test_table_s7_takes_the_best_damping_of_the_last_epoch(results, write_run):
    """All angles grow with the damping's number in those metrics; here the last epoch's are turned
    round in layer 2.
    """
    path = next(results.rglob("metrics.jsonl"))
    changed = [json.loads(line) for line in path.read_text().splitlines()]
    for record in changed:
        if record["epoch"] == 3:
            for k, damping in enumerate(DAMPINGS):
                record[f"diagnostics/angle_gnt/{damping:g}"][1] = 50.0 - k
    path.write_text("".join(json.dumps(record) + "\n" for record in changed))
    cells = cells_of("table-s7", results)
    ours = [cells["DDTP-linear", f"fashion-mnist, layer {i}"] for i in range(1, 6)]
    assert [cell["ours"]["mean"] for cell in ours] == [0, 10, 0, 0, 0]
    assert [cell["verdict"] for cell in ours] == ["not reproduced"] * 4 + ["reproduced"]  # published 1, 1, 1, 1, 0
    assert ours[1]["ours"]["angle"] == 43
    assert ours[1]["ours"]["angle_at_published"] == 44


def test_unknown_methods_and_data_sets_are_refused():
    unknown = {"fig4": {"methods": ("gnt",)}, "fig-s4": {"dataset": ("cifar10",)}, "table-s7": {"methods": ("bp",)}}
    for name, options in unknown.items():
        figure = item("meulemans2020", name)
        with pytest.raises(ConfigError, match=f"{name} has no"):
            figure.report(dataclasses.replace(figure.defaults, **options))


def test_figure_and_table_share_their_runs(tmp_path, capfd, monkeypatch):
    """The whole path on digits with small layers: the table finds what the figure has run."""
    small = tp.recipe("dfa", "digits").replace(architecture=tp.MLP((6, 6, 6)), batch_size=128)
    other = small.replace(stepsize=0.5)  # what the other parts of both are said to run
    monkeypatch.setattr(training, "recipe", lambda name: small if "/cifar10/dfa/" in name else other)
    options = ["--methods", "dfa", "--epochs", "1", "--results", str(tmp_path), "--json"]
    assert main(["reproduce", "meulemans2020", "fig-s5", *options]) == 0
    figure = {cell["column"]: cell["ours"]["mean"] for cell in json.loads(capfd.readouterr().out)["cells"]}
    assert [folder.name for folder in (tmp_path / "meulemans2020" / "cifar10").iterdir()] == ["dfa"]
    assert all(0 < angle < 180 for angle in figure.values())
    monkeypatch.setattr(training, "train", None)
    assert main(["reproduce", "meulemans2020", "table-s7", "--dataset", "cifar10", *options]) == 0
    cells = json.loads(capfd.readouterr().out)["cells"]
    assert len(cells) == 3
    for layer, cell in enumerate(cells, start=1):
        assert cell["ours"]["angle_at_published"] == pytest.approx(figure[f"layer {layer} to damped GNT"])
        assert cell["ours"]["angle"] <= cell["ours"]["angle_at_published"]
