"""Random weights of teachers and students."""

from collections.abc import Callable

import numpy as np

_ROBUST = 0.4


def robust_gaussian(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """A standard normal matrix that is safe to invert.

    It is drawn again until the product of its smallest and its largest singular value is above
    0.4.

    **Arguments:**

    - `rng`: the random generator.
    - `rows`, `columns`: the shape of the matrix.

    **Returns:** the matrix, float64.

    Source: Meulemans 2019, section 5.1.3.
    """
    return _robust(lambda: rng.standard_normal((rows, columns)))


def robust_diagonal(rng: np.random.Generator, size: int) -> np.ndarray:
    """The diagonal of a diagonal matrix with standard normal entries that is safe to invert.

    **Arguments:**

    - `rng`: the random generator.
    - `size`: the number of entries.

    **Returns:** the diagonal, float64, shape `(size,)`.

    Source: Meulemans 2019, section 5.1.3.
    """
    return np.diag(_robust(lambda: np.diag(rng.standard_normal(size))))


def robust_at_distance(rng: np.random.Generator, center: np.ndarray, distance: float) -> np.ndarray:
    """A matrix at a given distance from another one, safe to invert.

    It lies on the line from `center` to a standard normal matrix.

    **Arguments:**

    - `rng`: the random generator.
    - `center`: the other matrix.
    - `distance`: the Frobenius norm of the difference.

    **Returns:** the matrix, of the shape of `center`.

    Source: Meulemans 2019, sections 5.1.3 and 5.2.2.
    """

    def draw() -> np.ndarray:
        away = rng.standard_normal(center.shape) - center
        return center + distance * away / np.linalg.norm(away)

    return _robust(draw)


def _robust(draw: Callable[[], np.ndarray]) -> np.ndarray:
    while True:
        matrix = draw()
        s = np.linalg.svd(matrix, compute_uv=False)
        if s[0] * s[-1] > _ROBUST:
            return matrix
