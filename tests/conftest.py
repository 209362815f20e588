"""What all tests share."""

import os
from collections.abc import Callable, Iterator

import jax
import jax.monitoring
import pytest
from jax.extend.core import JaxprEqn, jaxprs_in_params


def pytest_configure(config: pytest.Config) -> None:
    """With `-m "not slow"`, as in `make test`, programs are compiled in a third of the time:
    without most of the optimizations, and with plain loops in place of fused ones. Most of the
    tests' programs run for an instant. It holds for all of a process and for those that it
    starts, since last digits depend on it. None of them writes to the user's cache.
    """
    os.environ["TARGETPROP_COMPILE_CACHE"] = "off"
    if config.option.markexpr != "not slow":
        return
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    jax.config.update("jax_disable_most_optimizations", True)
    if jax.__version_info__ < (0, 11):  # XLA ends the process at a flag that it does not know
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"


compiled: list[str] = []  # a mark for every program that this process holds


def _mark(event: str, duration: float, **details) -> None:
    if event.endswith("backend_compile_duration"):
        compiled.append(event)


jax.monitoring.register_event_duration_secs_listener(_mark)


@pytest.fixture(scope="module", autouse=True)
def few_programs() -> Iterator[None]:
    """Modules share programs, but some 8,000 of them end a process on Linux: they use up its
    65,530 memory mappings.
    """
    yield
    if len(compiled) > 2000:
        jax.clear_caches()
        compiled.clear()


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
