"""Ask where teacher and student contradict each other: one of them has something to learn."""

from __future__ import annotations

import numpy as np

from ale.strategies.diversity import margin_clusters
from ale.strategies.uncertainty import ordered
from ale.types import Beliefs, Indices, Probs, Scores


def jensen_shannon_scores(left: Probs, right: Probs) -> Scores:
    """Jensen-Shannon divergence in bits (Lin, 1991): 0 = agree, 1 = exclude each other; higher = ask first.

    Where one of the two abstains (NaN) the score is 0: silence is no contradiction.
    """
    a, b = (np.clip(p.astype(np.float64), 1e-12, 1.0) for p in (left, right))
    middle = (a + b) / 2
    bits = 0.5 * (a * np.log2(a / middle) + b * np.log2(b / middle)).sum(axis=1)
    return np.asarray(np.clip(np.nan_to_num(bits, nan=0.0), 0.0, 1.0))


def disagreement(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """The strongest contradictions between teacher and student; `margin_clusters` while one is missing."""
    if beliefs.student is None or beliefs.teacher is None:
        return margin_clusters(beliefs, batch, rng)
    return ordered(jensen_shannon_scores(beliefs.student, beliefs.teacher), rng)[: max(batch, 0)]
