"""The published sets themselves, where they are on this machine."""

import numpy as np
import pytest

from targetprop.data import describe, load, verify
from targetprop.data.cifar import read_binary_batch

# Mean and standard deviation of the training pixels in [0, 1], per channel, as commonly published;
# then the mean and deviation that the set is to be scaled by.
PUBLISHED = {
    "mnist": ([0.1307], [0.3081], 0.1307, 0.3081),
    "fashion-mnist": ([0.2860], [0.3530], 0.0, 1.0),
    "kmnist": ([0.1918], [0.3483], 0.1918, 0.3483),
    "cifar10": ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616], 0.5, 0.5),
}
# Training examples of each class; all sets but MNIST are balanced.
CLASS_COUNTS = {
    "mnist": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "fashion-mnist": [6000] * 10,
    "kmnist": [6000] * 10,
    "cifar10": [5000] * 10,
}


@pytest.fixture
def real_record(real_data, request):
    name = request.param
    record = next(record for record in describe() if record.name == name)
    if not record.here:
        pytest.skip(f"{name} is not below TARGETPROP_DATA")
    return record


@pytest.mark.parametrize("real_record", PUBLISHED, indirect=True)
def test_published_statistics(real_record):
    data = load(real_record.name)
    means, deviations, shift, scale = PUBLISHED[real_record.name]
    assert data.train_x.shape == (real_record.train, data.inputs)
    assert data.test_x.shape == (real_record.test, data.inputs)
    assert (data.shape, data.classes) == (real_record.shape, real_record.classes)
    assert np.bincount(data.train_y).tolist() == CLASS_COUNTS[real_record.name]
    channels = data.train_x.reshape(real_record.train, data.shape[0], -1)
    for channel, (mean, deviation) in enumerate(zip(means, deviations, strict=True)):
        pixels = channels[:, channel]
        # Half a unit of the last published digit, and the rounding of 47 million float32 numbers.
        assert pixels.mean(dtype=np.float64) * scale + shift == pytest.approx(mean, abs=5.1e-5)
        assert pixels.std(dtype=np.float64) * scale == pytest.approx(deviation, abs=5.1e-5)
    lowest, highest = (0.0 - shift) / scale, (1.0 - shift) / scale
    assert data.train_x.min() == pytest.approx(lowest, rel=1e-6)
    assert data.train_x.max() == pytest.approx(highest, rel=1e-6)


@pytest.mark.parametrize("real_record", PUBLISHED, indirect=True)
def test_checksums(real_record):
    assert {check.status for check in verify(real_record.name)} == {"ok"}


def test_both_layouts_of_cifar10_agree(real_data, tmp_path, monkeypatch):
    plain, pickled = real_data / "cifar-10-batches-bin", real_data / "cifar-10-batches-py"
    if not (plain.is_dir() and pickled.is_dir()):
        pytest.skip("TARGETPROP_DATA has not both layouts of cifar10")
    (tmp_path / pickled.name).symlink_to(pickled)
    monkeypatch.setenv("TARGETPROP_DATA", str(tmp_path))
    data = load("cifar10")
    for file, rows in (("data_batch_1.bin", slice(10_000)), ("data_batch_5.bin", slice(40_000, 50_000))):
        x, y = read_binary_batch(plain / file, 10_000)
        np.testing.assert_allclose(data.train_x[rows], (x / np.float32(255) - 0.5) / 0.5, atol=1e-6)
        np.testing.assert_array_equal(data.train_y[rows], y)
    x, y = read_binary_batch(plain / "test_batch.bin", 10_000)
    np.testing.assert_allclose(data.test_x, (x / np.float32(255) - 0.5) / 0.5, atol=1e-6)
    np.testing.assert_array_equal(data.test_y, y)
    assert {check.file for check in verify("cifar10")} == {path.stem for path in plain.glob("*.bin")}
    assert {check.status for check in verify("cifar10")} == {"ok"}
