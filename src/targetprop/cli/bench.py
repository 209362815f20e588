"""`targetprop bench`."""

import dataclasses
import json
from pathlib import Path
from typing import Literal

from ..benchmark import measure
from ..provenance import environment
from ..rules import RULES
from .output import find_rule, print_json, print_table
from .parsing import parse


@dataclasses.dataclass(frozen=True)
class BenchOptions:
    """What `targetprop bench` takes."""

    sizes: tuple[int, ...] = (784, 256, 256, 256, 256, 256, 10)
    """Widths of the layers, input and output included."""
    batch: int = 128
    """Minibatch size."""
    dtype: Literal["float32", "float64"] = "float32"
    """Floating-point type."""
    rules: tuple[str, ...] = tuple(RULES)
    """Rules to measure."""
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
    for name in options.rules:
        find_rule(name)
    costs = measure(options.sizes, options.batch, options.dtype, options.rules, rounds=options.rounds, steps=options.steps)
    reference, *rules = (dataclasses.asdict(cost) for cost in costs)
    document = {
        "network": list(options.sizes),
        "batch": options.batch,
        "dtype": options.dtype,
        "reference": reference,
        "rules": rules,
    }
    if options.out is not None:
        options.out.write_text(json.dumps(document | environment(), indent=1) + "\n")
    if options.json:
        print_json(document)
    else:
        network = "-".join(map(str, options.sizes))
        rows = [
            (c.rule, f"{c.ms:.2f}", f"{c.ratio_to_bp:.2f}", f"{c.compile_seconds:.1f}", f"{c.temporary_mib:.1f}")
            for c in costs
        ]
        titles = ("rule", "ms per step", "ratio to bp", "compile (s)", "temporaries (MiB)")
        print_table(f"{network} tanh, batch {options.batch}, {options.dtype}", titles, rows)
    return 0
