"""The frame of a page and its plain parts: cards and tables. Whoever calls has escaped what is HTML already."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from ale.pages.style import STYLE

_CODE = re.compile("`([^`]+)`")


def document(title: str, body: str, *, style: str = "") -> str:
    """A whole page. `title` is plain text, `body` HTML, `style` what the page needs besides the one stylesheet."""
    own = f"<style>{style}</style>" if style else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>{own}</head>\n"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    """A heading, and below it a panel of HTML; empty parts are left out."""
    inside = "\n".join(part for part in parts if part)
    return f'<section><h2>{escape(title)}</h2>\n<div class="panel">{inside}</div></section>'


def paragraph(text: str, *, kind: str = "") -> str:
    """Plain text, in which `code` may stand; `kind` is a class of the stylesheet: soft · bad · lead."""
    how = f' class="{kind}"' if kind else ""
    told = _CODE.sub(r"<code>\1</code>", escape(text))
    return f"<p{how}>{told}</p>"


def cards(figures: Iterable[tuple[str, str]]) -> str:
    """A row of figures, each a value and what it counts, both plain text."""
    return (
        '<div class="cards">'
        + "".join(
            f'<div class="card"><b>{escape(value)}</b><span>{escape(what)}</span></div>'
            for value, what in figures
        )
        + "</div>"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """A table of plain text; the columns at `numbers` stand at the right."""
    kind = [' class="n"' if place in numbers else "" for place in range(len(head))]
    top = "".join(f"<th{how}>{escape(cell)}</th>" for how, cell in zip(kind, head, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{how}>{escape(cell)}</td>" for how, cell in zip(kind, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'
