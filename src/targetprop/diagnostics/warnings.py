"""Warnings: hidden layers that do not move, or that learn against the gradient."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..networks.layers import parameters
from ..networks.network import Network
from ..rules.updates import Layers
from .angles import flat

STANDSTILL = 1e-6


def movement(before: Network, now: Network) -> list[float]:
    """How far the parameters of each hidden layer have moved: `||now - before|| / ||before||`."""
    moved = []
    for one, other in zip(parameters(before).layers[:-1], parameters(now).layers[:-1], strict=True):
        start, end = (np.asarray(flat(layer), float) for layer in (one, other))
        moved.append(float(np.linalg.norm(end - start) / np.linalg.norm(start)))
    return moved


def training_warnings(record: dict[str, Any], trainable: Layers = None) -> list[str]:
    """Warnings about the trained hidden layers in an epoch, as sentences.

    - The layer moved by less than a millionth (`diagnostics/movement`).
    - The angle to backpropagation was above 90 degrees (`diagnostics/angle_bp`).
    - The target of the layer moved the layer above away from its target
      (`diagnostics/target_residual`).
    """
    still = [value < STANDSTILL for value in _layers(record, "movement")]
    against = [value > 90 for value in _layers(record, "angle_bp")]
    away = [value > 1 for value in _layers(record, "target_residual")]
    return [
        *(f"hidden layer {i} has stopped moving" for i in _trained(still, trainable)),
        *(f"hidden layer {i} learns at more than 90 degrees to the gradient" for i in _trained(against, trainable)),
        *(f"the target of hidden layer {i} moves layer {i + 1} away from its target" for i in _trained(away, trainable)),
    ]


def _layers(record: dict[str, Any], name: str) -> Sequence[float]:
    return record.get(f"diagnostics/{name}", ())


def _trained(marked: Sequence[bool], trainable: Layers) -> list[int]:
    return [i for i, mark in enumerate(marked, start=1) if mark and (trainable is None or i in trainable)]
