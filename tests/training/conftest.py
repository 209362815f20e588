"""What the tests of training share: a small data set, recipes of small networks, and an
interruption at a chosen moment.
"""

import itertools
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import targetprop as tp
from targetprop.training import loop
from targetprop.training.checkpoint import CHECKPOINT, read_checkpoint
from targetprop.training.ensemble import Ensemble


@pytest.fixture(scope="session")
def toy() -> tp.Dataset:
    """60 training and 20 test samples of 8 inputs; the class is the largest of the first three."""
    x = np.random.default_rng(0).standard_normal((80, 8)).astype(np.float32)
    y = np.argmax(x[:, :3], axis=1).astype(np.int32)
    return tp.Dataset("toy", x[:60], y[:60], x[60:], y[60:], (8,), 3)


@pytest.fixture(scope="session")
def bp() -> tp.Recipe:
    """Backpropagation: 6 steps an epoch that take each of the 48 training samples once, 3
    epochs.
    """
    return tp.Recipe(tp.Backprop(), architecture=tp.MLP((6, 5)), batch_size=8, validation=12, schedule=tp.Schedule(3))


@pytest.fixture(scope="session")
def dtp(bp) -> tp.Recipe:
    """A rule with trained, noisy feedback: passes of the feedback alone before and between two
    joint ones.
    """
    return bp.replace(rule=tp.dtp(), schedule=tp.Schedule(2, pretraining=1, between=1))


@pytest.fixture
def interrupt_at(monkeypatch) -> Callable[[int], None]:
    """Cut each pass of 6 steps into runs of 4, 1 and 1; `interrupt_at(n)` then asks for an end
    just before the n-th run.
    """
    monkeypatch.setattr(loop, "SECONDS_PER_RUN", 0.0)
    advance = Ensemble.advance

    def arm(number: int) -> None:
        calls = itertools.count(1)

        def interrupted(self, at, start, stop):
            if next(calls) == number:
                signal.raise_signal(signal.SIGINT)
            return advance(self, at, start, stop)

        monkeypatch.setattr(Ensemble, "advance", interrupted)

    return arm


def same_run(one: Path, other: Path) -> None:
    for name in ("metrics.jsonl", "result.json"):
        assert (one / name).read_text() == (other / name).read_text()
    a, b = (read_checkpoint(folder / CHECKPOINT) for folder in (one, other))
    assert a.header | {"seconds": 0.0} == b.header | {"seconds": 0.0}
    for mine, others in zip(a.arrays, b.arrays, strict=True):
        assert mine.tobytes() == others.tobytes()


@pytest.fixture(scope="session")
def assert_same_run() -> Callable[[Path, Path], None]:
    """Two folders hold the same metrics, results and parameters bit for bit; the time taken
    aside.
    """
    return same_run
