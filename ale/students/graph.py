"""The pool as a graph of near texts, over which the teacher's opinions are smoothed; labels are not.

Neighbours are looked for within the nearest buckets of a k-means only: on 10,000 texts that is a tenth of the
work of comparing all pairs, and finds nearly all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.clusters import weighted_kmeans
from ale.types import Embeddings

NEIGHBOURS = 15
SHARPNESS = 8.0  # weight of an edge: exp(sharpness * (cosine - 1))
_BUCKET_ROWS = 100  # rows of a bucket, on average
_BUCKETS = 10  # how many buckets a row's neighbours are looked for in
_ALL_PAIRS = 1_500  # a pool this small is one bucket

Graph = Any
"""A symmetric-normalised scipy.sparse matrix; scipy has no types."""


def neighbour_graph(points: Embeddings, seed: int = 0) -> Graph:
    """Edges from every row to its nearest others by cosine, made symmetric and normalised by degree."""
    from scipy.sparse import csr_matrix, diags

    n = len(points)
    unit = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    near, cosine = _nearest(unit, min(NEIGHBOURS, n - 1), seed)
    weight = np.exp(SHARPNESS * (cosine - 1.0))
    rows = np.repeat(np.arange(n), near.shape[1])
    edges = csr_matrix((weight.ravel(), (rows, near.ravel())), shape=(n, n), dtype=np.float32)
    edges = edges.maximum(edges.T)
    degree = np.asarray(edges.sum(axis=1)).ravel()
    scale = diags(1.0 / np.sqrt(np.maximum(degree, 1e-12)))
    return (scale @ edges @ scale).tocsr().astype(np.float32)


def smooth(graph: Graph, start: NDArray[np.float32], keep: float, rounds: int) -> NDArray[np.float32]:
    """Rounds of F <- keep * graph F + (1 - keep) * start."""
    spread = start
    for _ in range(rounds):
        spread = keep * (graph @ spread) + (1.0 - keep) * start
    return np.asarray(spread, np.float32)


def _nearest(unit: Embeddings, wanted: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For every row its `wanted` nearest others (shape (rows, wanted)) and their cosines."""
    n = len(unit)
    near = np.zeros((n, wanted), np.int64)
    cosine = np.full((n, wanted), -1.0, np.float32)
    for mine, others in _searches(unit, wanted, seed):
        close = unit[mine] @ unit[others].T
        close[mine[:, None] == others[None, :]] = -2.0
        best = np.argpartition(close, -wanted, axis=1)[:, -wanted:]
        near[mine] = others[best]
        cosine[mine] = np.take_along_axis(close, best, axis=1)
    return near, cosine


def _searches(unit: Embeddings, wanted: int, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of rows and the rows among which their neighbours are looked for; each row stands in one pair."""
    n = len(unit)
    everything = np.arange(n)
    if n <= _ALL_PAIRS:
        return [(everything, everything)]
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(n)[: 20 * (n // _BUCKET_ROWS)])
    centres, _ = weighted_kmeans(unit[sample], n // _BUCKET_ROWS, rng, rounds=3)
    closeness = unit @ centres.T - 0.5 * np.einsum("ij,ij->i", centres, centres)
    bucket = closeness.argmax(axis=1)
    order = np.argsort(bucket, kind="stable")
    held = np.split(order, np.cumsum(np.bincount(bucket, minlength=len(centres)))[:-1])
    found = []
    gaps = -((centres[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)
    for mine, gap in zip(held, gaps, strict=True):
        if not len(mine):
            continue
        nearest = np.argsort(-gap, kind="stable")
        counts = np.cumsum([len(held[b]) for b in nearest])
        enough = max(_BUCKETS, int(np.searchsorted(counts, wanted + 1)) + 1)
        found.append((mine, np.concatenate([held[b] for b in nearest[:enough]])))
    return found
