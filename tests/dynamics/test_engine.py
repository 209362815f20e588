"""The module that integrates differential equations."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.dynamics._engine import IntegrationMethod, Problem, at_times, explicit_solver, implicit_solver, until
from targetprop.dynamics.equilibria import Integration
from targetprop.dynamics.integrators import SteadyState
from targetprop.training.provenance import describe

LAZY = """
import sys
import targetprop, targetprop.dynamics
assert not {"diffrax", "lineax", "optimistix"} & set(sys.modules)
targetprop.Integration()
assert "diffrax" in sys.modules
"""


def test_importing_the_package_does_not_load_diffrax():
    subprocess.run([sys.executable, "-c", LAZY], check=True)


@pytest.mark.parametrize(("made", "solver"), [(Integration, "Tsit5"), (SteadyState, "Kvaerno5")])
def test_default_solvers_are_one_object_and_described_by_name(made, solver):
    assert made().solver is made().solver
    assert made() == made()
    assert describe(made())["solver"]["type"] == solver


@pytest.mark.usefixtures("float64")
def test_an_exponential_in_units_of_any_scale():
    times = jnp.array([0.0, 0.5, 2.0])
    for scale in (1.0, 1e-6):
        size = jnp.full((2, 1), scale)
        problem = Problem(lambda d: (-d[0],), (jnp.ones((2, 3)),), (size,))
        found = at_times(problem, times, IntegrationMethod(explicit_solver(), 1e-10))[0]
        np.testing.assert_allclose(found, scale * np.exp(-times)[:, None, None] * np.ones((3, 2, 3)), rtol=1e-8)


@pytest.mark.usefixtures("float64")
def test_integration_ends_when_the_condition_holds_or_the_steps_are_used_up():
    problem = Problem(lambda d: -d, jnp.ones(3), jnp.asarray(2.0))
    end, reached = until(problem, lambda d: jnp.all(d < 0.5), IntegrationMethod(implicit_solver(), 1e-6, 100))
    assert reached
    assert np.all(end < 0.5)
    end, reached = until(problem, lambda d: jnp.all(d < 0), IntegrationMethod(explicit_solver(), 1e-6, 5))
    assert not reached
    assert np.all(end > 0)
