"""Data sets of openml.org, by a fake of scikit-learn's `fetch_openml`. Nothing is downloaded."""

import urllib.error
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.datasets

import targetprop as tp
from targetprop.cli import main
from targetprop.data import fetch, load, verify

X = np.arange(60.0).reshape(20, 3)


class FakeOpenML:
    """`fetch_openml`: keeps what it was asked, and answers with a set of 20 samples."""

    def __init__(self):
        self.asked, self.target, self.error = [], np.array(["yes", "no"] * 10, object), None

    def __call__(self, name=None, **options):
        self.asked.append({"name": name, **options})
        if self.error:
            raise self.error
        return SimpleNamespace(data=X, target=self.target)


@pytest.fixture
def openml(monkeypatch) -> FakeOpenML:
    fake = FakeOpenML()
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fake)
    return fake


def test_a_set_is_read_through_the_cache(openml, own_cache):
    data = load("openml:credit-g")
    assert (data.name, data.labels, data.shape) == ("openml:credit-g", ("no", "yes"), (3,))
    assert (len(data.train_x), len(data.test_x)) == (16, 4)
    (asked,) = openml.asked
    assert asked == {"name": "credit-g", "data_home": own_cache / "openml", "as_frame": False, "parser": "liac-arff"}


@pytest.mark.parametrize(
    ("name", "options", "which"),
    [
        ("openml:iris", {"version": 2}, {"name": "iris", "version": 2}),
        ("openml:61", {}, {"name": None, "data_id": 61}),
    ],
)
def test_a_set_has_a_version_or_a_number(openml, name, options, which):
    load(name, **options)
    assert openml.asked[0].items() >= which.items()


def test_scalings_go_with_it(openml):
    assert load("openml:iris:unit").train_x.max() == 1
    standard = load("openml:iris:standard")
    assert standard.name == "openml:iris:standard"
    np.testing.assert_allclose(standard.train_x.std(axis=0), 1, rtol=1e-5)


def test_numbers_are_targets_and_categories_are_labels(openml):
    openml.target = np.arange(20) % 5.0
    assert load("openml:wine").classes is None
    openml.target = np.arange(20) % 5
    assert load("openml:wine").classes == 5


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("no route to host"),
        sklearn.datasets._openml.OpenMLError("Dataset nothing not found."),
        TimeoutError("timed out"),
    ],
    ids=["no connection", "no such set", "too slow"],
)
def test_a_failing_download_says_what_failed(openml, error, capsys):
    openml.error = error
    with pytest.raises(tp.UserError, match=r"openml:nothing: scikit-learn could not get it .*check the name and the connec"):
        load("openml:nothing")
    assert main(["train", "bp", "--dataset", "openml:nothing"]) != 0
    message = capsys.readouterr().err
    assert str(error) in message
    assert "Traceback" not in message


def test_sets_without_a_target_and_unknown_options_are_refused(openml):
    openml.target = None
    with pytest.raises(tp.UserError, match="openml:blobs has no target"):
        load("openml:blobs")
    with pytest.raises(tp.ConfigError, match="has no option split; it has version"):
        load("openml:blobs", split=1)
    openml.target = np.array(["a", "b"] * 10, object)
    openml.target[3] = None
    with pytest.raises(tp.DataError, match="openml:blobs: y: 1 labels are missing"):
        load("openml:blobs")


def test_a_set_is_fetched_and_trained_on_from_the_command_line(openml, tmp_path, capsys):
    assert fetch("openml:iris", folder=tmp_path) == tmp_path / "openml"
    assert verify("openml:iris") == []
    assert openml.asked[0]["data_home"] == tmp_path / "openml"
    flags = ["--dataset", "openml:iris:standard", "--epochs", "1", "--batch-size", "4", "--hidden", "5"]
    assert main(["train", "bp", *flags]) == 0
    assert "openml:iris:standard" in capsys.readouterr().out


def test_a_download_that_does_not_end_is_given_up(mirror, own_cache, monkeypatch):
    """By scikit-learn itself, from a server on this machine."""
    monkeypatch.setattr(sklearn.datasets._openml, "_SEARCH_NAME", f"{mirror.url}/{{}}")
    monkeypatch.setattr("targetprop.data.openml.LIMIT", 10**6)
    before = sklearn.datasets._openml.urlopen
    mirror.endless = True
    with pytest.raises(tp.DataError, match=r"openml:iris: .* \(<urlopen error more than 1000000 bytes>\)"):
        load("openml:iris")
    assert len(mirror.requests) == 1
    assert not [path for path in own_cache.rglob("*") if path.is_file()]
    assert sklearn.datasets._openml.urlopen is before
