"""Tables in HTML: every text is shown as it is."""

from html.parser import HTMLParser

from targetprop._html import html_table

ODD = '<script>alert("1 & 2")</script>'


class Parsed(HTMLParser):
    """The texts of a document by tag, and all tags."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.setdefault(self.open[-1], []).append(data)


def test_texts_are_escaped_and_tags_are_closed():
    found = Parsed(html_table(("a", ODD), [[ODD, "1"], ["b", ODD]], ODD, [ODD]))
    assert found.open == []
    assert found.texts == {"caption": [ODD], "th": ["a", ODD], "td": [ODD, "1", "b", ODD], "p": [ODD]}


def test_without_caption_and_notes_there_is_the_table_alone():
    found = Parsed(html_table(("a",), [["1"]]))
    assert found.texts == {"th": ["a"], "td": ["1"]}
