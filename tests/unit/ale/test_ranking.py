"""The published score: low = needs a human."""

from __future__ import annotations

import numpy as np
import pytest

from ale.ranking import QUEUE_BELOW, Ranking, confidence_of, mix_audit, rank_pool, task_scores
from ale.strategies import STRATEGIES
from ale.types import Beliefs, Scores

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


# -- audit rows ------------------------------------------------------------------------------------------


def is_audit(ranking: Ranking) -> list[bool]:
    """Along the order: whether the row is an audit."""
    return [bool(one) for one in np.isin(ranking.order, ranking.audit)]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.15, 0.4, 0.5])
def test_the_share_holds_all_over_the_order(share: float) -> None:
    """Not only in the first batch: in every prefix it is off by a single block at most."""
    mixed = mix_audit(Ranking(np.arange(1000), 100), 1000, share, seed=3)
    assert sorted(mixed.order) == list(range(2000))
    until_used_up = int(np.flatnonzero(np.isin(mixed.order, [999]))[0])
    seen = np.cumsum(is_audit(mixed)[:until_used_up])
    assert np.abs(seen - share * np.arange(1, until_used_up + 1)).max() <= 1 + share
    assert is_audit(mixed)[until_used_up + 1 :] == [True] * (1999 - until_used_up)


def test_both_streams_keep_their_order() -> None:
    """The strategy's order and the reserve's order are only shuffled together; the queue keeps its end."""
    mixed = mix_audit(Ranking(np.arange(300)[::-1], 60), 30, 0.1, seed=1)
    there = np.array(is_audit(mixed))
    assert mixed.order[~there].tolist() == list(range(299, -1, -1))
    assert mixed.order[there].tolist() == list(range(300, 330))
    assert mixed.order[mixed.queue - 1] == 240
    assert there[: mixed.queue].sum() == mixed.queue - 60 > 0


def test_a_place_does_not_give_an_audit_away() -> None:
    """Within its block it may stand anywhere, and the seed decides."""
    places = [
        np.flatnonzero(is_audit(mix_audit(Ranking(np.arange(900), 0), 100, 0.1, seed=s))) for s in (0, 1)
    ]
    assert set((places[0] % 10).tolist()) == set(range(10))
    assert places[0].tolist() != places[1].tolist()
    again = np.flatnonzero(is_audit(mix_audit(Ranking(np.arange(900), 0), 100, 0.1, seed=0)))
    assert again.tolist() == places[0].tolist()


@pytest.mark.parametrize("answers_per_order", [1, 3, 25])
def test_the_share_holds_however_often_the_order_is_renewed(answers_per_order: int) -> None:
    """An audit waits for its turn in the next order too, instead of starting at the back each time."""
    waiting, reserve, audited, answered = list(range(900)), list(range(200)), 0, 0
    while answered < 600:
        mixed = mix_audit(
            Ranking(np.arange(len(waiting)), 100), len(reserve), 0.1, answered=answered, audited=audited
        )
        served = is_audit(mixed)[:answers_per_order]
        answered, audited = answered + len(served), audited + sum(served)
        reserve, waiting = reserve[sum(served) :], waiting[len(served) - sum(served) :]
    assert abs(audited - 0.1 * answered) <= 2


def test_an_arrear_is_forgiven() -> None:
    """Who labels a thousand tasks by hand, past the order, is not given a hundred audits in a row."""
    mixed = mix_audit(Ranking(np.arange(900), 100), 200, 0.1, answered=1000, audited=0)
    assert is_audit(mixed)[0]
    assert sum(is_audit(mixed)[:100]) <= 11


def test_without_a_share_or_a_reserve_nothing_is_mixed() -> None:
    """The order stays what it was."""
    plain = Ranking(np.arange(5), 2)
    assert mix_audit(plain, 3, 0.0) is plain
    assert mix_audit(plain, 0, 0.1) is plain


def test_audits_alone_are_an_order_too() -> None:
    """When everything else is labelled, the reserve is what is left: in its order."""
    mixed = mix_audit(Ranking(np.zeros(0, np.int64), 0), 4, 0.1)
    scores = task_scores(mixed, np.zeros(0))
    assert mixed.order.tolist() == [0, 1, 2, 3]
    assert np.all(np.diff(scores) > 0)


@pytest.mark.parametrize("confidence", [None, np.linspace(0.3, 0.9, 200), np.full(200, 0.9), np.ones(200)])
def test_scores_put_audits_where_the_order_has_them(confidence: Scores | None) -> None:
    """Label Studio sorts by the score: what it serves is the mixed order, also among equal confidences."""
    mixed = mix_audit(Ranking(np.arange(200), 20), 40, 0.1, seed=2)
    scores = task_scores(mixed, confidence)
    assert np.all((scores >= 0) & (scores <= 1))
    assert np.argsort(scores, kind="stable").tolist() == mixed.order.tolist()
    assert (scores < QUEUE_BELOW).sum() == mixed.queue
