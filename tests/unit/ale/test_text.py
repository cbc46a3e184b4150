"""One way to make a text out of a task's value."""

from __future__ import annotations

import pytest

from ale.text import MAX_CHARS, normalise, text_hash, to_example


@pytest.mark.parametrize("value", [None, 3, 2.5, True, [], {"a": 1}, "", "  \n\t "])
def test_what_is_no_text_is_none(value: object) -> None:
    """Only a string with something in it is a text."""
    assert normalise(value) is None
    assert to_example(1, value) is None


def test_equal_looking_texts_are_equal() -> None:
    """Composed and decomposed accents and outer whitespace give one text and one hash."""
    assert normalise(" caf\u00e9\n") == normalise("cafe\u0301")
    assert text_hash("café") == text_hash("café") != text_hash("cafe")


def test_what_cannot_be_stored_is_replaced() -> None:
    """NUL and lone surrogates become the replacement character."""
    assert normalise("a\x00b\ud800c") == "a\ufffdb\ufffdc"


def test_long_texts_are_cut() -> None:
    """A text never exceeds the limit."""
    assert len(normalise("x" * (MAX_CHARS + 1)) or "") == MAX_CHARS


def test_hash_is_32_hex_digits() -> None:
    """Cache keys have one length."""
    assert len(text_hash("a")) == 32
    assert int(text_hash("a"), 16) >= 0
