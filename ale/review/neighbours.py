"""Which other texts are the most similar ones: what a reviewer is told about, and what stands alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.types import Embeddings

MOST_ROWS = 20_000
"""Everybody is compared with everybody: a minute at this size, and four times that at twice the size."""

NEAR = 0.4  # cosine in the centred space from which two texts speak of the same thing
_AT_ONCE = 1_000


def nearest(
    features: Embeddings, rows: NDArray[np.int64], count: int, groups: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The closest rows of other groups, the closest first, and their cosines; -inf fills up where none is left."""
    n = len(features)
    count = max(0, min(count, n - 1))
    found = np.zeros((len(rows), count), np.int64)
    closeness = np.full((len(rows), count), -np.inf)
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        cosines = features[part] @ features.T
        if groups is None:
            cosines[np.arange(len(part)), part] = -np.inf
        else:
            cosines[groups[part][:, None] == groups[None, :]] = -np.inf
        best = np.argpartition(-cosines, max(0, count - 1), axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(cosines, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        found[start : start + len(part)] = best
        closeness[start : start + len(part)] = np.take_along_axis(cosines, best, axis=1)
    return found, closeness
