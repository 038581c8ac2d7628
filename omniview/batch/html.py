"""HTML from parts: whatever is not HTML already is escaped, so that no file's name can become markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["Html", "element", "join", "table"]


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def html_of(part: object) -> str:
    """A part as HTML: as it stands, or escaped."""
    return str(part) if isinstance(part, Html) else escape(str(part))


def join(parts: Iterable[object]) -> Html:
    """Parts one after the other."""
    return Html("".join(html_of(part) for part in parts))


def element(name: str, *parts: object, **attributes: str) -> Html:
    """An element; attributes with `_` for `-`, and `class_` for `class`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items()
    )
    return Html(f"<{name}{written}>{join(parts)}</{name}>")


def table(
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    caption: object = "",
    words: int = 1,
    kind: str = "",
) -> Html:
    """A table whose first columns are words, and whose others are numbers, set flush right.

    Args:
        head: names of the columns.
        rows: cells; the first of each row heads it.
        caption: above the table.
        words: how many columns from the left are words.
        kind: class of the table.
    """
    titles = join(
        element("th", cell, scope="col", **({} if k < words else {"class_": "n"}))
        for k, cell in enumerate(head)
    )
    lines = join(_row(row, words) for row in rows)
    above = element("caption", caption) if caption else Html("")
    body = join([above, element("thead", element("tr", titles)), element("tbody", lines)])
    inner = element("table", body, **({"class_": kind} if kind else {}))
    return element("div", inner, class_="wide")


def _row(row: Sequence[object], words: int) -> Html:
    cells = [element("th", row[0], scope="row")]
    cells += [
        element("td", cell, **({} if k < words else {"class_": "n"})) for k, cell in enumerate(row) if k
    ]
    return element("tr", join(cells))
