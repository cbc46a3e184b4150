"""Weighted k-means, small and deterministic: the same generator always gives the same clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.types import Embeddings


def weighted_kmeans(
    points: Embeddings,
    clusters: int,
    rng: np.random.Generator,
    weights: NDArray[np.floating] | None = None,
    rounds: int = 10,
) -> tuple[Embeddings, NDArray[np.int64]]:
    """Centres (at most `clusters`, d) and the centre of every point (Lloyd from k-means++ seeds).

    Fewer centres come back when there are fewer distinct points; that is no error.
    """
    weight = np.ones(len(points)) if weights is None else np.maximum(np.asarray(weights, np.float64), 1e-9)
    squares = np.einsum("ij,ij->i", points, points)
    centres = _spread_seeds(points, squares, clusters, weight, rng)
    assigned = np.zeros(len(points), np.int64)
    for _ in range(rounds):
        nearest = _distances(points, squares, centres).argmin(axis=1)
        if _ and np.array_equal(nearest, assigned):
            break
        assigned = nearest
        centres = _means(points, assigned, weight, centres)
    return centres, assigned


def _distances(points: Embeddings, squares: NDArray[np.float32], centres: Embeddings) -> NDArray[np.float32]:
    own = np.einsum("ij,ij->i", centres, centres)
    return np.asarray(np.maximum(squares[:, None] - 2.0 * (points @ centres.T) + own, 0.0))


def _spread_seeds(
    points: Embeddings,
    squares: NDArray[np.float32],
    clusters: int,
    weight: NDArray[np.float64],
    rng: np.random.Generator,
) -> Embeddings:
    chosen = [int(rng.choice(len(points), p=weight / weight.sum()))]
    gap = _distances(points, squares, points[chosen])[:, 0].astype(np.float64)
    while len(chosen) < min(clusters, len(points)):
        # 1e-5 stands above float32 rounding of equal points: those are not distinct.
        chance = np.where(gap > 1e-5, gap, 0.0) * weight
        if chance.sum() <= 0:
            break
        chosen.append(int(rng.choice(len(points), p=chance / chance.sum())))
        gap = np.minimum(gap, _distances(points, squares, points[chosen[-1:]])[:, 0])
    return points[chosen].copy()


def _means(
    points: Embeddings, assigned: NDArray[np.int64], weight: NDArray[np.float64], centres: Embeddings
) -> Embeddings:
    total = np.bincount(assigned, weight, minlength=len(centres))
    member = np.zeros((len(centres), len(points)), np.float32)
    member[assigned, np.arange(len(points))] = weight
    sums = member @ points
    return np.where(total[:, None] > 0, sums / np.maximum(total, 1e-12)[:, None], centres).astype(np.float32)
