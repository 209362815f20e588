"""The numbers that pin every rule across a refactoring: `python tests/rules/pinned.py` writes them
to `pinned.json`.

They are the library's own, so they say that nothing has moved, not that anything is right. Four
joint steps are computed in double precision, but the noise is drawn in float32. The last digit of
a draw depends on how the program is compiled: some draws differ by 2e-7 of their size, and then
feedback losses by 4e-7. `TOLERANCE` leaves room for this.
"""

import json
from pathlib import Path

import jax
import numpy as np

from targetprop.networks.layers import parameters
from targetprop.rules import RULES
from targetprop.testing.cases import Training
from targetprop.training.state import TrainingState

FILE = Path(__file__).with_suffix(".json")
TOLERANCE = 1e-5


def summary(state: TrainingState) -> dict[str, list[float]]:
    """The norm of every array of the network and of its feedback, and the sums of the losses."""

    def norms(tree) -> list[float]:
        return [float(np.linalg.norm(np.asarray(leaf))) for leaf in jax.tree.leaves(parameters(tree))]

    totals = [float(total) for total in np.atleast_1d(state.totals.loss)]
    feedback_losses = np.asarray(state.totals.feedback_loss, float).tolist()
    return {
        "network": norms(state.network),
        "feedback": norms(state.feedback),
        "loss": totals,
        "feedback_loss": feedback_losses,
    }


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    found = {name: summary(Training(rule()).reference) for name, rule in RULES.items()}
    FILE.write_text(json.dumps(found, indent=1) + "\n")
