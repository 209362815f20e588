"""What all tests share."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture
def float64() -> Iterator[None]:
    """Double precision inside the test."""
    with jax.enable_x64(True):
        yield
