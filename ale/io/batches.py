"""Texts of similar length go through a model together: little is padded, and a batch stays in the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ale.types import Embeddings

_TOKENS_AT_ONCE = 2_048  # small batches of one length stay in the processor's cache
_TEXTS_AT_ONCE = 2_048  # between two calls of `progress`

Tokens = Sequence[Sequence[int]]
"""The token numbers of each text."""


def run_in_batches(
    tokens: Tokens,
    dimensions: int,
    forward: Callable[[Tokens], Embeddings],
    progress: Callable[[int], None] | None = None,
) -> Embeddings:
    """Rows of `forward` in the texts' order; `progress` hears how many more texts are done."""
    out = np.empty((len(tokens), dimensions), np.float32)
    done = 0
    for rows in batches(np.array([len(row) for row in tokens], np.int64)):
        out[rows] = forward([tokens[row] for row in rows])
        done += len(rows)
        if progress is not None and done >= _TEXTS_AT_ONCE:
            progress(done)
            done = 0
    if progress is not None and done:
        progress(done)
    return out


def batches(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows of similar length together, at most `_TOKENS_AT_ONCE` padded tokens each."""
    order = np.argsort(lengths, kind="stable")
    found: list[NDArray[np.int64]] = []
    start = 0
    for end in range(1, len(order) + 1):
        full = end < len(order) and (end - start + 1) * lengths[order[end]] > _TOKENS_AT_ONCE
        if full or end == len(order):
            found.append(order[start:end])
            start = end
    return found
