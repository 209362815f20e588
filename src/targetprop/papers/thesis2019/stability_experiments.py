"""Random circuits with segregated dendrites: whether and how they come to rest (section 6.7)."""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...dynamics.circuit import Gains
from ...dynamics.stability import (
    circuit_jacobian,
    displacement_norms,
    exact_spectrum,
    numerical_abscissa,
    path_condition,
    spectral_abscissa,
    transient_growth,
)
from ...experiments.experiment import Experiment, extrapolated

CHUNK = 1000
TIMES = np.linspace(0, 20, 81)
ERRORS = np.geomspace(1e-4, 1e2, 73)
SETTLED = 0.01

Advance = Callable[[int], None]


@dataclasses.dataclass(frozen=True)
class Draws(Experiment):
    """An experiment with `draws` random draws for each seed, in float64."""

    draws: int

    def run(self, seeds: Sequence[int], advance: Advance) -> list[dict[str, Any]]:
        return [self.metrics(np.random.default_rng(seed), advance) for seed in seeds]

    def seconds(self, seeds: Sequence[int]) -> float:
        short = dataclasses.replace(self, draws=self.draws // 10)
        return extrapolated(lambda: short.run(seeds, lambda steps: None), 10)

    @abc.abstractmethod
    def metrics(self, rng: np.random.Generator, advance: Advance) -> dict[str, Any]:
        """The metrics of one seed."""


class ByDepth(Draws):
    """An experiment with `draws` random draws for each seed and depth."""

    depths: tuple[int, ...]

    @property
    def steps(self) -> int:
        return len(self.depths)

    def metrics(self, rng, advance):
        found = []
        for depth in self.depths:
            found.append(self.at(rng, depth))
            advance(1)
        return {"depths": found}

    @abc.abstractmethod
    def at(self, rng: np.random.Generator, depth: int) -> dict[str, Any]:
        """What is found at one depth."""


def gaussian(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Blocks of the given shape with independent Gaussian entries.

    Their variance is 1 / width, so that they keep the size of an activity.

    **Arguments:**

    - `rng`: the random generator.
    - `shape`: the shape of all blocks together.
    """
    return rng.standard_normal(shape) / np.sqrt(shape[-1])


def orthogonal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random orthogonal blocks of the given shape.

    **Arguments:**

    - `rng`: the random generator.
    - `shape`: the shape of all blocks together.
    """
    return np.linalg.qr(rng.standard_normal(shape))[0]


WEIGHTS = {"orthogonal": orthogonal, "Gaussian": gaussian}


@dataclasses.dataclass(frozen=True)
class RandomCases(Draws):
    """The Jacobian with random Gaussian blocks, for a fixed target and for one that follows the
    output.

    `mu` is uniform in (0, 0.5), width and depth are uniform. Metrics: how many cases are stable,
    how many are not negative definite, and the distance of the computed eigenvalues to those of
    the theory. For the first `sample` cases also their abscissae, condition and growth.

    **Arguments:**

    - `draws`: the number of cases.
    - `widths`, `depths`: the smallest and the largest width and depth.
    - `spread`: each block has its own standard deviation, from `1 / spread` to `spread`.
    - `sample`: the number of cases that are stored one by one.
    """

    widths: tuple[int, int] = (1, 6)
    depths: tuple[int, int] = (2, 6)
    spread: float = 10.0
    sample: int = 2000

    @property
    def steps(self) -> int:
        return self.draws

    def metrics(self, rng, advance):
        sizes = np.stack([rng.integers(*ends, self.draws, endpoint=True) for ends in (self.widths, self.depths)], axis=1)
        found = {name: np.full(self.draws, np.nan) for name in ("mu", "condition", "growth")}
        with_target = {
            name: {key: np.empty(self.draws) for key in ("abscissa", "numerical", "distance")} for name in TARGETS
        }
        for chunk in _chunks(sizes):
            width, depth = sizes[chunk[0]].tolist()
            mu = rng.uniform(0, 0.5, len(chunk))
            deviations = self.spread ** rng.uniform(-1, 1, (depth - 1, len(chunk), 1, 1))
            blocks = deviations * rng.standard_normal((depth - 1, len(chunk), width, width))
            feedback, gains = np.linalg.inv(blocks), Gains.mixing(mu[:, None, None])
            found["mu"][chunk], found["condition"][chunk] = mu, path_condition(blocks)
            for name, echo in TARGETS.items():
                matrices = circuit_jacobian(blocks, feedback, gains, echo)
                eigenvalues = np.sort_complex(np.linalg.eigvals(matrices))[:, ::-1]
                exact = [np.repeat(exact_spectrum(depth, Gains.mixing(one), echo), width) for one in mu]
                with_target[name]["abscissa"][chunk] = eigenvalues.real.max(axis=1)
                with_target[name]["numerical"][chunk] = numerical_abscissa(matrices)
                with_target[name]["distance"][chunk] = np.abs(eigenvalues - exact).max(axis=1)
                shown = chunk < self.sample
                if shown.any() and not echo:
                    found["growth"][chunk[shown]] = transient_growth(matrices[shown], TIMES)
            advance(len(chunk))
        fixed = with_target["fixed"]
        columns = found | {"depth": sizes[:, 1], "abscissa": fixed["abscissa"], "numerical": fixed["numerical"]}
        sample = {name: _rounded(values[: self.sample]) for name, values in columns.items()}
        return {"cases": {name: _summary(**values) for name, values in with_target.items()}, "sample": sample}


TARGETS = {"fixed": False, "following": True}


def _chunks(sizes: np.ndarray) -> list[np.ndarray]:
    """The indices of cases of one size, a limited number at a time."""
    groups = [np.flatnonzero(np.all(sizes == size, axis=1)) for size in np.unique(sizes, axis=0)]
    return [group[i : i + CHUNK] for group in groups for i in range(0, len(group), CHUNK)]


def _summary(abscissa: np.ndarray, numerical: np.ndarray, distance: np.ndarray) -> dict[str, float]:
    return {
        "stable": float(np.mean(abscissa < 0)),
        "not negative definite": float(np.mean(numerical >= 0)),
        "median distance": float(np.median(distance)),
        "largest distance": float(distance.max()),
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in values.reshape(-1)]


@dataclasses.dataclass(frozen=True)
class ComputedSpectra(ByDepth):
    """Eigenvalues as computed in float64, with exact inverses of Gaussian blocks, by depth.

    Metrics: the share of draws that look unstable, the median distance of the largest real part to
    that of the theory, and all eigenvalues of the first draw.
    """

    depths: tuple[int, ...]
    width: int
    mu: float

    def at(self, rng, depth):
        blocks = gaussian(rng, depth - 1, self.draws, self.width, self.width)
        eigenvalues = np.linalg.eigvals(circuit_jacobian(blocks, np.linalg.inv(blocks), Gains.mixing(self.mu)))
        abscissa = eigenvalues.real.max(axis=1)
        exact = exact_spectrum(depth, Gains.mixing(self.mu))[0]
        return {
            "looks unstable": float(np.mean(abscissa >= 0)),
            "median distance": float(np.median(np.abs(abscissa - exact))),
            "real": _rounded(eigenvalues[0].real),
            "imaginary": _rounded(eigenvalues[0].imag),
        }


@dataclasses.dataclass(frozen=True)
class Growth(ByDepth):
    """`||exp(t J)||` with exact inverses of random blocks, by depth.

    Metrics: quantiles over the draws at `TIMES`, and the share of draws in which something grows.
    """

    weights: str
    depths: tuple[int, ...]
    width: int
    mu: float

    def at(self, rng, depth):
        blocks = WEIGHTS[self.weights](rng, depth - 1, self.draws, self.width, self.width)
        matrices = circuit_jacobian(blocks, np.linalg.inv(blocks), Gains.mixing(self.mu))
        norms = displacement_norms(matrices, TIMES)
        growth = norms.max(axis=0)
        return {
            "growing": float(np.mean(numerical_abscissa(matrices) > 0)),
            "growth": _rounded(np.quantile(growth, (0.1, 0.5, 0.9))),
            "norms": [_rounded(row) for row in np.quantile(norms, (0.1, 0.5, 0.9), axis=1)],
        }


@dataclasses.dataclass(frozen=True)
class ToleratedErrors(Draws):
    """The error of the feedback at which a circuit becomes unstable, by depth and `mu`.

    The feedback is `G = J^{-1} + error ||J^{-1}|| E` with a random `E` of norm 1. Metrics:
    quantiles over the draws of the smallest of `ERRORS` at which a draw is not stable. `None` if
    it is stable at all of them.
    """

    weights: str
    depths: tuple[int, ...]
    mus: tuple[float, ...]
    width: int

    @property
    def steps(self) -> int:
        return len(self.depths) * len(self.mus)

    def metrics(self, rng, advance):
        return {"limits": [[self._limits(rng, depth, mu, advance) for mu in self.mus] for depth in self.depths]}

    def _limits(self, rng: np.random.Generator, depth: int, mu: float, advance: Advance) -> list[float]:
        shape = (depth - 1, self.draws, self.width, self.width)
        blocks = WEIGHTS[self.weights](rng, *shape)
        exact, direction = np.linalg.inv(blocks), rng.standard_normal(shape)
        sizes = np.linalg.norm(exact, 2, axis=(-2, -1)) / np.linalg.norm(direction, 2, axis=(-2, -1))
        direction *= sizes[..., None, None]
        unstable = [
            spectral_abscissa(circuit_jacobian(blocks, exact + error * direction, Gains.mixing(mu))) >= 0 for error in ERRORS
        ]
        advance(1)
        first = np.where(np.any(unstable, axis=0), ERRORS[np.argmax(unstable, axis=0)], np.inf)
        return _rounded(np.quantile(first, (0.1, 0.5, 0.9), method="nearest"))


@dataclasses.dataclass(frozen=True)
class SettlingTimes(Draws):
    """The time to rest with exact inverses of orthogonal blocks, by depth and `mu`.

    It is the time until no displacement is larger than `SETTLED`, relative to its start. The
    slowest time constant of the computed spectrum is beside it. Both are the largest over the
    draws.
    """

    depths: tuple[int, ...]
    mus: tuple[float, ...]
    width: int
    echo: bool

    @property
    def steps(self) -> int:
        return len(self.depths) * len(self.mus)

    def metrics(self, rng, advance):
        return {"settling": [[self._one(rng, depth, mu, advance) for mu in self.mus] for depth in self.depths]}

    def _one(self, rng: np.random.Generator, depth: int, mu: float, advance: Advance) -> dict[str, float]:
        blocks = orthogonal(rng, depth - 1, self.draws, self.width, self.width)
        matrices = circuit_jacobian(blocks, np.linalg.inv(blocks), Gains.mixing(mu), self.echo)
        before, after = 0.0, 1.0
        while displacement_norms(matrices, np.array([after])).max() > SETTLED:
            before, after = after, 2 * after
        while after - before > 1e-3 * after:
            between = (before + after) / 2
            settled = displacement_norms(matrices, np.array([between])).max() <= SETTLED
            before, after = (before, between) if settled else (between, after)
        advance(1)
        constant = -1 / spectral_abscissa(matrices).max()
        return {"time": float(f"{after:.4g}"), "constant": float(f"{constant:.6g}")}
