"""Trained networks in files: safetensors with a header that says how the network is built.

The arrays have readable names: `layers.0.weight`, and `feedback.0.dense.weight` for the feedback.
Any reader of safetensors finds them. Nothing is pickled. Files are written completely or not at
all.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from .._checks import check_is
from ..errors import ConfigError
from ..networks.network import Network
from ..rules import Rule
from .building import build
from .paths import as_path, make_folder
from .precision import precision
from .provenance import describe
from .result import Result, Trained
from .structure import UnknownTypeError, decode, encode, fill, named_arrays
from .tensors import read_tensors, write_tensors

HEADER, VERSION, FEEDBACK, MODELS = "targetprop", 1, "feedback", "models"


def save_model(path: Path | str, network: Network, feedback: Any = None, *, rule: Rule | None = None) -> None:
    """Write a network to a file in the safetensors format.

    **Arguments:**

    - `path`: the file. It is replaced if there is one.
    - `network`: the network.
    - `feedback`: the feedback of its rule.
    - `rule`: the rule.
    """
    path = as_path(path, "path")
    check_is("network", network, Network)
    check_is("rule", rule, (Rule, type(None)))
    structure = {
        "version": VERSION,
        "network": encode(network),
        "feedback": encode(feedback, FEEDBACK),
        "rule": describe(rule),
    }
    arrays = named_arrays(network) | named_arrays(feedback, FEEDBACK)
    _write(path, arrays, {HEADER: json.dumps(structure)})


def export_weights(path: Path | str, network: Network) -> None:
    """Write the arrays of a network alone, as safetensors with the names `layers.0.weight`, ..

    Dense weights have the shape `(outputs, inputs)`, as in PyTorch.
    """
    path = as_path(path, "path")
    check_is("network", network, Network)
    _write(path, named_arrays(network), {})


def load_model(path: Path | str, like: Network | Trained | None = None) -> Trained:
    """The network that `save_model` wrote, with its feedback and its rule.

    **Arguments:**

    - `path`: the file.
    - `like`: a network with the same structure, for a network with layers of your own. Or a
      `Trained` with such a network and such feedback. Its arrays are replaced.

    **Returns:** the network. float64 arrays remain float64.

    **Raises:** `ConfigError` if the file is missing, is damaged, does not fit `like`, or holds
    layers that are not of targetprop while `like` is not given.
    """
    path = as_path(path, "path")
    check_is("like", like, (Network, Trained, type(None)))
    arrays, metadata = _read(path)
    if HEADER not in metadata:
        raise ConfigError(f"{path} does not say how its network is built: write the file with `save_model`.")
    wide = any(array.dtype.itemsize == 8 for array in arrays.values())
    try:
        structure = json.loads(metadata[HEADER])
        with precision("float64" if wide else "float32"):
            return _rebuilt(path, structure, arrays, like)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path} is damaged ({error}): write it again with `save_model`.") from error


def _rebuilt(path: Path, structure: dict, arrays: dict[str, np.ndarray], like: Network | Trained | None) -> Trained:
    others = {name: array for name, array in arrays.items() if name.split(".")[0] == FEEDBACK}
    own = {name: array for name, array in arrays.items() if name not in others}
    try:
        if like is None:
            network = _decoded(structure["network"], own)
        else:
            network = fill(like.network if isinstance(like, Trained) else like, own)
        feedback = (
            fill(like.feedback, others, FEEDBACK) if isinstance(like, Trained) else decode(structure["feedback"], others)
        )
    except UnknownTypeError as error:
        what = "tp.load_model(path, like=network)" if like is None else "like=tp.Trained(network, feedback)"
        raise ConfigError(
            f"{path} holds a {error}, which is not a part of targetprop, so it cannot be built from the file alone: "
            f"make one of the same structure and give it, {what}."
        ) from None
    if not isinstance(network, Network):
        raise TypeError(f"it holds a {type(network).__name__} in place of a network")
    rule = structure["rule"]
    return Trained(network, feedback, None if rule is None else build(Rule, rule, "rule"))


def _decoded(structure: Any, arrays: dict[str, np.ndarray]) -> Any:
    """`decode`, with a `ValueError` for parts that do not fit each other: the file is damaged."""
    try:
        return decode(structure, arrays)
    except UnknownTypeError:
        raise
    except ConfigError as error:
        raise ValueError(error) from error


def save_models(folder: Path, result: Result) -> None:
    """Write the best network of each seed of a run, as `models/seed0.safetensors`."""
    for seed, best in zip(result.seeds, result.best, strict=True):
        if best is not None:
            save_model(folder / MODELS / f"seed{seed.seed}.safetensors", best.network, best.feedback, rule=best.rule)


def model_files(folder: Path) -> list[Path]:
    """The files that `save_models` wrote in the folder of a run."""
    return list((folder / MODELS).glob("seed*.safetensors"))


def _write(path: Path, arrays: dict[str, Any], metadata: dict[str, str]) -> None:
    make_folder(path.parent)
    write_tensors(path, arrays, metadata)


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        return read_tensors(path)
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}: correct the path.") from None
    except ValueError as error:
        raise ConfigError(f"{path} is damaged ({error}): write it again with `save_model`.") from error
