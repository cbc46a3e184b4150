"""What reviewers decided corrects later doubts, and says how many wrong labels are left."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.review.decisions import Corrected, Decisions, Worth, correct
from ale.review.steering import MIN_VERDICTS
from ale.types import Embeddings

N, LABELS, DIMENSIONS = 400, 4, 8
AS_IT_IS = Worth(1.0, 0.0)


@pytest.fixture
def rng() -> np.random.Generator:
    """Seeded."""
    return np.random.default_rng(3)


def vectors(rng: np.random.Generator, rows: int) -> Embeddings:
    """Unit length, at random."""
    found = rng.standard_normal((rows, DIMENSIONS))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def decisions(rng: np.random.Generator, doubts: NDArray[np.float64], wrong: NDArray[np.bool_]) -> Decisions:
    """About labels and texts at random."""
    return Decisions(vectors(rng, len(doubts)), rng.integers(0, LABELS, len(doubts)), doubts, wrong)


def corrected(
    rng: np.random.Generator, doubts: NDArray[np.float64], found: Decisions | None, worth: Worth = AS_IT_IS
) -> Corrected:
    """For labels and texts at random."""
    return correct(doubts, rng.integers(0, LABELS, len(doubts)), vectors(rng, len(doubts)), found, worth)


def test_without_enough_decisions_a_doubt_is_worth_what_it_usually_is(rng: np.random.Generator) -> None:
    """Half the log odds, less one: .5 becomes .27; and there is an estimate, but no interval."""
    doubts = np.array([0.5, 0.5, 0.9])
    few = decisions(rng, np.full(MIN_VERDICTS - 1, 0.5), np.ones(MIN_VERDICTS - 1, bool))
    for found in (None, few):
        now = corrected(rng, doubts, found, Worth(0.5, -1.0))
        assert now.chances == pytest.approx([0.269, 0.269, 0.525], abs=0.001)
        left = now.remaining(np.array([True, False, False]))
        assert left.expected == pytest.approx(0.794, abs=0.001)
        assert (left.low, left.high) == (None, None)


@pytest.mark.parametrize("right", [True, False])
def test_decisions_of_one_kind_move_all_doubts_their_way(rng: np.random.Generator, right: bool) -> None:
    """Twenty doubts of a half, all right or all wrong: the next ones are surer, or hardly there."""
    past = decisions(rng, np.full(20, 0.5), np.full(20, right))
    chances = corrected(rng, np.full(N, 0.5), past).chances
    assert (chances.mean() > 0.8) if right else (chances.mean() < 0.2)


def test_a_label_that_is_always_doubted_in_vain_is_doubted_less(rng: np.random.Generator) -> None:
    """Doubts of label 0 were wrong, all others right."""
    given = np.repeat(np.arange(LABELS), 15)
    past = Decisions(vectors(rng, len(given)), given, np.full(len(given), 0.5), given != 0)
    labels = rng.integers(0, LABELS, N)
    chances = correct(np.full(N, 0.5), labels, vectors(rng, N), past, AS_IT_IS).chances
    assert chances[labels == 0].mean() < 0.3
    assert chances[labels != 0].mean() > 0.7


def test_what_is_left_lies_in_its_interval(rng: np.random.Generator) -> None:
    """Doubts that are less sure than they should be: 95 of 100 ranges should hold the number, 85 must."""
    inside, widths = 0, []
    for _ in range(100):
        odds = rng.normal(-2.5, 2.0, N)
        wrong = rng.random(N) < 1 / (1 + np.exp(-odds))
        doubts = 1 / (1 + np.exp(-(odds - 1.0)))
        reviewed = np.zeros(N, bool)
        reviewed[np.argsort(-doubts)[:40]] = True
        features, given = vectors(rng, N), rng.integers(0, LABELS, N)
        past = Decisions(features[reviewed], given[reviewed], doubts[reviewed], wrong[reviewed])
        left = correct(doubts, given, features, past, AS_IT_IS).remaining(reviewed)
        assert left.low is not None
        assert left.high is not None
        assert left.low <= left.expected <= left.high
        inside += round(left.low) <= wrong[~reviewed].sum() <= round(left.high)
        widths.append(left.high - left.low)
    assert inside >= 85
    assert np.mean(widths) < N / 2, "a range that says nothing always holds"


def test_a_few_sure_ones_say_little_about_the_doubts_far_below(rng: np.random.Generator) -> None:
    """Five of five right among the worst double what is left at most; forty of forty say more."""
    doubts = rng.beta(0.4, 3.0, 1_000)
    usual = corrected(rng, doubts, None, Worth(0.55, -0.85)).chances.sum()
    left = []
    for many in (5, 40):
        past = decisions(rng, np.sort(doubts)[-many:], np.ones(many, bool))
        left.append(corrected(rng, doubts, past, Worth(0.55, -0.85)).chances.sum())
    assert usual < left[0] < 2.2 * usual
    assert left[1] > 1.3 * left[0]


def test_reviewed_labels_are_not_left(rng: np.random.Generator) -> None:
    """Nobody has to look at them again."""
    past = decisions(rng, np.full(20, 0.5), rng.random(20) < 0.5)
    found = corrected(rng, np.full(N, 0.5), past)
    left = found.remaining(np.ones(N, bool))
    assert (left.expected, left.low, left.high) == (0.0, 0.0, 0.0)
    everything = found.remaining(np.zeros(N, bool))
    assert everything.low is not None
    assert everything.low <= found.chances.sum() <= (everything.high or 0)
