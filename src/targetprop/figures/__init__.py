"""How figures look: canvas and files, lines and bands, one color for each rule, names in words.

It knows no training. `training`, `experiments` and `papers` draw with it. Matplotlib is imported
when the first figure is drawn.
"""

from .canvas import FORMATS, Format, canvas, legend, note, save
from .lines import MEAN_BAR, QUARTILE_BAND, Curve, curve, curves, layer_colors, quartiles, seeds_note, smooth_curve
from .names import dataset_name
from .panels import covered, grid, log_scale, whole_numbers
from .runs import KINDS, RuleCurves, kinds
from .styles import (
    BLACK,
    BLUE,
    COLORS,
    DASH_DOTTED,
    DASHED,
    DOTTED,
    GRAY,
    GREEN,
    NAVY,
    ORANGE,
    SOLID,
    VERMILLION,
    Style,
    rule_name,
    rule_style,
    styles,
)
from .training import training_figure

__all__ = [
    "BLACK",
    "BLUE",
    "COLORS",
    "DASHED",
    "DASH_DOTTED",
    "DOTTED",
    "FORMATS",
    "GRAY",
    "GREEN",
    "KINDS",
    "MEAN_BAR",
    "NAVY",
    "ORANGE",
    "QUARTILE_BAND",
    "SOLID",
    "VERMILLION",
    "Curve",
    "Format",
    "RuleCurves",
    "Style",
    "canvas",
    "covered",
    "curve",
    "curves",
    "dataset_name",
    "grid",
    "kinds",
    "layer_colors",
    "legend",
    "log_scale",
    "note",
    "quartiles",
    "rule_name",
    "rule_style",
    "save",
    "seeds_note",
    "smooth_curve",
    "styles",
    "training_figure",
    "whole_numbers",
]
