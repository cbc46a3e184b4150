"""Charts and bars as inline SVG: numbers stand where they belong, words are escaped, nothing needs a script."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ale.pages.document import cards, document, paragraph, section, table
from ale.pages.line_chart import MARKED, SMALLEST, Point, Series, line_chart, ticks
from ale.pages.strips import Part, Row, parts_strip, share_strip, strip_table
from ale.pages.style import style_source

EVIL = "<b>&\"'</b>"


def chart(*series: Series, left: float = math.inf) -> ET.Element:
    """The drawn chart, read as XML: it must be well-formed."""
    html = line_chart(series, title="A & B", across="labels", up=lambda y: f"{y:.0%}", least=0.01, left=left)
    svg = html[html.index("<svg") : html.rindex("</svg>") + 6]
    return ET.fromstring(svg)  # noqa: S314 - made by the line above


def circles(svg: ET.Element) -> list[tuple[float, float]]:
    """Places of the points: per cent from the left, pixels from the top."""
    return [(float(c.attrib["cx"].rstrip("%")), float(c.attrib["cy"])) for c in svg.iter("circle")]


def test_points_stand_where_their_numbers_say() -> None:
    """More is further right and further up; a point half-way is half-way, on the line of its tick."""
    svg = chart(Series("s", [Point(0, 0.0), Point(50, 0.5), Point(100, 1.0)]))
    (x0, y0), (x1, y1), (x2, y2) = circles(svg)
    assert x0 < x1 < x2
    assert y0 > y1 > y2
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.01)
    assert y1 == pytest.approx((y0 + y2) / 2, abs=0.1)
    told = {text.text: text.attrib for text in svg.iter("text")}
    assert float(told["100"]["x"].rstrip("%")) == pytest.approx(x2, abs=0.01)
    assert float(told["0%"]["y"]) == pytest.approx(y0 - 4, abs=0.1)
    line = next(svg.iter("polyline")).attrib["points"].split()
    assert [float(pair.split(",")[0]) / 10 for pair in line] == pytest.approx([x0, x1, x2], abs=0.02)


def test_an_interval_is_a_band_a_whisker_or_nothing() -> None:
    """A band needs two points; a single one gets a whisker, and points that ask for whiskers get no band."""
    two = [Point(0, 0.5, 0.4, 0.6), Point(1, 0.6, 0.5, 0.7)]
    assert len(list(chart(Series("s", two)).iter("polygon"))) == 1
    whiskers = chart(Series("s", two, whiskers=True))
    assert not list(whiskers.iter("polygon"))
    assert sum(line.attrib["class"] == "whisker" for line in whiskers.iter("line")) == 2
    alone = chart(Series("s", two[:1]))
    assert sum(line.attrib["class"] == "whisker" for line in alone.iter("line")) == 1
    assert not list(alone.iter("polyline"))
    assert not list(chart(Series("s", [Point(0, 0.5), Point(1, 0.6)])).iter("polygon"))


def test_the_axis_begins_where_it_is_told() -> None:
    """At 0 for a number of labels, although the first point is at 10."""
    points = [Point(10, 0.5), Point(20, 0.6)]
    assert "0" in {text.text for text in chart(Series("s", points), left=0).iter("text")}
    assert "0" not in {text.text for text in chart(Series("s", points)).iter("text")}


def test_many_points_are_a_line_and_one_dot() -> None:
    """Each still tells its figures to who points at it."""
    points = [Point(i, 0.5, note=f"note {i}") for i in range(MARKED + 1)]
    svg = chart(Series("s", points))
    kinds = [circle.attrib["class"] for circle in svg.iter("circle")]
    assert kinds == ["hover"] * (MARKED + 1) + ["dot"]
    assert [title.text for title in svg.iter("title")] == [point.note for point in points]


def test_a_chart_of_nothing_is_an_error() -> None:
    """The caller says in words what has to happen first."""
    with pytest.raises(ValueError, match="'A' has no points"):
        line_chart([Series("s", [])], title="A", across="b", up=str)


@given(
    st.floats(0, 1e6), st.floats(0, 1e6), st.integers(2, 8), st.sampled_from([SMALLEST, 0.01, 1.0])
)  # fmt: skip
def test_ticks_hold_the_numbers_between_them(a: float, b: float, about: int, least: float) -> None:
    """Rising, at least two, not many more than wished, evenly apart, and round."""
    low, high = min(a, b), max(a, b)
    found = ticks(low, high, about, least=least)
    slack = 1e-9 * max(1.0, high)
    assert found[0] <= low + slack
    assert found[-1] >= high - slack
    assert 2 <= len(found) <= about + 3
    gaps = [late - early for early, late in pairwise(found)]
    assert min(gaps) > 0
    assert min(gaps) == pytest.approx(max(gaps), rel=1e-3, abs=1e-8)
    assert min(gaps) >= least * (1 - 1e-9)


@pytest.mark.parametrize("ends", [(0, 0), (1, 1), (0.5, 0.5), (0.3, 0.95), (0.97, 1.0), (0, 1)])
def test_ticks_of_a_share_stay_between_0_and_1(ends: tuple[float, float]) -> None:
    """Nobody is right on 110%."""
    found = ticks(*ends, 5, least=0.01, bounds=(0.0, 1.0))
    assert len(found) > 1
    assert 0 <= found[0] <= ends[0]
    assert ends[1] <= found[-1] <= 1


def test_bars_are_as_long_as_their_shares() -> None:
    """And never longer than the whole."""
    strip = ET.fromstring(share_strip(0.25, (0.1, 0.4), "one", "a quarter"))  # noqa: S314
    assert [rect.attrib["width"] for rect in strip.iter("rect")] == ["100%", "25.0%"]
    (line,) = strip.iter("line")
    assert (line.attrib["x1"], line.attrib["x2"]) == ("10.0%", "40.0%")
    assert 'width="100.0%"' in share_strip(1.7, None, "one", "")
    parts = ET.fromstring(parts_strip([Part("a", 1, "one"), Part("b", 0, "two"), Part("c", 3, "two")], ""))  # noqa: S314
    assert [rect.attrib.get("x") for rect in parts.iter("rect")] == [None, "0.00%", "25.00%"]
    half = ET.fromstring(parts_strip([Part("spent", 2, "one")], "", of=4))  # noqa: S314
    assert [rect.attrib["width"] for rect in half.iter("rect")] == ["100%", "50.00%"]
    assert parts_strip([], "").count("<rect") == 1
    assert math.isfinite(float(re.findall(r'width="([\d.]+)%', parts_strip([Part("a", 0, "one")], ""))[-1]))


def test_every_word_is_escaped() -> None:
    """Names of labels, titles, notes and figures may hold anything."""
    made = [
        line_chart([Series(EVIL, [Point(0, 1, note=EVIL)])], title=EVIL, across=EVIL, up=lambda _: EVIL),
        share_strip(0.5, None, "one", EVIL),
        parts_strip([Part(EVIL, 1, "one")], EVIL),
        strip_table([Row(EVIL, [], [EVIL])]),
        cards([(EVIL, EVIL)]),
        table([EVIL], [[EVIL]]),
        paragraph(f"{EVIL} `{EVIL}`"),
        section(EVIL, ""),
        document(EVIL, ""),
    ]
    for html in made:
        assert EVIL not in html
        assert "&lt;b&gt;&amp;&quot;&#x27;&lt;/b&gt;" in html
        assert html.count('"') % 2 == 0


def test_a_command_in_a_sentence_looks_like_one() -> None:
    """What stands between backticks."""
    assert paragraph("run `ale doctor`", kind="bad") == '<p class="bad">run <code>ale doctor</code></p>'


def test_the_policy_names_the_style_that_the_page_holds() -> None:
    """A browser applies a style under the policy only if its hash is the named one."""
    page = document("t", "")
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert style_source() == f"'sha256-{digest}'"
    assert 'style="' not in page
