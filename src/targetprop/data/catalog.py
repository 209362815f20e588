"""The data sets that this library knows: their facts, checksums, mirrors and layouts.

The MD5s of gzipped files and of the archive are those of the files on the mirrors. The others are
those of the unpacked files, and of the pickled batches in the Python version of CIFAR-10.
"""

from pathlib import Path

import numpy as np

from .cifar import CLASSES, SHAPE, read_binary_batch, read_pickled_batch
from .computed import COMPUTED
from .digits import Digits
from .idx import read_images, read_labels
from .layout import HashedFile, Layout
from .published import Holding, Parts, PublishedSet
from .remote import RemoteArchive, RemoteFiles
from .source import Card, DataSource

_IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_CIFAR_BATCH = 10_000


def _idx_set(card: Card, folder: str, base: str, md5s: tuple[tuple[str, str], ...], mean: float, std: float) -> PublishedSet:
    """A set in the format of MNIST. `md5s` are those of each file, plain and gzipped."""
    plain = tuple(HashedFile(file, md5) for file, (md5, _) in zip(_IDX_FILES, md5s, strict=True))
    gzipped = tuple(HashedFile(f"{file}.gz", md5) for file, (_, md5) in zip(_IDX_FILES, md5s, strict=True))
    layout = Layout(folder, tuple(zip(plain, gzipped, strict=True)))
    rows, columns = card.shape[1:]

    def read(paths: tuple[Path, ...]) -> Parts:
        classes = card.classes or 0
        return Parts(
            read_images(paths[0], (card.train, rows, columns)),
            read_labels(paths[1], card.train, classes),
            read_images(paths[2], (card.test, rows, columns)),
            read_labels(paths[3], card.test, classes),
        )

    return PublishedSet(card, (Holding(layout, read),), RemoteFiles(base, card.name, folder, gzipped), mean, std)


def _idx_card(name: str, license: str) -> Card:
    return Card(name, 60_000, 10_000, (1, 28, 28), 10, license, validation=5_000)


# The original address, yann.lecun.com, refuses automated downloads. PyTorch has this public copy.
_MNIST = _idx_set(
    _idx_card("mnist", "usually given as CC BY-SA 3.0 (LeCun, Cortes)"),
    folder="MNIST/raw",
    base="https://ossci-datasets.s3.amazonaws.com/mnist/",
    md5s=(
        ("6bbc9ace898e44ae57da46a324031adb", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("a25bea736e30d166cdddb491f175f624", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("2646ac647ad5339dbf082846283269ea", "9fb629c4189551a2d022fa330f9573f3"),
        ("27ae3e4e09519cfbb04c329615203637", "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
    mean=0.1307,
    std=0.3081,
)
_FASHION_MNIST = _idx_set(
    _idx_card("fashion-mnist", "MIT (Zalando SE)"),
    folder="FashionMNIST/raw",
    base="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    md5s=(
        ("f4a8712d7a061bf5bd6d2ca38dc4d50a", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("9018921c3c673c538a1fc5bad174d6f9", "25c81989df183df01b3e8a0aad5dffbe"),
        ("8181f5470baa50b63fa0f6fddb340f0a", "bef4ecab320f06d8554ea6380940ec79"),
        ("15d484375f8d13e6eb1aabb0c3f46965", "bb300cfdad3c16e7a12a480ee83cd310"),
    ),
    mean=0.0,
    std=1.0,
)
_KMNIST = _idx_set(
    _idx_card(
        "kmnist",
        'CC BY-SA 4.0, "KMNIST Dataset" (created by CODH), adapted from "Kuzushiji Dataset" '
        "(created by NIJL and others), doi:10.20676/00000341",
    ),
    folder="KMNIST/raw",
    base="https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    md5s=(
        ("92be26ec9822e900ac425d0a0aa84ced", "bdb82020997e1d708af4cf47b453dcf7"),
        ("949e75301f8813e0dc5800dcc320fc52", "e144d726b3acfaa3e44228e80efcd344"),
        ("bf305b8cd328700fbc17f5acbc2856d2", "5c965bf0a639b31b8f53240b1b52f4d7"),
        ("9f55f451c0988b028eccdf7d5cc265ab", "7320c461ea6c1c855c0b718fb2a4b134"),
    ),
    mean=0.1918,
    std=0.3483,
)


def _concatenated(batches: list[tuple[np.ndarray, np.ndarray]]) -> Parts:
    *train, (test_x, test_y) = batches
    train_x, train_y = (np.concatenate(arrays) for arrays in zip(*train, strict=True))
    return Parts(train_x, train_y, test_x, test_y)


def _read_binary(paths: tuple[Path, ...]) -> Parts:
    return _concatenated([read_binary_batch(path, _CIFAR_BATCH) for path in paths])


def _read_pickled(paths: tuple[Path, ...]) -> Parts:
    pairs = zip(paths, _CIFAR_PICKLED, strict=True)
    return _concatenated([read_pickled_batch(path, _CIFAR_BATCH, known.md5) for path, known in pairs])


_CIFAR_BINARY = (
    HashedFile("data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25"),
    HashedFile("data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692"),
    HashedFile("data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421"),
    HashedFile("data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb"),
    HashedFile("data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d"),
    HashedFile("test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d"),
)
_CIFAR_PICKLED = (
    HashedFile("data_batch_1", "c99cafc152244af753f735de768cd75f"),
    HashedFile("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
    HashedFile("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
    HashedFile("data_batch_4", "634d18415352ddfa80567beed471001a"),
    HashedFile("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    HashedFile("test_batch", "40351d587109b95175f43aff81a1287e"),
)
_CIFAR10 = PublishedSet(
    Card("cifar10", 50_000, 10_000, SHAPE, CLASSES, "no formal license; cite Krizhevsky 2009", 5_000),
    (
        Holding(Layout("cifar-10-batches-bin", tuple((form,) for form in _CIFAR_BINARY)), _read_binary),
        Holding(Layout("cifar-10-batches-py", tuple((form,) for form in _CIFAR_PICKLED)), _read_pickled),
    ),
    RemoteArchive(
        base="https://www.cs.toronto.edu/~kriz/",
        name="cifar10",
        folder="cifar-10-batches-bin",
        archive=HashedFile("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
        members=_CIFAR_BINARY,
        size=30_730_000,
    ),
    mean=0.5,
    std=0.5,
)

_SOURCES: tuple[DataSource, ...] = (Digits(), *COMPUTED, _MNIST, _FASHION_MNIST, _KMNIST, _CIFAR10)
SOURCES: dict[str, DataSource] = {source.card.name: source for source in _SOURCES}
