"""How targets travel through feedback mappings: plain, with difference correction, in bursts."""

import abc
from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Array, Float

from .._array_checks import CheckedModule
from ..dynamics.multiplexing import free_bursts
from ..errors import ConfigError
from ..feedback.mappings import Mappings
from ..feedback.maps import Path
from ..feedback.readings import ActivityReading
from ..networks.network import Trace

OutputUpdate = Float[Array, "batch n_L"]


class Propagation(CheckedModule):
    """How the output update becomes the target updates of the hidden layers."""

    equation: ClassVar[str]
    corrected: ClassVar[bool] = True
    """Whether the target updates are zero if the output update is zero."""

    def check(self, mappings: Mappings) -> None:
        """Raises `ConfigError`, with the reason, if targets cannot travel through the mappings."""

    def paths(self, paths: Sequence[Path], trace: Trace) -> Sequence[Path]:
        """The paths that the targets take, given the paths of the mappings."""
        return paths

    @abc.abstractmethod
    def target_updates(self, paths: Sequence[Path], trace: Trace, output_update: OutputUpdate) -> tuple[Array, ...]:
        """`dh_1 .. dh_{L-1}`."""


class Plain(Propagation):
    """Target propagation: the reconstruction error of the mappings is part of the target.

    Meulemans et al. 2020, equation 3.
    """

    word: ClassVar[str] = "plain"

    equation: ClassVar[str] = "dh_i = g_i(h_k + dh_k) - h_i"
    corrected: ClassVar[bool] = False

    def target_updates(self, paths, trace, output_update):
        return propagate(paths, output_update, trace.h[1:-1])


class Difference(Propagation):
    """Difference target propagation: the reconstruction error is subtracted.

    Meulemans et al. 2020, Algorithm 1.
    """

    word: ClassVar[str] = "difference"

    equation: ClassVar[str] = "dh_i = g_i(h_k + dh_k) - g_i(h_k)"

    def target_updates(self, paths, trace, output_update):
        return propagate(paths, output_update)


class BurstChannel(Propagation):
    """Targets travel as burst probabilities `p_i`, in another channel than the event rates `h_i`.

    The mappings are evaluated at the burst probabilities (Meulemans 2019, equations 6.50 and 6.58.
    The printed `p^f_{i-1}` is a misprint).
    """

    word: ClassVar[str] = "burst-channel"

    equation: ClassVar[str] = "dh_i = g_i(p_{i+1} + dh_{i+1}) - g_i(p_{i+1}), p_i = g_i(p_{i+1}), p_L = h_L"

    def check(self, mappings):
        if mappings.direct:
            raise ConfigError(
                f"Burst probabilities travel from layer to layer, but {type(mappings).__name__} read the output: "
                "use Layerwise, LearnedInverses or ExactInverses."
            )

    def paths(self, paths, trace):
        bursts = free_bursts([path.g for path in paths], trace.output)
        return tuple(Path(p.g, ActivityReading(at.x), p.above) for p, at in zip(paths, bursts, strict=True))

    def target_updates(self, paths, trace, output_update):
        return propagate(paths, output_update)


def propagate(
    paths: Sequence[Path], output_update: OutputUpdate, activities: Sequence[Array] | None = None
) -> tuple[Array, ...]:
    """`dh_i = g_i(x + dx) - g_i(x)`, from the output down.

    `x` is what `g_i` reads, and `dx` is its displacement when the layer above moves.

    **Arguments:**

    - `paths`: the paths to the hidden layers.
    - `output_update`: `dh_L`, shape `(batch, n_L)`.
    - `activities`: `h_1 .. h_{L-1}`, or `None`. If they are given, the updates are
      `g_i(x + dx) - h_i`, which contain the reconstruction error.

    **Returns:** `dh_1 .. dh_{L-1}`.
    """
    depth = len(paths) + 1
    updates = {depth: output_update}
    for i in range(depth - 1, 0, -1):
        path, point = paths[i - 1], paths[i - 1].point
        moved = path.g.difference(point, path.reading.displacement(updates[path.above]))
        updates[i] = moved if activities is None else moved + (point.h - activities[i - 1])
    return tuple(updates[i] for i in range(1, depth))
