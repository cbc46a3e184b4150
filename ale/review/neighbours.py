"""What the most similar other texts are labelled: a vote of the neighbours, and who they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.types import Embeddings

MOST_ROWS = 20_000
"""Everybody is compared with everybody: a minute at this size, and four times that at twice the size."""

NEAR = 0.4  # cosine in the centred space from which two texts speak of the same thing
_VOTERS = 15
_SHARP = 10.0  # a neighbour's vote falls by half for each .07 of cosine
_USUAL = 2.0  # votes of the labels' usual shares
_AT_ONCE = 1_000


def held_out_by_neighbours(
    features: Embeddings,
    targets: NDArray[np.int64],
    labels: int,
    groups: NDArray[np.int64] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64] | None:
    """Log probabilities (rows, labels) by the votes of other groups' rows; None for too many rows."""
    n = len(targets)
    if n > MOST_ROWS:
        return None
    votes = np.eye(labels)[targets] * (np.ones(n) if weights is None else weights)[:, None]
    usual = votes.sum(axis=0) / max(float(votes.sum()), 1e-12)
    rows, closeness = nearest(features, np.arange(n), _VOTERS, groups)
    loud = np.where(np.isfinite(closeness), np.exp(_SHARP * closeness), 0.0)
    heard = np.einsum("ij,ijk->ik", loud, votes[rows])
    heard /= np.maximum(loud.sum(axis=1, keepdims=True), 1e-12)
    counted = rows.shape[1]
    return np.asarray(np.log(np.maximum(heard * counted + usual * _USUAL, 1e-6) / (counted + _USUAL)))


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
