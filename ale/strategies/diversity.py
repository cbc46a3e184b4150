"""Batches that cover the pool, from embeddings alone: for the cold start, and as a yardstick."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.clusters import weighted_kmeans
from ale.strategies.batch import MOST_STEPS, distinct, rows_by_lot
from ale.strategies.uncertainty import ordered
from ale.types import Beliefs, Embeddings, Indices

_LARGE_POOL = 4_000  # clusters of a batch are found as well in a sample, in bounded time
_MOST_CLUSTERS = 500  # the limit of the paper; beyond it clusters are asked more than once
_NEIGHBOURS = 20
_LABELLED_BLOCK = 1_000


def typiclust(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """The most typical example of each cluster, largest cluster first (TypiClust, Hacohen et al., 2022).

    As many clusters as labelled rows and batch together, at most 500. A cluster's turn comes again when
    all others hold as many labels: ground that is covered comes last.
    """
    n = len(beliefs)
    batch = min(batch, n)
    if batch <= 0:
        return np.zeros(0, np.int64)
    rows = np.sort(rng.permutation(n)[: max(_LARGE_POOL, 2 * batch)])
    points = beliefs.embeddings[rows]
    covered = len(beliefs.labelled)
    centres, assigned = weighted_kmeans(points, min(batch + covered, _MOST_CLUSTERS), rng)
    sizes = np.bincount(assigned, minlength=len(centres))
    turn = _typicality_rank(points, assigned)
    if covered:
        nearest = (beliefs.labelled @ centres.T - 0.5 * (centres**2).sum(axis=1)).argmax(axis=1)
        turn += np.bincount(nearest, minlength=len(centres))[assigned]
    by_size = np.empty(len(centres), np.int64)
    by_size[ordered(sizes.astype(np.float64), rng)] = np.arange(len(centres))
    return distinct(beliefs.embeddings, rows[np.lexsort((by_size[assigned], turn))], batch)


def coreset(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """The row farthest from all labelled and taken ones, again and again (k-centre greedy, Sener 2018).

    Looks at 20,000 rows drawn by lot; the first centre is by lot while nothing is labelled.
    """
    rows = rows_by_lot(len(beliefs), batch, rng)
    batch = min(batch, len(rows))
    if batch <= 0:
        return np.zeros(0, np.int64)
    points = beliefs.embeddings[rows]
    squares = np.einsum("ij,ij->i", points, points)
    gap: NDArray[np.float32] = np.full(len(rows), np.inf, np.float32)
    for start in range(0, len(beliefs.labelled), _LABELLED_BLOCK):
        gap = _nearer(gap, points, squares, beliefs.labelled[start : start + _LABELLED_BLOCK])
    at_once = -(-batch // MOST_STEPS)
    chosen: list[int] = []
    while len(chosen) < batch:
        # Rows stand in random order, so the first of equals is one by lot.
        new = [int(gap.argmax())] if at_once == 1 else np.argpartition(-gap, at_once)[:at_once].tolist()
        chosen += new
        gap = _nearer(gap, points, squares, points[new])
        gap[chosen] = -1.0
    spare = np.setdiff1d(ordered(gap, rng), chosen, assume_unique=True)
    return distinct(beliefs.embeddings, rows[np.concatenate([np.array(chosen, np.int64), spare])], batch)


def _nearer(
    gap: NDArray[np.float32], points: Embeddings, squares: NDArray[np.float32], centres: Embeddings
) -> NDArray[np.float32]:
    """The squared distance to the nearest centre, when these centres join those that made `gap`."""
    own = np.einsum("ij,ij->i", centres, centres)
    reach = (own - 2.0 * (points @ centres.T)).min(axis=1) + squares
    return np.asarray(np.minimum(gap, np.maximum(reach, 0.0)), np.float32)


def _typicality_rank(points: Embeddings, assigned: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each row's place in its cluster: 0 = the one whose nearest neighbours are nearest."""
    place = np.zeros(len(points), np.int64)
    for cluster in np.unique(assigned):
        members = np.flatnonzero(assigned == cluster)
        own = points[members[:1_000]]
        closeness = np.sort(own @ own.T, axis=1)[:, -_NEIGHBOURS - 1 :].mean(axis=1)
        order = np.concatenate([np.argsort(-closeness, kind="stable"), np.arange(len(own), len(members))])
        place[members[order]] = np.arange(len(members))
    return place
