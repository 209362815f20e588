"""Tables in HTML, for notebooks."""

from collections.abc import Sequence
from html import escape


def html_table(titles: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", notes: Sequence[str] = ()) -> str:
    """A table in HTML. All texts are escaped.

    **Arguments:**

    - `titles`: the titles of the columns. The first column is aligned to the left.
    - `rows`: the rows.
    - `caption`: a line above the table.
    - `notes`: lines below the table.
    """
    head = _row("th", titles)
    body = "".join(_row("td", row) for row in rows)
    above = f'<caption style="caption-side: top; text-align: left">{escape(caption)}</caption>' if caption else ""
    below = "".join(f"<p>{escape(line)}</p>" for line in notes)
    return f"<table>{above}<thead>{head}</thead><tbody>{body}</tbody></table>{below}"


def _row(tag: str, entries: Sequence[str]) -> str:
    sides = ("left", *["right"] * (len(entries) - 1))
    cells = (f'<{tag} style="text-align: {side}">{escape(e)}</{tag}>' for side, e in zip(sides, entries, strict=True))
    return f"<tr>{''.join(cells)}</tr>"
