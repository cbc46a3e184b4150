"""Batches that cover the pool: for the cold start, and to keep a batch from asking one thing ten times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.clusters import weighted_kmeans
from ale.strategies.uncertainty import margin_scores, ordered
from ale.types import Beliefs, Embeddings, Indices

_LARGE_POOL = 4_000  # clusters of a batch are found as well in a sample, in bounded time
_NEIGHBOURS = 20
_NEAR = 0.97  # cosine above which two texts are the same question
_HEAD = 10  # how many times the batch is looked at when a batch is spread out


def diverse(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """The most typical example of each of `batch` clusters, largest cluster first (TypiClust, Hacohen 2022).

    Needs embeddings only. Clusters near what is labelled come last: that ground is covered.
    """
    n = len(beliefs)
    batch = min(batch, n)
    if batch <= 0:
        return np.zeros(0, np.int64)
    rows = np.sort(rng.permutation(n)[: max(_LARGE_POOL, 2 * batch)])
    points = beliefs.embeddings[rows]
    covered = len(beliefs.labelled)
    centres, assigned = weighted_kmeans(points, batch + min(covered, batch), rng)
    sizes = np.bincount(assigned, minlength=len(centres)).astype(np.float64)
    if covered:
        held = np.unique((beliefs.labelled @ centres.T - 0.5 * (centres**2).sum(axis=1)).argmax(axis=1))
        sizes[held] -= len(rows)
    typical = [
        _most_typical(points, np.flatnonzero(assigned == c))
        for c in ordered(sizes, rng)
        if (assigned == c).any()
    ]
    chosen = rows[np.array(typical[:batch], np.int64)]
    rest = np.setdiff1d(rng.permutation(n), chosen)
    return np.asarray(np.concatenate([chosen, rng.permutation(rest)])[:batch], np.int64)


def margin_clusters(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """Of the ten batches with the smallest margin, the nearest to each of `batch` weighted centres.

    Clustered margin after Zhdanov (2019); ordered by margin. Without any belief it is `diverse`.
    """
    probs = beliefs.best
    if probs is None:
        return diverse(beliefs, batch, rng)
    scores = margin_scores(probs)
    head = ordered(scores, rng)[: _HEAD * max(batch, 0)]
    if len(head) <= batch:
        return head
    points = beliefs.embeddings[head]
    centres, assigned = weighted_kmeans(points, batch, rng, weights=scores[head])
    chosen: list[int] = []
    for c in range(len(centres)):
        members = np.flatnonzero(assigned == c)
        if len(members):
            chosen.append(int(members[((points[members] - centres[c]) ** 2).sum(axis=1).argmin()]))
    # `head` is ordered by margin, so sorted positions are; duplicates of taken texts fill up at the end.
    others = np.setdiff1d(np.arange(len(head)), chosen)
    return np.asarray(head[np.concatenate([np.sort(chosen), others])[:batch]], np.int64)


def margin(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """The smallest margins of the student, near-duplicates within the batch put behind; the default.

    Before the first student it spreads out over the teacher's doubts, before any belief over the pool.
    """
    if beliefs.student is None:
        return margin_clusters(beliefs, batch, rng)
    head = ordered(margin_scores(beliefs.student), rng)[: _HEAD * max(batch, 0)]
    return head[_duplicates_last(beliefs.embeddings[head], batch)]


def _most_typical(points: Embeddings, members: NDArray[np.int64]) -> int:
    """The member whose nearest neighbours in the cluster are nearest."""
    own = points[members[:1_000]]
    closeness = np.sort(own @ own.T, axis=1)[:, -_NEIGHBOURS - 1 :]
    return int(members[int(closeness.mean(axis=1).argmax())])


def _duplicates_last(points: Embeddings, batch: int) -> Indices:
    """Positions of the first `batch` rows that are not near one taken before; near ones only fill up."""
    length = np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    unit = points / length
    taken: list[int] = []
    near: list[int] = []
    blocked = np.zeros(len(points), bool)
    for row in range(len(points)):
        if len(taken) == batch:
            break
        if blocked[row]:
            near.append(row)
            continue
        taken.append(row)
        blocked |= unit @ unit[row] > _NEAR
    return np.array((taken + near)[:batch], np.int64)
