"""From a feature's hash to its row of weights: open addressing with two places per feature, and a fingerprint.

Most features of a new text were never seen. Without the fingerprint every fourth of them would find the weights
of a stranger.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.scanner.compiled import compiled

ROW_BITS = 20
MOST_ROWS = (1 << ROW_BITS) - 1
_ROW = np.uint32(MOST_ROWS)
_ROW_SHIFT = np.uint32(ROW_BITS)
_TAG_SHIFT = np.uint64(64 - (32 - ROW_BITS))
_PLACE_SHIFT = np.uint64(2)  # the two lowest bits are the family
_LEAST_PLACES = 1 << 10
_NEIGHBOUR = np.uint64(1)
_NONE, _ONE, _SIGN = np.uint32(0), np.uint32(1), np.uint32(31)


@compiled
def find_row(places: NDArray[np.uint32], feature: np.uint64) -> np.uint32:
    """The row of a feature, from 1; 0 when the table does not know it.

    No branch: which features are known cannot be foreseen, and a wrong guess costs as much as five look-ups. At
    most one of the two places has the fingerprint (see `_place`), and an empty one gives row 0 in any case.
    """
    tag = np.uint32(feature >> _TAG_SHIFT)
    at = (feature >> _PLACE_SHIFT) & np.uint64(len(places) - 1)
    entry, other = places[at], places[at ^ _NEIGHBOUR]
    # 1 where the fingerprints are the same, else 0; taken from 0 that is all bits or none.
    mine = np.uint32(((entry >> _ROW_SHIFT) ^ tag) - _ONE) >> _SIGN
    its = np.uint32(((other >> _ROW_SHIFT) ^ tag) - _ONE) >> _SIGN
    return np.uint32(((np.uint32(_NONE - mine) & entry) | (np.uint32(_NONE - its) & other)) & _ROW)


@compiled
def find_rows(
    places: NDArray[np.uint32], features: NDArray[np.uint64], n: int, out: NDArray[np.uint32]
) -> int:
    """Writes the rows of the first `n` features that the table knows, and returns how many."""
    hits = np.uintp(0)
    for i in range(np.uintp(n)):
        row = find_row(places, features[i])
        out[hits] = row
        hits += np.uintp(np.uint32(row + _ROW) >> _ROW_SHIFT)  # one more, unless the row is 0
    return int(hits)


@compiled
def all_rows(places: NDArray[np.uint32], features: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """`find_row` of each."""
    rows = np.empty(len(features), np.uint32)
    for i in range(len(features)):
        rows[i] = find_row(places, features[i])
    return rows


@compiled
def _place(places: NDArray[np.uint32], features: NDArray[np.uint64]) -> NDArray[np.bool_]:
    kept = np.zeros(len(features), np.bool_)
    row = np.uint32(0)
    for i in range(len(features)):
        if find_row(places, features[i]):
            continue  # another feature with the same places and fingerprint came first
        tag = np.uint32(features[i] >> _TAG_SHIFT)
        at = np.int64((features[i] >> _PLACE_SHIFT) & np.uint64(len(places) - 1))
        if places[at]:
            at ^= 1
        if places[at] == 0:
            row += np.uint32(1)
            places[at] = (tag << _ROW_SHIFT) | row
            kept[i] = True
    return kept


def build_table(features: NDArray[np.uint64]) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """The places, and which features got a row: rows are numbered from 1 in the order given, first come first.

    A quarter full at most, so that few are left out.
    """
    if len(features) > MOST_ROWS:
        raise ValueError(f"{len(features)} features, a table holds {MOST_ROWS}")
    size = max(_LEAST_PLACES, 1 << int(np.ceil(np.log2(max(1, 4 * len(features))))))
    places = np.zeros(size, np.uint32)
    return places, _place(places, features)
