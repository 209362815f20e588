"""One table of colors: a rule keeps its color, and all kinds of color vision tell the colors apart."""

import itertools
import re

import numpy as np
import pytest

import targetprop as tp
from targetprop.figures import RuleCurves, rule_style, styles, training_figure
from targetprop.figures.styles import OWN, RULES
from targetprop.papers.meulemans2020.alignment import METHODS
from targetprop.papers.thesis2019.regression_figures import LABELS

# What is left of linear RGB without one kind of cones (Machado, Oliveira and Fernandes 2009, severity 1)
VISION = {
    "all cones": np.eye(3),
    "no long": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no middle": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no short": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def linear(color: str) -> np.ndarray:
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """The color in CIELAB, in which a distance of some 2 can just be seen."""
    xyz = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_no_two_rules_of_the_table_look_alike():
    assert set(RULES) <= set(tp.RULES)  # a rule that is not in the table has a look of its own too
    looks = [style for _, style in RULES.values()]
    assert len(set(looks)) == len(looks)
    assert not set(looks) & set(OWN)
    assert len({name for name, _ in RULES.values()}) == len(RULES)


@pytest.mark.parametrize("vision", VISION)
def test_all_kinds_of_color_vision_distinguish_the_colors(vision):
    colors = {style.color for _, style in RULES.values()}
    seen = [lab(np.array(VISION[vision]) @ linear(color)) for color in colors]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) > 12


@pytest.mark.parametrize("family", [("tp", "tp-ai", "tp-exact"), ("dtp", "dtp-ai"), ("fa", "dfa"), ("gnt", "ggn")])
def test_rules_of_a_family_share_a_color(family):
    assert len({rule_style(rule).color for rule in family}) == 1


def color_of(figure, label):
    (line,) = {line.get_color() for axes in figure.axes for line in axes.lines if line.get_label() == label}
    return line


def compared(*rules):
    history = [{"epoch": e, "test_error": 9.0 - e, "train_loss": 1.0, "validation_error": None} for e in (1, 2)]
    return training_figure([RuleCurves(rule, "%", [history]) for rule in rules], "digits")


def test_a_rule_keeps_its_color_whatever_it_is_compared_with():
    first, second = compared("bp", "dtp", "mine"), compared("mine", "ddtp-linear", "dtp", "fa")
    assert color_of(first, "DTP") == color_of(second, "DTP") == rule_style("dtp").color
    assert color_of(first, "mine") == color_of(second, "mine") == rule_style("mine").color


def test_the_papers_use_the_colors_of_the_table():
    for method, (_, style) in METHODS.items():
        base = next(rule for rule in sorted(RULES, key=len, reverse=True) if method.startswith(rule))
        assert style.color == rule_style(base).color
    assert LABELS["tp-ai"][1] == rule_style("tp-ai")
    assert LABELS["bp"][1] == rule_style("bp")


def test_recipes_have_the_name_and_the_look_of_their_rule():
    found = styles(["meulemans2020/mnist/dtp", "gait2020/mnist/bp"])
    assert found == {"meulemans2020/mnist/dtp": ("DTP", rule_style("dtp")), "gait2020/mnist/bp": ("BP", rule_style("bp"))}


def test_two_recipes_of_one_rule_keep_their_own_names_and_differ():
    names = ["a/mnist/dtp", "b/mnist/dtp"]
    found = styles(names)
    assert [label for label, _ in found.values()] == names
    assert len({style for _, style in found.values()}) == 2


def test_rules_of_the_user_never_look_like_another_line():
    names = [f"rule {i}" for i in range(40)]
    found = [style for _, style in styles(["bp", *names]).values()]
    assert len(set(found)) == 41
    assert all(style.marker for style in found[1:])


def test_colors_are_written_in_hexadecimal():
    assert all(re.fullmatch("#[0-9A-F]{6}", style.color) for _, style in RULES.values())
