"""How much of a text a language model is shown, and how many tokens that is at most."""

from __future__ import annotations

from ale.text import storable

SHOT_CHARS = 1_000
"""An example's text is cut here: examples show where the line runs, they need not be read to the end."""

_CUT = "\n[...]\n"


def clip(text: str, most: int) -> str:
    """The text in at most `most` characters: when longer, its head (two thirds) and its tail (one third).

    Both ends, because complaints come to the point late and news come to it early.
    """
    if len(text) > most:
        room = most - len(_CUT)
        text = text[: room - room // 3] + _CUT + text[len(text) - room // 3 :]
    return storable(text)


def upper_bound(text: str) -> int:
    """Tokens that the text cannot exceed: its bytes, since each token of a byte-pair encoding has at least one."""
    return len(text.encode("utf-8", "surrogatepass"))
