"""Bars as inline SVG, as wide as the cell that holds them: a share with its interval, or the parts of a whole."""

from __future__ import annotations

from collections.abc import Sequence
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


def parts_strip(parts: Sequence[Part], told: str) -> str:
    """One bar of all parts side by side; without any amount it is an empty track."""
    total = sum(part.amount for part in parts)
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
