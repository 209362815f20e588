"""Backpropagation, the reference for all other rules."""

from typing import ClassVar

from .contract import Rule


class Backprop(Rule):
    """Backpropagation: `dh_i = J_{f,i+1}^T dh_{i+1}`.

    With an output stepsize of 1, the local gradients are the gradients of the loss.
    """

    name: ClassVar[str] = "bp"
    family: ClassVar[str] = "gradients"
    equation: ClassVar[str] = "dh_i = J_{i+1}^T dh_{i+1}"
    source: ClassVar[str] = "Rumelhart, Hinton and Williams 1986"

    def target_updates(self, network, feedback, batch):
        updates = [batch.output_update]
        for pullback in reversed(batch.trace.pullbacks[1:]):
            updates.append(pullback(updates[-1])[1])
        return tuple(reversed(updates))
