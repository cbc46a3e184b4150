"""What the scanner sees of a text: 64-bit hashes, written down in one place for training and for use.

The two lowest bits of a hash say of which family it is: a word, a pair of neighbours, the beginning of a word,
or where the text begins. Another hash or another rule makes old tables worthless, so `FORMAT` must change with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.scanner.compiled import compiled
from ale.scanner.letters import KIND, LETTER, SMALL, SPACE, SYMBOL, WIDE

FORMAT = 1
MOST_BYTES = 10_000
"""Of a text; the rest is not read. The encoder stops after some 1,500 characters."""
MOST_FEATURES = 4 * MOST_BYTES + 8

WORDS, STEMS = 0, 1
FAMILIES = 4
SCALES = {WORDS: (1.0, 0.7, 1.0, 1.0), STEMS: (1.0, 0.7, 0.7, 1.0)}
"""How much a feature of each family counts, by form. Chosen on validation parts of training splits."""

_SMALL, _KIND = SMALL, KIND
_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_MIX_1, _MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)
_FAMILY = np.uint64(3)
_SHORT, _LONG = 4, 6  # bytes of a word's beginning
_LATIN, _NO_BREAK = 0xC3, 0xA0
_PAIR = np.uint64(31)


@compiled
def mix(hashed: np.uint64) -> np.uint64:
    """The finaliser of MurmurHash3: every bit of the result hangs on every bit given."""
    hashed ^= hashed >> _SHIFT
    hashed *= _MIX_1
    hashed ^= hashed >> _SHIFT
    hashed *= _MIX_2
    hashed ^= hashed >> _SHIFT
    return hashed


@compiled
def of_family(hashed: np.uint64, family: int) -> np.uint64:
    """The mixed hash, marked with its family."""
    return (mix(hashed) & ~_FAMILY) | np.uint64(family)


@compiled
def features_of(data: NDArray[np.uint8], start: int, end: int, form: int, out: NDArray[np.uint64]) -> int:
    """Writes the features of data[start:end] into `out` and returns how many; 0 = nothing to read."""
    n = 0
    tokens = 0
    before = np.uint64(0)
    at = start
    end = min(end, start + MOST_BYTES)
    while at < end:
        kind = _KIND[data[at]]
        if kind == SPACE:
            at += 1
            continue
        token = _BASIS
        if kind == LETTER:
            length = 0
            last = 0
            while at < end and _KIND[data[at]] == LETTER:
                byte = int(_SMALL[data[at]])
                # The second byte of a capital letter with an accent: À to Þ, without ×.
                if last == _LATIN and 0x80 <= byte <= 0x9E and byte != 0x97:
                    byte += 32
                last = byte
                token = (token ^ np.uint64(byte)) * _PRIME
                at += 1
                length += 1
                if form == STEMS and (length == _SHORT or length == _LONG):
                    out[n] = of_family(token + np.uint64(length), 2)
                    n += 1
        else:
            size = 1
            if kind == SYMBOL:
                size = 2
            elif kind == WIDE:
                size = 4 if data[at] >= 0xF0 else 3
            stop = min(at + size, end)
            if kind == SYMBOL and stop - at == 2 and data[at + 1] == _NO_BREAK:
                at = stop
                continue
            while at < stop:
                token = (token ^ np.uint64(data[at])) * _PRIME
                at += 1
        word = of_family(token, 0)
        pair = word + _PAIR * before
        out[n] = word
        n += 1
        if tokens > 0:
            out[n] = of_family(pair, 1)
            n += 1
        if tokens < 2:
            out[n] = of_family(pair + np.uint64(tokens + 1), 3)
            n += 1
        before = word
        tokens += 1
    return n


@compiled
def count_features(data: NDArray[np.uint8], offsets: NDArray[np.int64], form: int) -> NDArray[np.int64]:
    """Where each text's features will start, and the total as the last number."""
    starts = np.zeros(len(offsets), np.int64)
    out = np.empty(MOST_FEATURES, np.uint64)
    for row in range(len(offsets) - 1):
        starts[row + 1] = starts[row] + features_of(data, offsets[row], offsets[row + 1], form, out)
    return starts


@compiled
def fill_features(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], form: int, starts: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """The features of all texts, one after the other."""
    found = np.empty(starts[-1], np.uint64)
    out = np.empty(MOST_FEATURES, np.uint64)
    for row in range(len(offsets) - 1):
        n = features_of(data, offsets[row], offsets[row + 1], form, out)
        found[starts[row] : starts[row] + n] = out[:n]
    return found
