"""Every built-in rule is explained and cited, completely, and by what is really there."""

import dataclasses
import json
import re
from typing import ClassVar

import pytest

from targetprop.cli import main
from targetprop.rules import RULES, Rule, explain

RULE = pytest.mark.parametrize("name", list(RULES))
FIELDS = {
    "article": {"author", "title", "journal", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "mastersthesis": {"author", "title", "school", "year"},
    "misc": {"author", "title", "year", "eprint"},
}
EQUATION, ALGORITHM, CONDITION = r"\beqs?\.|\bequations?", r"\bAlgorithms?", r"\bConditions?"

# What can be referred to, as read in each paper; a paper that is not here is cited as a whole.
NUMBERED = {
    "Meulemans et al. 2020": {
        EQUATION: {str(n) for n in range(1, 197)},
        ALGORITHM: {str(n) for n in range(1, 6)},
        CONDITION: {"1", "2", "S1", "S2", "S3"},
        r"\bsection": {"1", "2", "3", "3.1", "3.2", "3.3", "3.4", "4", "5"},
        r"\bsupplement": {*"ABCD", "A.1", "A.2", "A.3", "A.4", "B.1", "B.2", "B.3", "C.1", "C.2", "C.3", "D.1", "D.2"},
    },
    "Ahmad et al. 2020": {EQUATION: {str(n) for n in range(1, 27)}, ALGORITHM: {"1"}},
    "Farias and Maziero 2018": {EQUATION: {str(n) for n in range(1, 52)}, ALGORITHM: {"1"}},
    "Meulemans 2019": {
        EQUATION: {f"{chapter}.{n}" for chapter, last in ((4, 106), (5, 61), (6, 59)) for n in range(1, last + 1)},
        ALGORITHM: {"4.1", *(f"A.{n}" for n in range(1, 18))},
        r"\bsection": {
            "4.1",
            "4.1.1",
            "4.2",
            "4.2.3",
            "4.3",
            "4.3.1",
            "4.3.2",
            "4.3.3",
            "5.1.1",
            "5.2",
            "5.2.1",
            "5.2.2",
            *(f"6.{n}" for n in range(1, 10)),
        },
    },
}
NUMBER = r"([A-Z]?\d+(?:\.\d+)*|[A-D](?:\.\d+)?)\b"


class Mine(Rule):
    """Somebody's own."""

    name: ClassVar[str] = "mine"
    equation: ClassVar[str] = "dh_i = m(h_i, k_i), m(h, k) = [h k]"
    source: ClassVar[str] = "Somebody 2024"

    def target_updates(self, network, feedback, trace, output_update):
        raise NotImplementedError


def parse_entry(entry: str) -> tuple[str, str, dict[str, str]]:
    """Kind, key and fields of a BibTeX entry; fails where braces do not pair off or a value is not in braces."""
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


def claims(source: str):
    """Each numbered thing that a source names, with its paper: `("Meulemans et al. 2020", EQUATION, "71")`."""
    paper = ""
    for part in source.split(";"):
        named = re.search(r"(18|19|20)\d\d", part)
        paper = next((known for known in NUMBERED if known in part), part if named else paper)
        for kind in (EQUATION, ALGORITHM, CONDITION, r"\bsection", r"\bsupplement"):
            for found in re.finditer(rf"(?:{kind}) {NUMBER}(?:(?:, | and ){NUMBER})*", part):
                for number in re.findall(NUMBER, found[0]):
                    yield paper, kind, number


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
    learns = rule.feedback_gradients is not Rule.feedback_gradients
    assert list(found.steps) == [step for step in explain.STEPS if step != "feedback" or learns]
    assert any("feedback loss" in equation.says for equation in found.equations) == learns
    assert all(text.strip() and text.endswith(".") for text in (found.summary, *found.local, *found.not_local))
    assert all(meaning for meaning in found.symbols.values())


@RULE
def test_an_explanation_names_the_hyperparameters_of_its_rule(name):
    text = json.dumps(dataclasses.asdict(explain.explain(RULES[name])))
    for field in dataclasses.fields(RULES[name]):
        if field.name != "samples":  # how many draws are averaged changes no formula
            assert re.search(rf"\b{field.name}\b", text), field.name


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


@RULE
def test_numbers_of_equations_are_those_of_the_paper(name):
    rule = RULES[name]
    for source in (rule.source, rule.__doc__, *(equation.source for equation in explain.explain(rule).equations)):
        for paper, kind, number in claims(source):
            assert number in NUMBERED.get(paper, {}).get(kind, ()), f"read {paper} and write down what it has: {source}"


def test_claims_are_found():
    source = "Lee et al. 2015; Meulemans et al. 2020, eqs. 71, 66 and 9 and supplement B.1"
    paper = "Meulemans et al. 2020"
    assert list(claims(source)) == [*((paper, EQUATION, n) for n in ("71", "66", "9")), (paper, r"\bsupplement", "B.1")]
    assert [number for *_, number in claims("Meulemans et al. 2020, eq. 163, Condition S3")] == ["163", "S3"]
    assert list(claims("Meulemans et al. 2020, eq. 9; one sample: eq. 11"))[1] == (paper, EQUATION, "11")
    assert [paper in NUMBERED for paper, *_ in claims("Meulemans et al. 2020, eq. 3; Lee et al. 2015, eq. 15")] == [
        True,
        False,
    ]


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
    assert "mine, class Mine" in text
    assert "Somebody 2024" in text
    assert "\n      dh_i = m(h_i, k_i)\n      m(h, k) = [h k]\n" in text
    assert main(["explain", "mine", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["steps"]["targets"] == Mine.equation
    assert document["references"] == document["not_local"] == []
    assert main(["cite", "mine"]) == 0
    assert capfd.readouterr().out == "% mine: Somebody 2024\n"
