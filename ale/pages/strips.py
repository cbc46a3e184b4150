"""Bars as inline SVG, as wide as the cell that holds them: a share with its interval, or the parts of a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

HEIGHT = 10
"""Pixels."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a whole: what it is, how much, and a class of the stylesheet that colours it."""

    name: str
    amount: float
    hue: str


@dataclass(frozen=True, slots=True)
class Row:
    """A name, and beside it bars (of `share_strip`) and what they say, one line per bar."""

    name: str
    strips: Sequence[str]
    figures: Sequence[str]
    whole: bool = False
    """It sums up the rows below."""


def strip_table(rows: Iterable[Row]) -> str:
    """Rows under each other; on a phone the name stands above its bars."""
    body = "".join(
        f"<tr><td>{f'<b>{escape(row.name)}</b>' if row.whole else escape(row.name)}</td>"
        f'<td class="strips">{"".join(row.strips)}</td>'
        f'<td class="figures">{"<br>".join(escape(line) for line in row.figures)}</td></tr>'
        for row in rows
    )
    return f'<table class="bars">{body}</table>'


def share_strip(share: float, interval: tuple[float, float] | None, hue: str, told: str) -> str:
    """A bar that is full at 1, with the interval as a line across its end; `told` says it in words."""
    middle = HEIGHT / 2
    line = ""
    if interval is not None:
        low, high = (f"{100 * _within(end):.1f}%" for end in interval)
        line = f'<line class="interval" x1="{low}" x2="{high}" y1="{middle:g}" y2="{middle:g}"/>'
    return _strip(
        f'<rect class="track" width="100%" height="{HEIGHT}" rx="3"/>'
        f'<rect class="part" width="{100 * _within(share):.1f}%" height="{HEIGHT}" rx="3"/>{line}',
        told,
        hue,
    )


def parts_strip(parts: Sequence[Part], told: str, *, of: float = 0.0) -> str:
    """One bar of all parts side by side, which ends where the whole does: at `of`, or at their sum if that is more."""
    total = max(of, sum(part.amount for part in parts))
    pieces, at = [], 0.0
    for part in parts:
        width = 100 * part.amount / total if total else 0.0
        if width:
            pieces.append(
                f'<g class="{escape(part.hue)}"><rect class="part" x="{at:.2f}%" width="{width:.2f}%" height="{HEIGHT}">'
                f"<title>{escape(part.name)}</title></rect></g>"
            )
        at += width
    return _strip(f'<rect class="track" width="100%" height="{HEIGHT}"/>' + "".join(pieces), told, "")


def _strip(inside: str, told: str, hue: str) -> str:
    return (
        f'<svg class="strip {escape(hue)}" width="100%" height="{HEIGHT}" role="img" aria-label="{escape(told)}">'
        f"<title>{escape(told)}</title>{inside}</svg>"
    )


def _within(share: float) -> float:
    return min(max(share, 0.0), 1.0)
