"""Fill the table of docs/trust.md from the figures of the last `make test-faults`.

The table is between two marks, `<!-- table faults -->` and `<!-- end -->`.
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
REPORT, PAGE = ROOT / "benchmarks" / "faults.json", ROOT / "docs" / "trust.md"


def table(found: dict[str, Any]) -> str:
    """A row for each kind of case, and the machine and the versions below."""
    rows = [("", "cases", "failed", "failures by kind"), ("---", "---:", "---:", "---")]
    for kind, counts in found["kinds"].items():
        told = ", ".join(f"{number} {name}" for name, number in sorted(counts["failures"].items())) or "none"
        cases = f"{counts['cases']} runs, {counts['kills']} kills" if "kills" in counts else str(counts["cases"])
        rows.append((kind, cases, str(counts["failed"]), told))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    machine = found["machine"]
    return "\n".join([*lines, "", f"{machine['system']}, {machine['processor']}, {machine['cores']} cores; {versions}."])


def fill(text: str, found: dict[str, Any]) -> str:
    """The page with the table made anew."""
    made = f"<!-- table faults -->\n{table(found)}\n<!-- end -->"
    return re.sub(r"<!-- table faults -->\n.*?<!-- end -->", lambda _: made, text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text(), json.loads(REPORT.read_text())))
