"""What counts as rest, for any network in continuous time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.dynamics._base import Dynamics, norms
from targetprop.dynamics.equilibria import Integration, Newton, Sweeps

SOLVERS = pytest.mark.parametrize("solver", [Sweeps(), Newton(), Integration()], ids=lambda solver: type(solver).__name__)


class Decay(Dynamics):
    """`dd/dt = goal - rate d`, from 0; a sweep goes some of the way. Without a goal it stays."""

    goal: jax.Array
    rate: float

    @property
    def start(self):
        return (jnp.zeros_like(self.goal),)

    def velocity(self, d):
        return (self.goal - self.rate * d[0],)

    def sweep(self, own):
        moved = (own[0] + 0.9 * (self.goal - self.rate * own[0]),)
        return moved, moved

    def sizes(self, d):
        return norms(d)


@SOLVERS
def test_a_slow_start_is_no_rest(solver):
    """A goal far below the tolerance is reached to the tolerance, relative to itself."""
    found = solver.find(Decay(1e-9 * jnp.ones((2, 3)), 1.0))
    assert np.all(found.reached)
    np.testing.assert_allclose(found.d[0], 1e-9 * np.ones((2, 3)), rtol=1e-4)


@SOLVERS
def test_what_stands_still_is_at_rest(solver):
    found = solver.find(Decay(jnp.zeros((2, 3)), 1.0))
    assert np.all(found.reached)
    assert np.all(found.residual == 0)
    assert np.all(found.d[0] == 0)


@pytest.mark.parametrize("goal", [jnp.nan, jnp.inf])
def test_what_is_not_finite_is_not_at_rest(goal):
    found = Sweeps(steps=3).find(Decay(jnp.array([[goal, 1.0], [1.0, 1.0]]), 1.0))
    assert not found.reached[0]
    assert np.all(np.isnan(found.displacements[0][0]))


def test_what_runs_off_is_not_at_rest():
    for solver in (Sweeps(steps=20), Integration(steps=30)):
        found = solver.find(Decay(jnp.ones((2, 3)), -1.0))
        assert not np.any(found.reached)
