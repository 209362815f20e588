import gzip
import hashlib

import numpy as np
import pytest

from targetprop.data import DataError
from targetprop.data.idx import read_images, read_labels
from targetprop.data.layout import HashedFile, Layout
from targetprop.data.published import Holding, Parts, PublishedSet
from targetprop.data.remote import RemoteFiles
from targetprop.data.source import Card
from targetprop.errors import ConfigError

NAMES = ("train-x", "train-y", "test-x", "test-y")
RNG = np.random.default_rng(0)
ARRAYS = (
    RNG.integers(0, 256, (5, 2, 3), np.uint8),
    np.array([0, 1, 2, 1, 0]),
    RNG.integers(0, 256, (3, 2, 3), np.uint8),
    np.array([2, 1, 0]),
)


def read(paths) -> Parts:
    return Parts(
        read_images(paths[0], (5, 2, 3)),
        read_labels(paths[1], 5, 3),
        read_images(paths[2], (3, 2, 3)),
        read_labels(paths[3], 3, 3),
    )


@pytest.fixture
def contents(idx_bytes) -> dict[str, bytes]:
    plain = {name: idx_bytes(array) for name, array in zip(NAMES, ARRAYS, strict=True)}
    return plain | {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in plain.items()}


@pytest.fixture
def toy(contents) -> PublishedSet:
    """A set with two layouts, of which the second has plain files only."""
    forms = {name: HashedFile(name, hashlib.md5(content).hexdigest()) for name, content in contents.items()}
    zipped = tuple(forms[f"{name}.gz"] for name in NAMES)
    first = Layout("Toy/raw", tuple((forms[name], forms[f"{name}.gz"]) for name in NAMES))
    second = Layout("toy-other", tuple((forms[name],) for name in NAMES))
    return PublishedSet(
        Card("toy", 5, 3, (1, 2, 3), 3, "none", 2),
        (Holding(first, read), Holding(second, read)),
        RemoteFiles("http://nowhere.invalid", "toy", "Toy/raw", zipped),
        mean=0.25,
        std=0.4,
    )


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("TARGETPROP_DATA", str(folder))
    return folder


def put(folder, contents, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(contents[name])


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("Toy/raw", NAMES),
        ("Toy/raw", tuple(f"{name}.gz" for name in NAMES)),
        ("Toy/raw", ("train-x", "train-y.gz", "test-x.gz", "test-y")),
        ("toy-other", NAMES),
    ],
)
def test_each_layout_is_read(toy, contents, data_folder, place, names):
    put(data_folder / place, contents, *names)
    data = toy.load()
    for ours, images in ((data.train_x, ARRAYS[0]), (data.test_x, ARRAYS[2])):
        assert ours.dtype == np.float32
        expected = (images.reshape(len(images), 6).astype(np.float64) / 255 - 0.25) / 0.4
        np.testing.assert_allclose(ours, expected, atol=1e-6)
    np.testing.assert_array_equal(data.train_y, ARRAYS[1])
    np.testing.assert_array_equal(data.test_y, ARRAYS[3])
    assert (data.name, data.shape, data.classes, data.validation) == ("toy", (1, 2, 3), 3, 2)
    assert toy.where() == str(data_folder / place)
    assert [check.status for check in toy.verify()] == ["ok"] * 4
    assert [check.file for check in toy.verify()] == list(names)


def test_cache_comes_after_the_named_folder(toy, contents, data_folder, own_cache):
    put(own_cache / "Toy/raw", contents, *NAMES)
    assert toy.where() == str(own_cache / "Toy/raw")
    put(data_folder / "toy-other", contents, *NAMES)
    assert toy.where() == str(data_folder / "toy-other")


def test_incomplete_folder_is_passed_over(toy, contents, data_folder, own_cache):
    put(data_folder / "Toy/raw", contents, *NAMES[:3])
    put(own_cache / "Toy/raw", contents, *NAMES)
    assert toy.where() == str(own_cache / "Toy/raw")
    assert len(toy.load().train_y) == 5


def test_nothing_there(toy, data_folder, own_cache):
    assert toy.where() is None
    with pytest.raises(DataError) as caught:
        toy.load()
    message = str(caught.value)
    for part in (
        f"toy: not found in {data_folder}/Toy/raw or {data_folder}/toy-other or {own_cache}/Toy/raw",
        "set TARGETPROP_DATA to the folder above Toy/raw",
        "run `targetprop data fetch toy`",
    ):
        assert part in message
    assert "not a folder" not in message


def test_variable_that_names_no_folder(toy, tmp_path, monkeypatch):
    monkeypatch.setenv("TARGETPROP_DATA", str(tmp_path / "misspelt"))
    with pytest.raises(DataError, match="misspelt, which is not a folder"):
        toy.load()


def test_incomplete_everywhere_names_what_lacks(toy, contents, data_folder):
    put(data_folder / "Toy/raw", contents, "train-x", "test-x.gz")
    with pytest.raises(DataError, match=r"Toy/raw lacks train-y, test-y, expected its 4 files"):
        toy.load()
    assert [check.status for check in toy.verify()] == ["ok", "missing", "ok", "missing"]
    assert toy.verify()[1].where == str(data_folder / "Toy/raw/train-y")


def test_damaged_file_names_itself_and_the_remedy(toy, contents, data_folder):
    put(data_folder / "Toy/raw", contents, *NAMES)
    path = data_folder / "Toy/raw/test-x"
    path.write_bytes(contents["test-x"][:-1])
    with pytest.raises(DataError, match=f"{path}: truncated .*; remove that file, then run `targetprop data fetch toy`"):
        toy.load()


def test_the_remedy_works(toy, contents, data_folder, own_cache, mirror, monkeypatch):
    put(data_folder / "Toy/raw", contents, *NAMES)
    (data_folder / "Toy/raw/test-x").unlink()
    mirror.files |= {f"/toy/{name}": content for name, content in contents.items()}
    monkeypatch.setenv("TARGETPROP_MIRROR", mirror.url)
    assert toy.fetch(own_cache, progress=False) == own_cache / "Toy/raw"
    assert toy.where() == str(own_cache / "Toy/raw")
    np.testing.assert_array_equal(toy.load().test_y, ARRAYS[3])


@pytest.mark.parametrize(("one", "other"), [("train-x", "train-y"), ("train-x", "test-x"), ("train-y", "test-y")])
def test_swapped_files_are_noticed(toy, contents, data_folder, one, other):
    put(data_folder / "Toy/raw", contents | {one: contents[other], other: contents[one]}, *NAMES)
    with pytest.raises(DataError, match=f"{one}: holds IDX .*, expected IDX"):
        toy.load()
    statuses = {check.file: check.status for check in toy.verify()}
    assert statuses == dict.fromkeys(NAMES, "ok") | {one: "wrong checksum", other: "wrong checksum"}


def test_a_changed_pixel_is_found_by_verify_only(toy, contents, data_folder):
    changed = contents["train-x"][:-1] + bytes([contents["train-x"][-1] ^ 1])
    put(data_folder / "Toy/raw", contents | {"train-x": changed}, *NAMES)
    assert len(toy.load().train_x) == 5
    assert toy.verify()[0].status == "wrong checksum"


def test_options_raise_an_error(toy):
    with pytest.raises(ConfigError, match="toy takes no options: leave out seed, train"):
        toy.load(train=3, seed=1)
