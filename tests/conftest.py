"""What all tests share."""

import os
from collections.abc import Callable, Iterator

import jax
import pytest
from jax.extend.core import JaxprEqn, jaxprs_in_params

# Most programs of the tests run for an instant: without most of the optimizations they are compiled in a fraction of
# the time. It holds for all of a process and those it starts, since numbers differ in their last digit without them.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture
def float64() -> Iterator[None]:
    """Double precision inside the test."""
    with jax.enable_x64(True):
        yield


def _equations(jaxpr) -> Iterator[JaxprEqn]:
    for equation in jaxpr.eqns:
        yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from _equations(inner)


@pytest.fixture
def operations() -> Callable[..., list[JaxprEqn]]:
    """`operations(f, *args)`: what the program of `f(*args)` consists of, at any depth."""
    return lambda f, *args: list(_equations(jax.make_jaxpr(f)(*args).jaxpr))
