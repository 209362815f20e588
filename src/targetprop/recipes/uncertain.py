"""Networks of sigmoids that are initialised by neuron uncertainty."""

import dataclasses
import math
from typing import Literal

from ..activations import Sigmoid
from ..initializers import UNIFORM_INPUTS, neuron_uncertainty, published_neuron_uncertainty
from ..network import mlp
from ._base import Architecture

INITIALIZERS = {"published": published_neuron_uncertainty, "corrected": neuron_uncertainty}


@dataclasses.dataclass(frozen=True)
class UncertainMLP(Architecture):
    """A dense network of sigmoids, the output included, initialised by neuron uncertainty for inputs that are uniform on
    [0, 1]; `variance` says whether by the published formula or the corrected one (Farias and Maziero 2018, section 3.2)."""

    hidden: tuple[int, ...] = (100,)
    bias: bool = False
    variance: Literal["published", "corrected"] = "published"

    def build(self, input_shape, outputs, *, key, dtype):
        initializer = INITIALIZERS[self.variance]
        return mlp(
            (math.prod(input_shape), *self.hidden, outputs),
            Sigmoid(),
            output_activation=Sigmoid(),
            bias=self.bias,
            initializer=[initializer(inputs=UNIFORM_INPUTS)] + [initializer()] * len(self.hidden),
            key=key,
            dtype=dtype,
        )
