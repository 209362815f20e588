"""What is known of a case of the harness."""

import dataclasses

from faults.processes import Finding


@dataclasses.dataclass
class Case:
    """One case: what was done to which command, and what was wrong.

    **Arguments:**

    - `kind`: `kills`, `command lines` or `faults`.
    - `name`: what happened.
    - `command`: the command line.
    """

    kind: str
    name: str
    command: str
    kills: int = 0
    failures: list[Finding] = dataclasses.field(default_factory=list)

    def add(self, findings: list[Finding]) -> None:
        """Note failures. The same is noted once."""
        self.failures += [finding for finding in findings if finding not in self.failures]

    def __str__(self) -> str:
        told = "".join(f"\n  {kind}: {text}" for kind, text in self.failures)
        return f"{self.name}: targetprop {self.command}{told}"
