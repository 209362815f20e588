"""One table: the name, the color and the line of each rule. A rule keeps them in every figure.

Rules of one family have one color and differ in the line. Rules that are not in the table, a
user's own, have markers. So they look like no rule of the table.
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

# The colors of Okabe and Ito, which all kinds of color vision distinguish, pale yellow last
COLORS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#888888", "#F0E442")
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILLION, PINK, GRAY, YELLOW = COLORS
# Four dark ones that stay apart from these, see tests/figures/test_styles.py
BROWN, VIOLET, WINE, NAVY = "#6B3A0A", "#8A2BE2", "#8E1B56", "#2B2F8F"

SOLID, DASHED, DOTTED, DASH_DOTTED = "-", "--", ":", "-."
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


class Style(NamedTuple):
    """The look of a line.

    **Arguments:**

    - `color`: its color.
    - `line`: its line style.
    - `marker`: the marker at some of its points, or nothing.
    """

    color: str
    line: str | tuple = SOLID
    marker: str = ""


RULES: dict[str, tuple[str, Style]] = {
    "bp": ("BP", Style(BLACK)),
    # fixed random feedback
    "fa": ("FA", Style(PINK, DASHED)),
    "dfa": ("DFA", Style(PINK)),
    # plain target propagation
    "tp": ("TP", Style(VERMILLION)),
    "tp-ai": ("TP-AI", Style(VERMILLION, DASHED)),
    "tp-exact": ("TP, exact", Style(VERMILLION, DASH_DOTTED)),
    # difference target propagation
    "dtp": ("DTP", Style(BLUE)),
    "dtp-ai": ("DTP-AI", Style(BLUE, DASHED)),
    "dtp-lee": ("DTP, gradient on top", Style(BLUE, DASH_DOTTED)),
    "ao-sdtp": ("AO-SDTP", Style(BLUE, DOTTED)),
    "dtpdrl": ("DTPDRL", Style(GREEN)),
    # direct difference target propagation
    "ddtp-linear": ("DDTP-linear", Style(ORANGE)),
    "ddtp-control": ("DDTP-control", Style(ORANGE, DASHED)),
    "ddtp-ggn": ("DDTP-GGN", Style(ORANGE, DASH_DOTTED)),
    "ddtp-rhl": ("DDTP-RHL", Style(BROWN)),
    "ddtp-rhl-rec": ("DDTP-RHL (rec.)", Style(BROWN, DASHED)),
    # Gauss-Newton targets
    "gnt": ("GNT", Style(VIOLET)),
    "ggn": ("GGN", Style(VIOLET, DASHED)),
    # other inversions of the network
    "gait": ("GAIT", Style(SKY)),
    "itp": ("ITP", Style(SKY, DASHED)),
    "gradient-targets": ("gradient targets", Style(NAVY)),
    # continuous time
    "single-phase": ("single-phase", Style(WINE)),
    "two-phase": ("two-phase", Style(WINE, DASHED)),
    "multiplexing": ("multiplexing", Style(WINE, DASH_DOTTED)),
}
OWN = tuple(Style(color, SOLID, marker) for marker in MARKERS for color in (BLUE, VERMILLION, GREEN, PINK, SKY, BROWN))


def rule_name(name: str) -> str:
    """The name of a rule in figures, for example `DTP` for `dtp`.

    **Arguments:**

    - `name`: the name of a rule. One that is not in the table is returned as it is.
    """
    return RULES[name][0] if name in RULES else name


def rule_style(name: str) -> Style:
    """The look of a rule, the same in every figure.

    **Arguments:**

    - `name`: the name of a rule. One that is not in the table has a style with a marker.
    """
    return RULES[name][1] if name in RULES else OWN[zlib.crc32(name.encode()) % len(OWN)]


def styles(names: Sequence[str]) -> dict[str, tuple[str, Style]]:
    """Names and looks for the legend of one figure, all different.

    The name of a recipe, `SOURCE/DATASET/RULE`, has those of its rule. Where two would look alike,
    the later one gets the next style with a marker.

    **Arguments:**

    - `names`: names of rules or recipes, or names of the user's own.

    **Returns:** for each of them the name in the figure and the style.
    """
    short = {name: name.rpartition("/")[2] for name in names}
    found: dict[str, tuple[str, Style]] = {}
    for name, rule in short.items():
        single = list(short.values()).count(rule) == 1
        label, style = (rule_name(rule) if single else name), rule_style(rule)
        used = {other for _, other in found.values()}
        start = OWN.index(style) if style in OWN else zlib.crc32(name.encode())
        free = (OWN[(start + i) % len(OWN)] for i in range(len(OWN)))
        found[name] = (label, style if style not in used else next((one for one in free if one not in used), style))
    return found
