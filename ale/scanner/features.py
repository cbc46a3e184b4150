"""What the scanner sees of a text: 64-bit hashes, written down in one place for training and for use.

The two lowest bits of a hash say of which family it is: a word, a pair of neighbours, the beginning of a word,
or where the text begins. Another hash or another rule makes old tables worthless, so `FORMAT` must change with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.scanner.compiled import compiled
from ale.scanner.letters import CODE, FIRST_LETTER, SPACE, SYMBOL, WIDE

FORMAT = 1
MOST_BYTES = 10_000
"""Of a text; the rest is not read. The encoder stops after some 1,500 characters."""
MOST_FEATURES = 4 * MOST_BYTES + 8
"""More than there can be: the last quarter is room for the words on which pairs are built."""

WORDS, STEMS = 0, 1
FAMILIES = 4
SCALES = {WORDS: (1.0, 0.7, 1.0, 1.0), STEMS: (1.0, 0.7, 0.7, 1.0)}
"""How much a feature of each family counts, by form. Chosen on validation parts of training splits."""

_CODE = CODE
_FIRST_LETTER = np.uint8(FIRST_LETTER)
_ONE = np.uintp(1)
_ROOM_FOR_WORDS = 3 * MOST_BYTES
_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_MIX_1, _MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)
_FAMILY = np.uint64(3)
_SHORT, _LONG = 4, 6  # bytes of a word's beginning
_LATIN, _NO_BREAK = np.uint8(0xC3), np.uint8(0xA0)
_A_GRAVE, _THORN, _TIMES, _TO_SMALL = np.uint8(0x80), np.uint8(0x9E), np.uint8(0x97), np.uint8(32)
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
    """Writes the features of data[start:end] into `out` and returns how many; 0 = nothing to read.

    `out` has room for MOST_FEATURES. All are hashed first and mixed afterwards: the processor mixes several at once.
    """
    # Unsigned all along: an index that could be negative is looked at twice, at every byte.
    at, stop = np.uintp(start), np.uintp(min(end, start + MOST_BYTES))
    n, tokens = np.uintp(0), np.uintp(0)
    words = out[_ROOM_FOR_WORDS:]
    while at < stop:
        code = _CODE[data[at]]
        if code == SPACE:
            at += _ONE
            continue
        token = _BASIS
        if code >= _FIRST_LETTER:
            first = at
            last = np.uint8(0)
            while code >= _FIRST_LETTER:
                # The second byte of a capital letter with an accent: À to Þ, without ×.
                if last == _LATIN and _A_GRAVE <= code <= _THORN and code != _TIMES:
                    code += _TO_SMALL
                last = code
                token = (token ^ np.uint64(code)) * _PRIME
                at += _ONE
                length = at - first
                if form == STEMS and (length == _SHORT or length == _LONG):
                    out[n] = token + np.uint64(length)
                    n += _ONE
                code = _CODE[data[at]] if at < stop else np.uint8(SPACE)
        else:
            size = 1
            if code == SYMBOL:
                size = 2
            elif code == WIDE:
                size = 4 if data[at] >= 0xF0 else 3
            end_of_token = min(at + np.uintp(size), stop)
            if code == SYMBOL and end_of_token - at == 2 and data[at + _ONE] == _NO_BREAK:
                at = end_of_token
                continue
            while at < end_of_token:
                token = (token ^ np.uint64(data[at])) * _PRIME
                at += _ONE
        words[tokens] = token
        tokens += _ONE
    for i in range(n):
        out[i] = of_family(out[i], 2)
    for i in range(tokens):
        words[i] = of_family(words[i], 0)
        out[n + i] = words[i]
    n += tokens
    for i in range(_ONE, tokens):
        out[n + i - _ONE] = of_family(words[i] + _PAIR * words[i - _ONE], 1)
    if tokens > 0:
        n += tokens - _ONE
        out[n] = of_family(words[0] + np.uint64(1), 3)
        n += _ONE
    if tokens > 1:
        out[n] = of_family(words[1] + _PAIR * words[0] + np.uint64(2), 3)
        n += _ONE
    return int(n)


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
