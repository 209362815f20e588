"""`targetprop bench`."""

import dataclasses
import json
from pathlib import Path
from typing import Literal

from ..experiments.benchmark import VARIANTS, InvertibleMLP, TanhMLP, Timing, measure
from ..training.paths import check_file, make_folder
from ..training.provenance import describe, environment
from .output import find_rule, print_json, print_table
from .parsing import parse


@dataclasses.dataclass(frozen=True)
class BenchOptions:
    """What `targetprop bench` takes."""

    network: Literal["mlp", "invertible"] = "mlp"
    """A tanh network with softmax cross-entropy, or the invertible network of GAIT-prop with the orthogonality penalty."""
    sizes: tuple[int, ...] | None = None
    """Widths of the layers, input and output included; 784-5x256-10 for mlp and 784-5x784 for invertible unless given."""
    batch: int | None = None
    """Minibatch size; 128 for mlp and 60 for invertible unless given."""
    dtype: Literal["float32", "float64"] = "float32"
    """Floating-point type."""
    rules: tuple[str, ...] | None = None
    """Rules to measure, or two-phase-integrated; all rules that the network is right for unless given."""
    rounds: int = 20
    """Rounds; each runs every rule once."""
    steps: int = 25
    """Steps per rule and round."""
    out: Path | None = None
    """File for the measurements, with versions and machine."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else there."""


def run(args: list[str]) -> int:
    """Measure what each rule costs."""
    description = "Time per joint step of each rule against a hand-written jitted backpropagation step with Adam."
    options = parse(BenchOptions, args=args, verb="bench", description=description)
    default = TanhMLP() if options.network == "mlp" else InvertibleMLP()
    given = {"sizes": options.sizes, "batch": options.batch}
    setting = dataclasses.replace(default, **{name: value for name, value in given.items() if value is not None})
    timing = Timing(options.rounds, options.steps)
    for name in options.rules or ():
        if name not in VARIANTS:
            find_rule(name)
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
        options.out.write_text(json.dumps(document | environment(), indent=1) + "\n")
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
