"""What a rule requires of the network that it trains."""

import enum


class Requirement(enum.Enum):
    """A property of the network that a rule requires. The value describes it in words."""

    DENSE_LAYERS = "dense layers"
    INVERTIBLE_ACTIVATIONS = "dense layers with activations onto the real line, from the second layer on"
    INVERTIBLE_LAYERS = "square layers, or auxiliary units, from the second layer on"


Requirements = frozenset[Requirement]
NOTHING: Requirements = frozenset()
