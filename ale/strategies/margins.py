"""The smallest margins as a batch: without near-duplicates, or spread over clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.clusters import weighted_kmeans
from ale.strategies.batch import distinct, head_size
from ale.strategies.diversity import typiclust
from ale.strategies.uncertainty import margin_scores, ordered
from ale.types import Beliefs, Embeddings, Indices

_MOST_CLUSTERS = 500  # larger batches take several rows of a cluster


def margin(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """The smallest margins of the student, near-duplicates within the batch put behind; the default.

    Before the first student it spreads out over the teacher's doubts, before any belief over the pool.
    """
    if beliefs.student is None:
        return margin_clusters(beliefs, batch, rng)
    return distinct(beliefs.embeddings, ordered(margin_scores(beliefs.student), rng), batch)


def margin_clusters(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """Of the ten batches with the smallest margin, the nearest to each of `batch` weighted centres.

    Clustered margin after Zhdanov (2019); ordered by margin. Without any belief it is `typiclust`, and with beliefs
    that are all equally sure: words of a teacher that tells no confidence single out no text.
    """
    probs = beliefs.best
    if probs is None:
        return typiclust(beliefs, batch, rng)
    scores = margin_scores(probs)
    if (scores == scores[:1]).all():
        return typiclust(beliefs, batch, rng)
    head = ordered(scores, rng)[: head_size(batch)]
    if len(head) <= batch:
        return head
    points = beliefs.embeddings[head]
    clusters = min(batch, _MOST_CLUSTERS)
    centres, assigned = weighted_kmeans(points, clusters, rng, weights=scores[head])
    chosen = _nearest(points, centres, assigned, -(-batch // clusters))
    # `head` is ordered by margin, so both parts are; the second fills up where texts are near-duplicates.
    return distinct(beliefs.embeddings, np.concatenate([head[chosen], head[~chosen]]), batch)


def _nearest(
    points: Embeddings, centres: Embeddings, assigned: NDArray[np.int64], each: int
) -> NDArray[np.bool_]:
    """Marks the `each` members of every cluster that are nearest to its centre."""
    marked = np.zeros(len(points), bool)
    distance = ((points - centres[assigned]) ** 2).sum(axis=1)
    for cluster in range(len(centres)):
        members = np.flatnonzero(assigned == cluster)
        marked[members[np.argsort(distance[members], kind="stable")[:each]]] = True
    return marked
