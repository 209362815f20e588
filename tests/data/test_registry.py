import subprocess
import sys
from pathlib import Path

import numpy as np
import pooch
import pytest

from targetprop._cache import cache
from targetprop.data import DataError, canonical, describe, fetch, load, names, verify

COMPUTED = ("teacher", "student-teacher", "student-teacher-contracting", "student-teacher-deep")
PUBLISHED = ("mnist", "fashion-mnist", "kmnist", "cifar10")


def test_names():
    assert names() == ("digits", *COMPUTED, *PUBLISHED)


@pytest.mark.parametrize("call", [load, fetch, verify])
def test_unknown_name_lists_the_known(call):
    with pytest.raises(DataError, match="no data set 'letters'; there are digits, teacher, student-teacher"):
        call("letters")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("minst", "mnist"), ("Fashion MINST", "fashion-mnist"), ("cifar-100", "cifar10"), ("digits:unti", "digits")],
)
def test_a_near_miss_has_a_suggestion(name, meant):
    with pytest.raises(DataError, match=f"no data set '{name}'; did you mean {meant}. There are digits, teacher"):
        load(name)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("MNIST", "mnist"),
        ("FashionMNIST", "fashion-mnist"),
        ("fashion_mnist:unit", "fashion-mnist:unit"),
        ("KMNIST", "kmnist"),
        ("CIFAR-10:standard", "cifar10:standard"),
        ("student_teacher", "student-teacher"),
        ("Digits", "digits"),
        ("something:unit", "something:unit"),
        ("openml:Iris", "openml:Iris"),
    ],
)
def test_the_case_of_a_name_and_what_separates_its_parts_do_not_matter(name, found):
    assert canonical(name) == found
    if found in PUBLISHED:
        with pytest.raises(DataError, match=f"run `targetprop data fetch {found}`"):
            load(name)


def test_a_data_set_is_loaded_in_any_case():
    assert load("DIGITS").name == "digits"
    assert load("Digits:unit").name == "digits:unit"


@pytest.mark.parametrize("name", PUBLISHED)
def test_loading_without_files_never_downloads(name, mirror, monkeypatch):
    monkeypatch.setenv("TARGETPROP_MIRROR", mirror.url)
    with pytest.raises(DataError, match=f"run `targetprop data fetch {name}`"):
        load(name)
    assert mirror.requests == []
    assert {check.status for check in verify(name)} == {"missing"}


def test_describe_without_files():
    records = {record.name: record for record in describe()}
    assert tuple(records) == names()
    for name in PUBLISHED:
        assert not records[name].here
        assert records[name].where == f"not here: targetprop data fetch {name}"
        assert (records[name].train + records[name].test) in (60_000, 70_000)
    assert records["digits"].where == "built in"
    assert all(records[name].here for name in COMPUTED)
    assert all(record.license for record in records.values())


@pytest.mark.parametrize("name", ["digits", *COMPUTED])
def test_cards_tell_the_truth(name):
    record = next(record for record in describe() if record.name == name)
    data = load(name)
    assert (len(data.train_x), len(data.test_x)) == (record.train, record.test)
    assert (data.shape, data.classes) == (record.shape, record.classes)


def test_a_scaling_is_named_with_the_set():
    data = load("digits:unit")
    assert data.name == "digits:unit"
    assert (data.train_x.min(), data.train_x.max()) == (0, 1)
    standard = load("digits:standard")
    assert standard.name == "digits:standard"
    np.testing.assert_allclose(standard.train_x.mean(axis=0), 0, atol=1e-5)


def test_cache_is_the_variable_or_the_systems(monkeypatch, tmp_path):
    assert cache() == tmp_path / "cache"
    monkeypatch.setenv("TARGETPROP_CACHE", "~/somewhere")
    assert cache() == Path.home() / "somewhere"
    monkeypatch.delenv("TARGETPROP_CACHE")
    assert cache() == Path(pooch.os_cache("targetprop"))


def test_the_data_room_itself_does_without_jax():
    package = Path(sys.modules["targetprop.data"].__file__).parent
    code = (
        "import sys, types\n"
        "bare = types.ModuleType('targetprop')\n"
        f"bare.__path__ = [{str(package.parent)!r}]\n"
        "sys.modules['targetprop'] = bare\n"
        "import targetprop.data\n"
        "sys.exit(bool({'jax', 'sklearn', 'pooch', 'rich'} & set(sys.modules)))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
