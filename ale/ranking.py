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
_HAIR = 1e-9


@dataclass(frozen=True, slots=True)
class Ranking:
    """All rows, the one to ask first at the front; the first `queue` are the strategy's choice.

    `audit` names the rows that are shown without a suggestion, to measure the truth. They stand all over
    `order`; those that the strategy's choice stands behind are counted in `queue`.
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


def mix_audit(
    ranking: Ranking, audits: int, share: float, *, seed: int = 0, answered: int = 0, audited: int = 0
) -> Ranking:
    """The same order with so many audit rows mixed in, as rows n, n+1, ... behind the n candidates.

    Of each 1 / `share` tasks that are answered one is an audit, at a place drawn by `seed`, so that no place
    gives it away. Counted from the first answer on: of `answered` tasks `audited` were audits. Counted from
    the front of each new order, a share of one in ten would never come up where every third answer brings
    a new order. When one of the two streams is used up, the other follows.
    """
    if not audits or share <= 0:
        return ranking
    numbers = np.arange(audited, audited + audits)
    drawn = np.random.default_rng(seed).random(audited + audits)[audited:]
    due = np.floor((numbers + drawn) / share).astype(np.int64)
    # One that is overdue comes now; with a long arrear they would come in a row, so it is forgiven.
    due -= min(answered, int(due[0]))
    ahead = np.arange(audits)
    before = np.maximum.accumulate(due - ahead)  # candidates before each: no two audits share a place
    before = np.minimum(before, len(ranking.order))
    rows = len(ranking.order) + ahead
    return Ranking(
        np.insert(ranking.order, before, rows), ranking.queue + int((before < ranking.queue).sum()), rows
    )


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
    """The published score of every row: 0 = ask now, 1 = no human needed.

    Queue: [0, 0.05) in order. The rest: 0.05 + 0.95 * confidence (calibrated; NaN counts as 0), and an audit
    row, which has none, between its neighbours. Without any confidence the rest lies
    around one half in the ranking's order, so that nothing looks certain.
    """
    n, queue = len(ranking.order), ranking.queue
    scores = np.empty(n, np.float64)
    if confidence is None:
        spread = np.empty(n, np.float64)
        spread[ranking.order] = np.linspace(0.45, 0.55, n)
        scores[:] = spread
    else:
        known = np.clip(np.nan_to_num(np.asarray(confidence, np.float64), nan=0.0), 0.0, 1.0)
        scores[: len(known)] = QUEUE_BELOW + (1.0 - QUEUE_BELOW) * known
        _between(ranking, scores)
    scores[ranking.order[:queue]] = QUEUE_BELOW * np.arange(queue) / max(queue, 1)
    return scores


def _between(ranking: Ranking, scores: Scores) -> None:
    """Give every audit row behind the queue a score between those of the candidates around it.

    Equal scores are told apart by a hair: Label Studio would serve them by their ids, audits in a heap.
    """
    if not len(ranking.audit):
        return
    rest = ranking.order[ranking.queue :]
    audit = np.isin(rest, ranking.audit)
    at, candidates = np.flatnonzero(audit), np.flatnonzero(~audit)
    scores[rest[at]] = np.interp(
        at, [-1, *candidates, len(rest)], [QUEUE_BELOW, *scores[rest[candidates]], 1.0]
    )
    hairs = _HAIR * np.arange(len(rest))
    # Room for the hairs below 1, where a student that is wholly sure of many texts would leave none.
    below = np.minimum(scores[rest] - hairs, 1.0 - _HAIR * len(rest))
    scores[rest] = np.maximum.accumulate(below) + hairs
