r"""CSV as bytes: where records end, and what stands in one of their cells. RFC 4180, with `\n` or `\r\n`.

A quote opens a quoted cell only as its first byte, as Python's reader has it; inside, two quotes are one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.scanner.compiled import compiled

_COMMA, _QUOTE, _LINE, _RETURN = ord(","), ord('"'), ord("\n"), ord("\r")


@compiled
def record_ends(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The position behind each line end that ends a record; `data` begins with a record."""
    ends = np.empty(np.count_nonzero(data == _LINE), np.int64)
    n = 0
    quoted, opened, fresh = False, False, True
    for at in range(len(data)):
        byte = data[at]
        if byte == _QUOTE:
            if quoted:
                quoted = False  # two quotes in a row open it again at once
            elif fresh or (opened and data[at - 1] == _QUOTE):
                quoted = opened = True
            fresh = False
        elif quoted:
            continue
        elif byte == _LINE:
            ends[n] = at + 1
            n += 1
            fresh, opened = True, False
        elif byte == _COMMA:
            fresh, opened = True, False
        else:
            fresh = opened = False  # behind its closing quote a cell goes on without any
    return ends[:n]


@compiled
def read_cells(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    wanted: int,
    cells: int,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]]:
    """The text of cell `wanted` of every record, without quotes, and which records have not `cells` cells
    or a quote that is never closed.

    A record that has not is given whole, as it stands.
    """
    out = np.empty(len(data) + 1, np.uint8)
    offsets = np.zeros(len(starts) + 1, np.int64)
    odd = np.zeros(len(starts), np.bool_)
    size = 0
    for record in range(len(starts)):
        begin = size
        at, end = starts[record], ends[record]
        cell = 0
        closed = True
        while True:
            mine = cell == wanted
            if at < end and data[at] == _QUOTE:
                at += 1
                closed = False
                while at < end:
                    if data[at] == _QUOTE:
                        if at + 1 < end and data[at + 1] == _QUOTE:
                            at += 1
                        else:
                            at += 1
                            closed = True
                            break
                    if mine:
                        out[size] = data[at]
                        size += 1
                    at += 1
            while at < end and data[at] != _COMMA:
                if mine:
                    out[size] = data[at]
                    size += 1
                at += 1
            cell += 1
            if at >= end:
                break
            at += 1
        if cell != cells or not closed:
            odd[record] = True
            size = begin
            for at in range(starts[record], ends[record]):
                out[size] = data[at]
                size += 1
        offsets[record + 1] = size
    return out[:size], offsets, odd
