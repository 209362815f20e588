"""Every built-in rule is explained and cited, completely, and by what is really there."""

import dataclasses
import json
import re
from typing import ClassVar

import pytest

import targetprop as tp
from targetprop.cli import main
from targetprop.rules import RULES, Preset, Rule, explain
from targetprop.training.values import get_value

RULE = pytest.mark.parametrize("name", list(RULES))
FIELDS = {
    "article": {"author", "title", "journal", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "mastersthesis": {"author", "title", "school", "year"},
    "misc": {"author", "title", "year", "eprint"},
}


class Mine(Rule):
    """Somebody's own."""

    name: ClassVar[str] = "mine"
    equation: ClassVar[str] = "dh_i = m(h_i, k_i), m(h, k) = [h k]"
    source: ClassVar[str] = "Somebody 2024"

    def target_updates(self, network, feedback, batch):
        raise NotImplementedError


@RULE
def test_every_rule_has_a_public_name(name):
    assert RULES[name] in vars(tp).values()


def parse_entry(entry: str) -> tuple[str, str, dict[str, str]]:
    """Kind, key and fields of a BibTeX entry; fails where braces do not pair off or a value is not
    in braces.
    """
    head = re.match(r"@(\w+)\{([^\s,{}]+),", entry)
    assert head
    fields, rest = {}, entry[head.end() :].lstrip()
    while rest != "}":
        start = re.match(r"(\w+)\s*=\s*\{", rest)
        assert start, f"no field at {rest[:40]!r}"
        depth, end = 1, start.end()
        while depth:
            assert end < len(rest), f"the braces of {start[1]} do not close"
            depth += (rest[end] == "{") - (rest[end] == "}")
            end += 1
        assert start[1] not in fields
        fields[start[1]] = rest[start.end() : end - 1]
        rest = rest[end:].removeprefix(",").lstrip()
    return head[1], head[2], fields


# --- the bibliography -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", list(explain.bibliography()))
def test_entries_are_bibtex(key):
    kind, own_key, fields = parse_entry(explain.bibliography()[key])
    assert own_key == key
    assert fields.keys() >= FIELDS[kind]
    assert all(value.strip() for value in fields.values())
    assert re.fullmatch(r"(18|19|20)\d\d", fields["year"])
    assert key.endswith(fields["year"])
    assert all(re.fullmatch(r"[^,]+, [^,]+", author) for author in fields["author"].split(" and "))
    assert all(character.isascii() for character in explain.bibliography()[key]), "old BibTeX reads ASCII only"
    assert re.fullmatch(r"\d+--\d+|\d+", fields.get("pages", "1"))
    assert re.fullmatch(r"10\.\d{4,}/\S+", fields.get("doi", "10.1000/1"))


def test_no_entry_is_lost():
    text = explain._FILES.joinpath("references.bib").read_text("utf-8")
    assert len(explain.bibliography()) == text.count("@")
    assert "\n\n".join(explain.bibliography().values()) + "\n" == text


def test_a_broken_entry_is_noticed():
    whole = explain.bibliography()["lee2015"]
    parse_entry(whole)
    for broken in (whole.replace("},", ",", 1), whole.replace("{", "", 1), whole.replace(" = ", " ", 1)):
        with pytest.raises(AssertionError):
            parse_entry(broken)


# --- the explanations -----------------------------------------------------------------------------------------------


@RULE
def test_a_rule_is_cited(name):
    entries = explain.citations(RULES[name])
    assert entries
    parsed = {key: parse_entry(entry)[2] for key, entry in entries.items()}
    for part in RULES[name].source.split(";"):
        surname, year = re.search(r"([^\W\d]+)", part)[0], re.search(r"\d{4}", part)[0]
        spelled = surname.replace("ø", r"{\o}")
        assert any(f["author"].startswith(spelled) and f["year"] == year for f in parsed.values()), part


@RULE
def test_an_explanation_is_complete(name):
    rule, found = RULES[name], explain.explain(RULES[name])
    assert len(found.summary) > 60
    assert found.local
    assert found.not_local
    assert found.steps["targets"] != rule.equation, "the steps of the targets are the same line again"
    learns = rule().learns_feedback
    assert list(found.steps) == [step for step in explain.STEPS if step != "feedback" or learns]
    assert any("feedback loss" in equation.says for equation in found.equations) == learns
    assert all(text.strip() and text.endswith(".") for text in (found.summary, *found.local, *found.not_local))
    assert all(meaning for meaning in found.symbols.values())


@RULE
def test_an_explanation_names_the_hyperparameters_of_its_rule(name):
    text = json.dumps(dataclasses.asdict(explain.explain(RULES[name])))
    rule = RULES[name]
    names = rule.parameters if isinstance(rule, Preset) else [field.name for field in dataclasses.fields(rule)]
    for field in names:
        if field != "samples":  # how many draws are averaged changes no formula
            assert re.search(rf"\b{field}\b", text), field


@RULE
def test_symbols_are_used_and_explained(name):
    found = explain.explain(RULES[name])
    used = "\n".join([e.formula for e in found.equations] + list(found.steps.values()) + [*found.local, *found.not_local])
    for symbols in found.symbols:
        for symbol in symbols.split(", "):
            assert re.search(rf"(?<!\w){re.escape(symbol)}", used), f"{symbol} occurs nowhere"
    for symbol in ("lambda", "sigma", "eps", "penalty", "curvature_damping", "J_i", "G_i", "H_L", "B_i", "f_{i,L}", "g_i"):
        if re.search(rf"(?<!\w){re.escape(symbol)}(?!\w)", used):
            assert any(symbol in symbols.split(", ") for symbols in found.symbols), f"{symbol} is not explained"


def test_every_file_belongs_to_a_rule():
    assert {file.name for file in explain._FILES.iterdir()} == {"references.bib", *(f"{name}.toml" for name in RULES)}


# --- the command line -----------------------------------------------------------------------------------------------


@RULE
def test_explain_prints_a_page_of_80_columns(name, capfd):
    assert main(["explain", name]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines == [line.rstrip() for line in lines]
    found = explain.explain(RULES[name])
    text = "\n".join(lines)
    headings = ["Equations, for one sample", "Local", "Not local", "Symbols", "References"]
    assert [line for line in lines if line in headings] == headings
    for block in (*(equation.formula for equation in found.equations), *found.steps.values()):
        assert all(line in text for line in block.splitlines()), "a formula is broken over lines"
    flowing = " ".join(text.split())
    for prose in (found.summary, *found.local, *found.not_local, *found.symbols.values()):
        assert prose in flowing


@RULE
def test_documents(name, capfd):
    assert main(["explain", name, "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert (document["rule"], document["class"]) == (name, RULES[name].__name__)
    assert (document["equation"], document["source"]) == (RULES[name].equation, RULES[name].source)
    assert list(document["steps"]) == list(explain.explain(RULES[name]).steps)
    assert document["local"]
    assert document["not_local"]
    assert set(document["equations"][0]) == {"says", "formula", "source"}
    references = document["references"]
    assert main(["cite", name, "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["rule"] == name
    assert [reference["key"] for reference in document["references"]] == references
    assert main(["cite", name]) == 0
    assert capfd.readouterr().out == "\n\n".join(reference["bibtex"] for reference in document["references"]) + "\n"


def test_a_rule_of_the_user_needs_no_explanation(monkeypatch, capfd):
    monkeypatch.setitem(RULES, "mine", Mine)
    assert main(["explain", "mine"]) == 0
    text = capfd.readouterr().out
    assert "mine, targetprop.Mine" in text
    assert "Somebody 2024" in text
    assert "\n      dh_i = m(h_i, k_i)\n      m(h, k) = [h k]\n" in text
    assert main(["explain", "mine", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["steps"]["targets"] == Mine.equation
    assert document["references"] == document["not_local"] == []
    assert main(["cite", "mine"]) == 0
    assert capfd.readouterr().out == "% mine: Somebody 2024\n"


def test_a_combination_that_no_paper_has_explains_itself():
    """In one line; its equation is put together from its parts, and the steps say what its
    feedback learns.
    """
    rule = tp.TargetPropagation(tp.Direct(tp.Tanh()), tp.Plain(), tp.DifferenceReconstruction(), name="plain-direct")
    assert rule.equation == "dh_i = g_i(h_L + dh_L) - h_i, g_i(h_L) = t(Q_i h_L + c_i)"
    found = explain.explain(rule)
    assert [equation.says for equation in found.equations] == ["target update", "feedback mapping", "feedback loss"]
    assert found.steps["feedback"].startswith("gradient of ||g^diff_i(")
    assert explain.citations(rule) == {}


def test_each_short_hyperparameter_is_one_field_of_the_parts():
    for rule in RULES.values():
        if isinstance(rule, Preset):
            assert rule.fields.keys() == rule.parameters.keys() == rule.descriptions.keys()
            for name, parameter in rule.parameters.items():
                assert get_value(rule(), rule.fields[name]) == parameter.default
                assert rule.descriptions[name]
