"""A line chart as inline SVG: axes, bands and points, as wide as there is room, its text always of one size.

Places along the page are percentages, so that a phone gets the same letters as a screen; only the lines themselves
stand in an inner drawing that is stretched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

HEIGHT = 250
"""Pixels."""
_TOP, _BOTTOM = 16, 28
_LEFT, _RIGHT = 11.0, 97.0
"""Per cent of the width: at the left the numbers of the upright axis stand between the lines."""
_STRETCHED = 1000
SMALLEST = 1e-6
"""Between two ticks."""
MARKED = 40
"""Points that are drawn as such; of more the line alone is seen, and each still tells its figures to who points at it."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point, with an interval around `y` where there is one; `note` is told to who points at it."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Points of rising `x` that one line joins. `hue` is a class of the stylesheet: one · two · three · four · five.

    Intervals are a band, or a `whisker` at each point.
    """

    name: str
    points: Sequence[Point]
    hue: str = "one"
    dashed: bool = False
    whiskers: bool = False


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    across: str,
    up: Callable[[float], str],
    left: float = math.inf,
    least: float = SMALLEST,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> str:
    """The chart with its key above it. `across` names what counts to the right, in whole numbers, from `left` on or
    from the first point if that is less; `up` writes a number
    of the other axis, which never leaves `bounds` and whose ticks are at least `least` apart. Raises ValueError when
    no series has a point.
    """
    series = [one for one in series if one.points]
    if not series:
        raise ValueError(f"the chart {title!r} has no points")
    every = [point for one in series for point in one.points]
    heights = [y for p in every for y in (p.y, p.low, p.high) if y is not None]
    x_ticks = ticks(min(left, *(p.x for p in every)), max(p.x for p in every), 5, least=1.0)
    y_ticks = ticks(min(heights), max(heights), 5, least=least, bounds=bounds)
    frame = _Frame(x_ticks[0], x_ticks[-1], y_ticks[0], y_ticks[-1])
    parts = [*_axes(frame, x_ticks, y_ticks, up)]
    parts.append(
        f'<svg viewBox="0 0 {_STRETCHED} {HEIGHT}" width="100%" height="{HEIGHT}" preserveAspectRatio="none">'
        + "".join(_lines(frame, one) for one in series)
        + "</svg>"
    )
    parts += [dot for one in series for dot in _dots(frame, one)]
    names = "; ".join(one.name for one in series)
    return (
        f"<figure><figcaption>{key(series)}"
        f'<div class="soft">Across: {escape(across)}.</div></figcaption>'
        f'<svg class="plot" width="100%" height="{HEIGHT}" role="img" aria-label="{escape(f"{title}: {names}")}">'
        + "".join(parts)
        + "</svg></figure>"
    )


def key(series: Sequence[Series], *, block: bool = False) -> str:
    """What each colour means."""
    return "".join(
        f'<span class="key {escape(one.hue)}"><i class="{"block" if block else "dashes" if one.dashed else "line"}">'
        f"</i>{escape(one.name)}</span>"
        for one in series
    )


def ticks(
    low: float,
    high: float,
    about: int,
    *,
    least: float = SMALLEST,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> list[float]:
    """Round numbers, at least two, the first at most `low` and the last at least `high`, but none beyond `bounds`."""
    span = high - low or abs(low) or 1.0
    raw = max(span / about, least)
    size = 10.0 ** math.floor(math.log10(raw) + 1e-9)
    step = next(size * unit for unit in (1, 2, 5, 10) if size * unit >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if first == last:
        first, last = (first - 1, last) if (first + 1) * step > bounds[1] else (first, last + 1)
    found = [round(n * step, 10) for n in range(first, last + 1)]
    return sorted({min(max(one, bounds[0]), bounds[1]) for one in found})


@dataclass(frozen=True, slots=True)
class _Frame:
    """From numbers to places: per cent of the width, pixels from the top."""

    left: float
    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * (value - self.left) / (self.right - self.left)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - share)


def _axes(
    frame: _Frame, x_ticks: Sequence[float], y_ticks: Sequence[float], up: Callable[[float], str]
) -> Iterator[str]:
    for tick in y_ticks:
        y = frame.y(tick)
        yield f'<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="0" y="{y - 4:.1f}">{escape(up(tick))}</text>'
    for tick in x_ticks:
        yield f'<text x="{frame.x(tick):.2f}%" y="{HEIGHT - 8}" text-anchor="middle">{tick:,.0f}</text>'


def _lines(frame: _Frame, one: Series) -> str:
    """Band and line, across the stretched width; strokes keep their own."""
    wide = _STRETCHED / 100
    said = [(p, p.low, p.high) for p in one.points if p.low is not None and p.high is not None]
    above = [f"{wide * frame.x(p.x):.1f},{frame.y(high):.1f}" for p, _, high in said]
    below = [f"{wide * frame.x(p.x):.1f},{frame.y(low):.1f}" for p, low, _ in reversed(said)]
    band = (
        f'<polygon class="band" points="{" ".join(above + below)}"/>'
        if len(said) > 1 and not one.whiskers
        else ""
    )
    path = " ".join(f"{wide * frame.x(p.x):.1f},{frame.y(p.y):.1f}" for p in one.points)
    curve = f"curve{' dashed' if one.dashed else ''}"
    line = f'<polyline class="{curve}" vector-effect="non-scaling-stroke" points="{path}"/>'
    return f'<g class="{escape(one.hue)}">{band}{line if len(one.points) > 1 else ""}</g>'


def _dots(frame: _Frame, one: Series) -> Iterator[str]:
    seen = len(one.points) <= MARKED
    whiskers = one.whiskers or len(one.points) == 1
    yield f'<g class="{escape(one.hue)}">'
    for p in one.points:
        x, y = f"{frame.x(p.x):.2f}%", f"{frame.y(p.y):.1f}"
        if whiskers and p.low is not None and p.high is not None:
            ends = f'y1="{frame.y(p.high):.1f}" y2="{frame.y(p.low):.1f}"'
            yield f'<line class="whisker" x1="{x}" x2="{x}" {ends}/>'
        kind, size = ("dot", 3) if seen else ("hover", 6)
        yield f'<circle class="{kind}" cx="{x}" cy="{y}" r="{size}"><title>{escape(p.note)}</title></circle>'
    if not seen:
        last = one.points[-1]
        yield f'<circle class="dot" cx="{frame.x(last.x):.2f}%" cy="{frame.y(last.y):.1f}" r="3"/>'
    yield "</g>"
