"""What every batch shares: it asks no question twice, and its work is bounded on a pool of any size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.types import Embeddings, Indices

NEAR = 0.97
"""Cosine above which two texts are the same question."""

MOST_ROWS = 20_000  # rows a batch is spread over; more change the batch little and the wait a lot
MOST_STEPS = 200  # larger batches are chosen several rows at a time
_HEAD, _LARGE_HEAD = 10, 4_000
_BLOCK = 256


def head_size(batch: int) -> int:
    """How many rows of an order a batch is made of: ten batches, fewer when the batch is large."""
    return max(0, min(_HEAD * batch, max(_LARGE_HEAD, 2 * batch)))


def rows_by_lot(pool: int, batch: int, rng: np.random.Generator) -> Indices:
    """All rows in random order, or as many as a batch is spread over; never fewer than the batch needs."""
    return rng.permutation(pool)[: max(MOST_ROWS, 2 * batch)].astype(np.int64)


def distinct(points: Embeddings, order: Indices, batch: int) -> Indices:
    """The first `batch` rows of `order` that are not near one taken before; near ones only fill up.

    Looks at `head_size(batch)` rows, so that a pool of copies costs no more than any other.
    """
    head = order[: head_size(batch)]
    taken: list[int] = []
    near: list[int] = []
    kept = np.zeros((min(batch, len(head)) if batch > 0 else 0, points.shape[1]), np.float32)
    for start in range(0, len(head), _BLOCK):
        if len(taken) == batch:
            break
        block = _unit(points[head[start : start + _BLOCK]])
        blocked: NDArray[np.bool_] = np.asarray((block @ kept[: len(taken)].T > NEAR).any(axis=1), bool)
        alike = block @ block.T > NEAR
        for row in range(len(block)):
            if len(taken) == batch:
                break
            if blocked[row]:
                near.append(start + row)
                continue
            kept[len(taken)] = block[row]
            taken.append(start + row)
            blocked |= alike[row]
    return np.asarray(head[np.array((taken + near)[: max(batch, 0)], np.int64)], np.int64)


def _unit(points: Embeddings) -> Embeddings:
    length = np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    return np.asarray(points / length, np.float32)
