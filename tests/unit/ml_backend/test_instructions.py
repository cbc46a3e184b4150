"""Labelling instructions as teachers read them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ml_backend.instructions import MAX_CHARS, plain_text


def test_words_stay_and_markup_goes() -> None:
    """One line per block, entities as characters, scripts and styles unread."""
    html = (
        "<h1>Topics</h1><p>Choose <b>one</b> &amp; only one.</p><ul><li>late parcel<li>lost&nbsp;parcel</ul>"
        "<script>alert(1)</script><style>p {}</style>"
    )
    assert plain_text(html) == "Topics\nChoose one & only one.\nlate parcel\nlost parcel"


@given(st.text())
def test_any_text_is_survived(html: str) -> None:
    """Unfinished tags, stray brackets: short lines without markup or empty ones."""
    text = plain_text(html)
    assert len(text) <= MAX_CHARS
    assert "\n\n" not in text


def test_long_instructions_are_cut() -> None:
    """A teacher's question has an end."""
    assert len(plain_text("word " * MAX_CHARS)) == MAX_CHARS
