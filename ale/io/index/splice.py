"""New cells behind records that stay as they are, byte by byte: the output of a file of lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute

from ale.io.index.answers import Answers
from ale.io.index.columns import DIGITS

Piece = bytes | Any
"""The same bytes for every record, or an Arrow array of binary cells, one per record."""


def slices(data: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Any:
    """The stretches data[starts[i]:ends[i]] as an Arrow array; they must not overlap and be in order."""
    # Arrow wants one run: each stretch begins where the one before ends, so the gaps become cells of their own.
    offsets = np.empty(2 * len(starts) + 1, np.int64)
    offsets[0:-1:2], offsets[1::2] = starts, ends
    offsets[-1] = len(data)
    both = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), 2 * len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    return both.take(pa.array(np.arange(0, 2 * len(starts), 2)))


def cells(choices: Sequence[bytes], which: NDArray[np.integer]) -> Any:
    """One of the choices per record."""
    return pa.array(choices, pa.large_binary()).take(pa.array(np.asarray(which, np.int64)))


def sets_of(
    found: Answers, write: Callable[[list[int]], bytes], nothing: bytes
) -> tuple[Any, NDArray[np.int64]]:
    """The prediction set of each record, written by `write` from its labels' positions, and how many are in it.

    Written once for each set that occurs: they are few.
    """
    sets = np.zeros((len(found.best), 0), np.bool_) if found.sets is None else found.sets
    packed = np.packbits(sets, axis=1)
    _, first, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    sizes = sets.sum(axis=1)
    written = [write(np.flatnonzero(sets[row]).tolist()) if sizes[row] else nothing for row in first]
    return cells(written, which.reshape(-1)), sizes


def confidences(found: Answers, nothing: bytes) -> Any:
    """Rounded, with `nothing` for a bad row."""
    rounded = compute.round(pa.array(found.confidence.astype(np.float64)), ndigits=DIGITS)
    written = rounded.cast(pa.string()).cast(pa.large_string()).cast(pa.large_binary())
    if not found.bad.any():
        return written
    return compute.if_else(pa.array(found.bad == 0), written, pa.scalar(nothing, pa.large_binary()))


def joined(pieces: Sequence[Piece]) -> bytes:
    """All records, each of its pieces in order, as one run of bytes."""
    kind = pa.large_binary()
    given = [pa.scalar(piece, kind) if isinstance(piece, bytes) else piece for piece in pieces]
    lines = compute.binary_join_element_wise(*given, pa.scalar(b"", kind))
    if not len(lines):
        return b""
    _, offsets, data = lines.buffers()
    bounds = np.frombuffer(offsets, np.int64)[lines.offset : lines.offset + len(lines) + 1]
    return b"" if data is None else bytes(memoryview(data)[int(bounds[0]) : int(bounds[-1])])
