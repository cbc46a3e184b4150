"""What each byte of UTF-8 means to the scanner. Part of what a feature is: see `features.FORMAT`."""

from __future__ import annotations

import numpy as np

SPACE, MARK, LETTER, WIDE, SYMBOL = 0, 1, 2, 3, 4
"""A gap; a token of its own; part of a word; the start of a character that is a token of its own (Chinese and
Japanese, typographic marks, emoji); the start of a two-byte symbol, of which one is the no-break space."""


def _kinds() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    kinds = np.full(256, LETTER, np.uint8)
    for byte in range(128):
        if byte <= 32 or byte == 127:
            kinds[byte] = SPACE
        elif not chr(byte).isalnum():
            kinds[byte] = MARK
    kinds[0xC2] = SYMBOL
    kinds[0xE2:0xEA] = WIDE
    kinds[0xEF:0xF5] = WIDE
    return kinds


def _small() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    small = np.arange(256).astype(np.uint8)
    small[ord("A") : ord("Z") + 1] += 32
    return small


FIRST_LETTER = 32
"""From here on a code is a letter's; below it is a kind."""

CODE = np.where(_kinds() == LETTER, _small(), _kinds())
"""By byte: of a part of a word the byte itself, ASCII letters as small ones; of all else its kind."""
