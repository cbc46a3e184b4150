"""Ask where the student cannot decide: three classic scores and one way to make a batch of them.

Every score function returns one number per example in [0, 1]; higher = ask first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ale.protocols import Strategy
from ale.strategies.batch import distinct
from ale.types import Beliefs, Indices, Probs, Scores


def least_confidence_scores(probs: Probs) -> Scores:
    """One minus the highest probability (Lewis and Gale, 1994)."""
    return np.asarray(1.0 - probs.max(axis=1, initial=0.0), np.float64)


def margin_scores(probs: Probs) -> Scores:
    """One minus the gap between the two likeliest labels: 1 = cannot decide (Scheffer et al., 2001)."""
    if probs.shape[1] < 2:
        return np.zeros(len(probs))
    top2 = np.partition(probs, -2, axis=1)[:, -2:].astype(np.float64)
    return np.asarray(1.0 - (top2[:, 1] - top2[:, 0]))


def entropy_scores(probs: Probs) -> Scores:
    """Entropy over its greatest possible value (Shannon, 1948)."""
    if probs.shape[1] < 2:
        return np.zeros(len(probs))
    safe = np.clip(probs.astype(np.float64), 1e-12, 1.0)
    return np.asarray(np.clip(-(safe * np.log(safe)).sum(axis=1) / np.log(probs.shape[1]), 0.0, 1.0))


def ordered(
    scores: NDArray[np.floating], rng: np.random.Generator, then: NDArray[np.floating] | None = None
) -> Indices:
    """Row numbers, highest score first, equal ones by `then`; ties by lot, so that no id is favoured."""
    lot = rng.random(len(scores))
    keys = (lot, -scores) if then is None else (lot, -then, -scores)
    return np.asarray(np.lexsort(keys), np.int64)


def top(score: Callable[[Probs], Scores], cold_start: Strategy) -> Strategy:
    """The strategy that takes the highest scores of the best beliefs; `cold_start` serves before any."""

    def strategy(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
        probs = beliefs.best
        if probs is None:
            return cold_start(beliefs, batch, rng)
        return distinct(beliefs.embeddings, ordered(score(probs), rng), batch)

    strategy.__doc__ = score.__doc__
    return strategy
