"""The published score: low = needs a human."""

from __future__ import annotations

import numpy as np

from ale.ranking import QUEUE_BELOW, Ranking, confidence_of, rank_pool, task_scores
from ale.strategies import STRATEGIES
from ale.types import Beliefs

PROBS = np.array([[0.9, 0.1], [0.5, 0.5], [0.7, 0.3], [0.99, 0.01]], np.float32)


def test_queue_first_then_least_confident() -> None:
    """The strategy's batch stands in front, the rest from doubtful to sure, in order and in score."""
    beliefs = Beliefs(np.eye(4, dtype=np.float32), student=PROBS)
    ranking = rank_pool(beliefs, STRATEGIES["margin"], 1, np.random.default_rng(0))
    assert ranking.order.tolist() == [1, 2, 0, 3]
    scores = task_scores(ranking, confidence_of(beliefs))
    assert np.argsort(scores).tolist() == [1, 2, 0, 3]
    assert scores[1] == 0
    assert all(scores[[2, 0, 3]] >= QUEUE_BELOW)
    assert scores.max() <= 1


def test_a_long_queue_stays_below_the_rest() -> None:
    """However long the queue, its scores are distinct and below 0.05."""
    scores = task_scores(Ranking(np.arange(1000), 900), np.zeros(1000))
    assert np.all(np.diff(scores[:900]) > 0)
    assert scores[:900].max() < QUEUE_BELOW <= scores[900:].min()


def test_without_beliefs_nothing_looks_certain() -> None:
    """The rest lies around one half."""
    beliefs = Beliefs(np.eye(5, dtype=np.float32))
    ranking = rank_pool(beliefs, STRATEGIES["random"], 2, np.random.default_rng(0))
    scores = task_scores(ranking, confidence_of(beliefs))
    assert sorted(ranking.order) == [0, 1, 2, 3, 4]
    assert np.all(np.abs(scores[ranking.order[2:]] - 0.5) <= 0.05 + 1e-9)


def test_silence_counts_as_no_confidence() -> None:
    """Where the teacher abstained and there is no student, a human is needed most."""
    teacher = np.array([[np.nan, np.nan], [0.6, 0.4]], np.float32)
    assert confidence_of(Beliefs(np.eye(2, dtype=np.float32), teacher=teacher)).tolist()[0] == 0  # type: ignore[union-attr]


def test_an_empty_pool_is_ranked_too() -> None:
    """Nothing left to ask is no error."""
    ranking = rank_pool(
        Beliefs(np.zeros((0, 3), np.float32)), STRATEGIES["margin"], 5, np.random.default_rng(0)
    )
    assert len(task_scores(ranking, None)) == 0
