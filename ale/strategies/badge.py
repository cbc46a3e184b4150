"""Unsure and different at once: k-means++ seeds among the gradients that a label would cause (BADGE).

Ash et al. (2020). The gradient of the last layer for the student's own guess is an outer product,
(p - onehot(argmax p)) x embedding: too large to write down (labels * dimensions numbers per example), but
inner products of two of them are the product of two small inner products, and distances need no more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.strategies.batch import MOST_STEPS, distinct, rows_by_lot
from ale.strategies.diversity import typiclust
from ale.strategies.uncertainty import ordered
from ale.types import Beliefs, Embeddings, Indices, Probs

_EQUAL = 1e-6  # of the longest gradient: float32 rounding of equal ones


def badge(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """The longest gradient, then by lot in proportion to the squared distance from those taken.

    Looks at 20,000 rows drawn by lot. Without any belief it is `typiclust`.
    """
    probs = beliefs.best
    if probs is None:
        return typiclust(beliefs, batch, rng)
    rows = rows_by_lot(len(beliefs), batch, rng)
    batch = min(batch, len(rows))
    if batch <= 0:
        return np.zeros(0, np.int64)
    points, residuals = beliefs.embeddings[rows], guess_residuals(probs[rows])
    squares = gradient_squares(residuals, points)
    at_once = -(-batch // MOST_STEPS)
    chosen = np.argsort(-squares, kind="stable")[:at_once]
    gap = gradient_distances(residuals, points, squares, chosen)
    while len(chosen) < batch:
        new = _by_lot(np.where(gap > _EQUAL * squares.max(), gap, 0.0), at_once, rng)
        if not len(new):
            break
        chosen = np.concatenate([chosen, new])
        gap = np.minimum(gap, gradient_distances(residuals, points, squares, new))
        gap[chosen] = 0.0
    spare = ordered(gap, rng)
    spare = spare[~np.isin(spare, chosen)]
    return distinct(beliefs.embeddings, rows[np.concatenate([chosen, spare])], batch)


def guess_residuals(probs: Probs) -> NDArray[np.float32]:
    """p - onehot(argmax p) per row."""
    residuals = probs.astype(np.float32)
    residuals[np.arange(len(probs)), probs.argmax(axis=1)] -= 1.0
    return residuals


def gradient_squares(residuals: NDArray[np.float32], points: Embeddings) -> NDArray[np.float32]:
    """Squared lengths of the gradients."""
    return np.asarray(
        np.einsum("ij,ij->i", residuals, residuals) * np.einsum("ij,ij->i", points, points), np.float32
    )


def gradient_distances(
    residuals: NDArray[np.float32], points: Embeddings, squares: NDArray[np.float32], centres: Indices
) -> NDArray[np.float32]:
    """Squared distance of each gradient to the nearest of the rows `centres`."""
    inner = (residuals @ residuals[centres].T) * (points @ points[centres].T)
    return np.asarray(np.maximum(squares + (squares[centres] - 2.0 * inner).min(axis=1), 0.0), np.float32)


def _by_lot(chances: NDArray[np.floating], count: int, rng: np.random.Generator) -> Indices:
    """At most `count` distinct rows, each draw in proportion to the chances; none where all are zero.

    An exponential race: the first to arrive is distributed as a single weighted draw is.
    """
    arrival = np.full(len(chances), np.inf)
    np.divide(rng.exponential(size=len(chances)), chances, out=arrival, where=chances > 0)
    first = np.argsort(arrival, kind="stable")[:count] if count > 1 else np.array([arrival.argmin()])
    return np.asarray(first[np.isfinite(arrival[first])], np.int64)
