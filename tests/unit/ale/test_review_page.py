"""The page of a review: every word from the file is escaped, wherever it stands."""

from __future__ import annotations

import re

import pytest

from ale.review.page import MOST_ROWS, page_of
from ale.review.people import Quality
from ale.review.tips import Tip
from ale.review.whole import RowReview, WholeReview

EVIL = "<i onclick='x'>&"
SAFE = "&lt;i onclick=&#x27;x&#x27;&gt;&amp;"


def review(word: str = "word", flags: int = 1) -> WholeReview:
    """That word in every place that is filled from the file."""
    row = RowReview(0, 0.9, word, word, flagged=True, reason=word, consensus_label=word)
    return WholeReview(
        rows=(row,) * flags,
        errors=1.0,
        cut=0.6,
        reviewed=0,
        fixed=0,
        skipped=None,
        tips=(Tip("outlier", word, ()),),
        annotators=(Quality(word, 3, 0.5, {word: 0.25}), Quality("", 2, 0.75, {word: float("nan")})),
        teachers=(Quality(word, 3, 0.5, {word: 0.25}),),
        notes=(word,),
    )


def test_nothing_from_the_file_is_markup() -> None:
    """Name, notes, tips, labels, reasons, texts, people: each place shows the word as it is."""
    page = page_of(EVIL, review(EVIL), [EVIL])
    assert EVIL not in page
    # Title and heading, note, tip, two labels, text, reason, consensus, and twice who and a label.
    assert page.count(SAFE) == 2 + 2 + 2 + 3 + 4


@pytest.mark.parametrize("place", ["<h2>Notes</h2><ul><li>", "<h2>About the whole data set</h2><ul><li>"])
def test_notes_and_tips_stand_in_lists(place: str) -> None:
    """Each under its title."""
    assert f"{place}word</li></ul>" in page_of("x", review(), ["text"])


def test_people_stand_worst_first_with_their_shares() -> None:
    """Nobody's name is told as such; what is not known is a dash."""
    page = page_of("x", review(), ["text"])
    table = page[page.index("<h2>Annotators</h2>") : page.index("<h2>Teachers</h2>")]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", table)
    assert cells == ["word", "3", "50%", "25%", "(empty)", "2", "75%", "–"]


def test_a_long_page_ends_and_says_so() -> None:
    """The rest stands in the table; a long text is cut."""
    page = page_of("x", review(flags=MOST_ROWS + 1), ["t" * 700])
    assert page.count('<article class="flag">') == MOST_ROWS
    assert "1 more flag in the table" in page
    assert "t" * 600 + "…" in page
    assert "t" * 601 not in page
