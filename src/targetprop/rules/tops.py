"""The top of the network as the feedback mappings see it, where their targets set out from."""

import abc
import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ..errors import ConfigError, check_not_negative
from ..feedback.mappings import Mappings
from ..feedback.metrics import Euclidean, OutputMetric
from ..networks.activations import Activation, Tanh
from ..networks.auxiliary import WithAuxiliaryUnits
from ..networks.layers import Dense, Fixed, parameters
from ..networks.network import Network, Trace
from .contract import Minibatch


class View(NamedTuple):
    """What the mappings see.

    **Arguments:**

    - `network`: the network. Its last layer is where targets set out from.
    - `feedback`: the parameters of the mappings.
    - `batch`: the minibatch, with the trace of this network and the target update of its last
      layer.
    """

    network: Network
    feedback: Any
    batch: Minibatch


class Top(eqx.Module):
    """Where the targets of the mappings set out from.

    - `equation`: what is added to the formula of the target updates.
    - `changes`: whether the mappings see another network than the one that is trained.
    """

    equation: ClassVar[str]
    changes: ClassVar[bool] = True

    def check(self, mappings: Mappings, metric: OutputMetric) -> None:
        """Raises `ConfigError`, with the reason, if the parts do not fit this top."""
        if self.changes and mappings.has_post_update:
            raise ConfigError(
                f"{type(mappings).__name__} are inverses of the network that is trained, but {type(self).__name__} shows "
                "them another one: use the top OutputLayer(), or mappings that learn."
            )
        if self.changes and not isinstance(metric, Euclidean):
            raise ConfigError(
                f"{type(metric).__name__} measures the output, but targets set out from {type(self).__name__}: "
                "use the metric Euclidean(), or the top OutputLayer()."
            )

    @abc.abstractmethod
    def init(self, mappings: Mappings, network: Network, *, key: PRNGKeyArray) -> Any:
        """Feedback parameters.

        **Raises:** `ConfigError` if the network does not fit.
        """

    @abc.abstractmethod
    def view(self, network: Network, feedback: Any, batch: Minibatch) -> View:
        """What the mappings see of a network, its feedback and a minibatch."""

    def trace(self, trace: Trace) -> Trace:
        """A trace with the shapes of the activities that the mappings see."""
        return trace

    def gradients(self, feedback: Any, gradients: Any) -> Any:
        """The gradients of the mappings in the structure of `parameters(feedback)`."""
        return gradients


class OutputLayer(Top):
    """Targets set out from the output: the mappings see the network as it is."""

    word: ClassVar[str] = "output"

    equation: ClassVar[str] = ""
    changes: ClassVar[bool] = False

    def init(self, mappings, network, *, key):
        return mappings.init(network, key=key)

    def view(self, network, feedback, batch):
        return View(network, feedback, batch)


class GradientTop(Top):
    """Targets set out from the last hidden layer, whose own target is a step along the gradient.

    `dh_{L-1} = J_L^T dh_L`, with `J_L` the derivative of the output layer. That is
    `-stepsize dl/dh_{L-1}` per sample (Lee et al. 2015, Algorithm 1; Meulemans 2019, section
    3.1.2). There is no mapping from the output. The mappings see the network without its output
    layer. `init` raises `ConfigError` if there is only one hidden layer.
    """

    word: ClassVar[str] = "gradient"

    equation: ClassVar[str] = "dh_{L-1} = J_L^T dh_L"

    def init(self, mappings, network, *, key):
        if network.depth < 3:
            raise ConfigError(
                "With fewer than two hidden layers, a gradient as the target of the last one is backpropagation: "
                "use the rule bp, or more hidden layers."
            )
        return mappings.init(_without_output(network), key=key)

    def view(self, network, feedback, batch):
        _, update = batch.trace.pullbacks[-1](batch.output_update)
        seen = dataclasses.replace(batch, trace=self.trace(batch.trace), output_update=update, loss=None, target=None)
        return View(_without_output(network), feedback, seen)

    def trace(self, trace):
        return Trace(trace.points[:-1], trace.pullbacks[:-1])


def _without_output(network: Network) -> Network:
    return Network(network.layers[:-1], network.input_shape)


class AuxiliaryFeedback(NamedTuple):
    """Feedback parameters with auxiliary outputs.

    **Arguments:**

    - `auxiliary`: the layer of the auxiliary outputs, which is not trained.
    - `maps`: the parameters of the mappings.
    """

    auxiliary: Fixed
    maps: Any


class AuxiliaryOutputs(Top):
    """Targets set out from `[h_L, z]`, the output with auxiliary outputs `z = s(V h_{L-1})`.

    `V` is random and never trained. The loss does not depend on `z`, so the target of `z` is `z`
    itself. But the mapping to the last hidden layer reads `z` too. So that layer has different
    targets for two samples with the same output (Bartunov et al. 2018; Meulemans 2019, equation
    3.16). `init` raises `ConfigError` if `units` is 0 and the last hidden layer is not wider than
    the output.
    """

    word: ClassVar[str] = "auxiliary-outputs"

    units: int = eqx.field(static=True, default=0)
    """Number of auxiliary outputs. 0: as many as make `[h_L, z]` as wide as the last hidden
    layer."""
    activation: Activation = Tanh()
    """Nonlinearity `s` of the auxiliary outputs."""

    equation: ClassVar[str] = "h_L with [h_L z], z = s(V h_{L-1}), V fixed"

    def __check_init__(self):
        check_not_negative(self, "units")

    def init(self, mappings, network, *, key):
        inputs, outputs = (math.prod(shape) for shape in network.shapes[-2:])
        units = self._count(inputs, outputs)
        if units < 1:
            raise ConfigError(
                f"The last hidden layer has {inputs} units and the output {outputs}, so no auxiliary outputs are left: "
                "give their number, `auxiliary_units`, or use a wider hidden layer."
            )
        # The mappings take the keys up to L - 1.
        own = jax.random.fold_in(key, network.depth)
        layer = Dense.create((inputs, units), self.activation, bias=False, key=own, dtype=network.dtype)
        auxiliary = Fixed(layer)
        return AuxiliaryFeedback(auxiliary, mappings.init(_with_units(network, auxiliary), key=key))

    def view(self, network, feedback, batch):
        extended = _with_units(network, feedback.auxiliary)
        top = Network(extended.layers[-1:], network.shapes[-2]).trace_at(batch.h[-2:-1])
        trace = Trace((*batch.trace.points[:-1], *top.points), (*batch.trace.pullbacks[:-1], *top.pullbacks))
        units = trace.output.shape[1] - batch.output_update.shape[1]
        update = jnp.pad(batch.output_update, ((0, 0), (0, units)))
        seen = dataclasses.replace(batch, trace=trace, output_update=update, loss=None, target=None)
        return View(extended, feedback.maps, seen)

    def trace(self, trace):
        *below, last = trace.points
        units = self._count(*(math.prod(values.shape[1:]) for values in (last.x, last.h)))
        wider = last._replace(h=jnp.pad(last.h, ((0, 0), (0, units))))
        return trace._replace(points=(*below, wider))

    def gradients(self, feedback, gradients):
        return parameters(feedback)._replace(maps=gradients)

    def _count(self, inputs: int, outputs: int) -> int:
        return self.units or inputs - outputs


def _with_units(network: Network, auxiliary: Fixed) -> Network:
    *below, output = network.layers
    return Network([*below, WithAuxiliaryUnits(output, auxiliary)], network.input_shape)
