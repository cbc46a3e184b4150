"""The fused loop: bytes to the best label and its confidence, without anything in between."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.scanner.compiled import compiled
from ale.scanner.features import MOST_FEATURES, features_of
from ale.scanner.table import find_rows
from ale.scanner.utf8 import is_ascii, is_utf8

NARROW = 8
"""A row of weights of this width is added in one instruction: seven labels and the norm."""


@compiled
def add_narrow(
    rows: NDArray[np.float32], hit: NDArray[np.uint32], hits: int, out: NDArray[np.float32]
) -> None:
    """The sum of rows of width NARROW. Eight numbers, not an array: they stay in one register."""
    a = b = c = d = e = f = g = h = np.float32(0)
    for i in range(hits):
        row = rows[hit[i]]
        a += row[0]
        b += row[1]
        c += row[2]
        d += row[3]
        e += row[4]
        f += row[5]
        g += row[6]
        h += row[7]
    out[0], out[1], out[2], out[3], out[4], out[5], out[6], out[7] = a, b, c, d, e, f, g, h


@compiled
def scan(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    known: NDArray[np.uint8],
    broken: int,
    empty: int,
    form: int,
    places: NDArray[np.uint32],
    rows: NDArray[np.float32],
    bias: NDArray[np.float32],
    temperature: float,
    logits: NDArray[np.float32],
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.uint8]]:
    """Label (-1 = bad), confidence and reason of every text; all logits as well where room for them is given.

    A row of `rows` holds the weights of each label, then the square of the feature's value; row 0 is no feature.
    Logits are the summed weights, brought to unit length, plus the bias, by the temperature.
    """
    n, labels, width = len(offsets) - 1, len(bias), rows.shape[1]
    best, sure, bad = np.full(n, -1, np.int32), np.zeros(n, np.float32), known.copy()
    found = np.empty(MOST_FEATURES, np.uint64)
    hit = np.empty(MOST_FEATURES, np.uint32)
    total = np.empty(width, np.float32)
    cold = np.float32(1.0 / temperature)
    for text in range(n):
        if bad[text]:
            continue
        start, end = offsets[text], offsets[text + 1]
        if not is_ascii(data, start, end) and not is_utf8(data, start, end):
            bad[text] = broken
            continue
        features = features_of(data, start, end, form, found)
        if features == 0:
            bad[text] = empty
            continue
        # Look-ups apart from sums: they hang on nothing, so the processor waits for many of them at once.
        hits = find_rows(places, found, features, hit)
        if width == NARROW:
            add_narrow(rows, hit, hits, total)
        else:
            total[:] = 0
            for i in range(hits):
                row = hit[i]
                for c in range(width):
                    total[c] += rows[row, c]
        norm = total[labels]
        scale = np.float32(0.0) if norm == 0 else np.float32(1.0) / np.sqrt(norm)
        top = 0
        for c in range(labels):
            total[c] = (total[c] * scale + bias[c]) * cold
            if total[c] > total[top]:
                top = c
        if len(logits):
            logits[text, :] = total[:labels]
        rest = np.float32(0.0)
        for c in range(labels):
            rest += np.exp(total[c] - total[top])
        best[text] = top
        sure[text] = np.float32(1.0) / rest
    return best, sure, bad
