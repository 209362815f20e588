"""Training networks in continuous time: what happens where one finds no rest."""

import numpy as np
import pytest

import targetprop as tp
from targetprop.training.checkpoint import CHECKPOINT, read_checkpoint
from targetprop.training.run import train

SMALL = tp.recipe("two-phase", "digits").replace(architecture=tp.MLP((8, 6)), schedule=tp.Schedule(2), batch_size=256)


def test_training_stops_where_there_is_no_rest_and_keeps_the_last_good_state(tmp_path):
    """Linear feedback that grows by 1 in every step is soon too strong for any rest."""
    runaway = SMALL.replace(
        rule=tp.TwoPhase(0.45, tp.Layerwise(tp.Identity())),
        architecture=tp.MLP((8, 6), tp.Identity()),
        feedback_optimizer=tp.Adam(1.0),
    )
    result = train(runaway, seeds=1, out=tmp_path, progress=False)
    status = result.seeds[0].status
    assert status.startswith("diverged")
    for part in ("network reaches no equilibrium within 50 steps", "layer", "of its size", "use a smaller mu"):
        assert part in status
    arrays = read_checkpoint(tmp_path / CHECKPOINT).arrays
    assert all(np.isfinite(a).all() for a in arrays if np.issubdtype(a.dtype, np.floating))


def one_epoch(solver) -> float:
    rule = tp.TwoPhase(solver=solver)
    return train(SMALL.replace(rule=rule, schedule=tp.Schedule(1)), seeds=1, progress=False).seeds[0].train_loss


@pytest.fixture(scope="module")
def loss_by_sweeps():
    return one_epoch(tp.Sweeps(1e-5))


@pytest.mark.slow
@pytest.mark.parametrize("solver", [tp.Newton(), tp.Integration(1e-3)], ids=["newton", "integration"])
def test_every_solver_trains_alike(solver, loss_by_sweeps):
    losses = [loss_by_sweeps, one_epoch(solver)]
    assert all(np.isfinite(losses))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-2)
