"""`targetprop bench`."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from .._files import write_whole
from ..experiments.benchmark import VARIANTS, InvertibleMLP, TanhMLP, Timing, measure
from ..training.paths import check_file, make_folder
from ..training.provenance import describe, environment
from .names import check_rule_name
from .output import print_json, print_table
from .tree import Command


@dataclasses.dataclass(frozen=True)
class BenchOptions:
    """The flags of `targetprop bench`."""

    network: Literal["mlp", "invertible"] = "mlp"
    """mlp: a tanh network with softmax cross-entropy.
    invertible: the network of GAIT-prop, with the orthogonality penalty."""
    sizes: tuple[int, ...] | None = None
    """Widths of the layers, with input and output. Default: 784, five times 256, 10 for mlp;
    six times 784 for invertible."""
    batch: int | None = None
    """Minibatch size. Default: 128 for mlp, 60 for invertible."""
    dtype: Literal["float32", "float64"] = "float32"
    """Floating-point type."""
    rules: tuple[str, ...] | None = None
    """Rules to measure. Default: all rules that the network is suitable for.
    two-phase-integrated and bp-own-loop, which is bp by value_and_grad, are measured only if they
    are named."""
    rounds: int = 20
    """Number of rounds. Each round runs every rule once."""
    steps: int = 25
    """Steps per rule and round."""
    out: Path | None = None
    """File for the measurements. Versions and machine are written with them.
    Default: no file."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


def command(args: Sequence[str]) -> Command:
    """`targetprop bench`."""
    return Command(BenchOptions(), run)


def run(options: BenchOptions) -> int:
    """Measure the time per joint step of each rule, beside a hand-written backpropagation step.

    Returns 0."""
    default = TanhMLP() if options.network == "mlp" else InvertibleMLP()
    given = {"sizes": options.sizes, "batch": options.batch}
    setting = dataclasses.replace(default, **{name: value for name, value in given.items() if value is not None})
    timing = Timing(options.rounds, options.steps)
    for name in options.rules or ():
        if name not in VARIANTS:
            check_rule_name(name)
    if options.out is not None:
        check_file(options.out)
        make_folder(options.out.parent)
    costs = measure(setting, options.dtype, options.rules, timing=timing)
    reference, *rules = (dataclasses.asdict(cost) for cost in costs)
    document = {
        "network": list(setting.sizes),
        "setting": describe(setting),
        "batch": setting.batch,
        "dtype": options.dtype,
        "reference": reference,
        "rules": rules,
    }
    if options.out is not None:
        write_whole(options.out, json.dumps(document | environment(), indent=1) + "\n")
    if options.json:
        print_json(document)
    else:
        network = "-".join(map(str, setting.sizes))
        rows = [
            (c.rule, f"{c.ms:.2f}", f"{c.ratio_to_bp:.2f}", f"{c.compile_seconds:.1f}", f"{c.temporary_mib:.1f}")
            for c in costs
        ]
        titles = ("rule", "ms per step", "ratio to bp", "compile (s)", "temporaries (MiB)")
        print_table(f"{network}, {options.network}, batch {setting.batch}, {options.dtype}", titles, rows)
    return 0
