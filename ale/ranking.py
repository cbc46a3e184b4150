"""From a strategy's choice to one number per task, written down once.

A published score says *how little the task needs a human*: Label Studio serves the lowest first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ale.protocols import Strategy
from ale.types import Beliefs, Indices, Scores

QUEUE_BELOW = 0.05
"""Queue in [0, 0.05) in the strategy's order, everything else in [0.05, 1]."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """All candidates, the one to ask first at the front; the first `queue` were chosen by the strategy.

    `audit` names rows within the queue that are shown without a suggestion, to measure the truth. Nothing
    fills it yet; whoever does mixes them into `order` and counts them in `queue`.
    """

    order: Indices
    queue: int
    audit: Indices = field(default_factory=lambda: np.zeros(0, np.int64))


def rank_pool(beliefs: Beliefs, strategy: Strategy, batch: int, rng: np.random.Generator) -> Ranking:
    """The strategy's batch first, then the rest from least to most confident (by lot without beliefs)."""
    chosen = np.asarray(strategy(beliefs, batch, rng), np.int64) if len(beliefs) else np.zeros(0, np.int64)
    waiting = np.ones(len(beliefs), bool)
    waiting[chosen] = False
    rest = np.flatnonzero(waiting)
    confidence = confidence_of(beliefs)
    tie = rng.random(len(rest))
    rest = rest[np.lexsort((tie,) if confidence is None else (tie, confidence[rest]))]
    return Ranking(np.concatenate([chosen, rest]), len(chosen))


def confidence_of(beliefs: Beliefs) -> Scores | None:
    """The probability of the likeliest label per candidate; 0 where nobody has an opinion."""
    probs = beliefs.best
    if probs is None:
        return None
    confidence = np.asarray(probs.max(axis=1, initial=0.0), np.float64)
    if beliefs.student is None and beliefs.teacher is not None:
        confidence[np.isnan(beliefs.teacher).any(axis=1)] = 0.0
    return confidence


def task_scores(ranking: Ranking, confidence: NDArray[np.floating] | None) -> Scores:
    """The published score of every candidate: 0 = ask now, 1 = no human needed.

    Queue: [0, 0.05) in order. The rest: 0.05 + 0.95 * confidence (calibrated; NaN counts as 0). Without any
    confidence the rest lies around one half in the ranking's order, so that nothing looks certain.
    """
    n, queue = len(ranking.order), ranking.queue
    scores = np.empty(n, np.float64)
    if confidence is None:
        spread = np.empty(n, np.float64)
        spread[ranking.order] = np.linspace(0.45, 0.55, n)
        scores[:] = spread
    else:
        known = np.clip(np.nan_to_num(np.asarray(confidence, np.float64), nan=0.0), 0.0, 1.0)
        scores[:] = QUEUE_BELOW + (1.0 - QUEUE_BELOW) * known
    scores[ranking.order[:queue]] = QUEUE_BELOW * np.arange(queue) / max(queue, 1)
    return scores
