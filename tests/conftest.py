"""What all tests share."""

from collections.abc import Callable, Iterator

import jax
import pytest
from jax.extend.core import JaxprEqn, jaxprs_in_params


@pytest.fixture
def float64() -> Iterator[None]:
    """Double precision inside the test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def quick_compilation() -> Iterator[None]:
    """Programs that run once, for an instant: they are compiled without most of the optimizations, in half the time."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
    jax.clear_caches()  # no other module is to meet these programs


def _equations(jaxpr) -> Iterator[JaxprEqn]:
    for equation in jaxpr.eqns:
        yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from _equations(inner)


@pytest.fixture
def operations() -> Callable[..., list[JaxprEqn]]:
    """`operations(f, *args)`: what the program of `f(*args)` consists of, at any depth."""
    return lambda f, *args: list(_equations(jax.make_jaxpr(f)(*args).jaxpr))
