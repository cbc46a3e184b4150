"""The transformer student: takes the tuned encoder where held-out labels speak for it, and only there."""

from __future__ import annotations

from copy import copy

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.engine import LearnInput, learn
from ale.errors import LabelSpaceMismatch
from ale.strategies import resolve_strategy
from ale.students.hybrid import HybridStudent
from ale.students.transformer import TransformerStudent
from ale.tuning.belief import TunedBelief
from ale.types import Embeddings, LabelSpace

LABELLED = np.arange(90, dtype=np.int64)


def pool(rows: int = 400) -> tuple[Embeddings, NDArray[np.int64]]:
    """Rows that tell a little of three labels."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, rows)
    points = rng.normal(size=(3, 16))[truth] + 3.0 * rng.normal(size=(rows, 16))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), truth


def belief(truth: NDArray[np.int64], right: float, sure: float = 3.0) -> TunedBelief:
    """A simulated one: it names the truth at rate `right`, and is as sure of what is wrong."""
    rng = np.random.default_rng(2)
    wrong = rng.random(len(truth)) >= right
    said = np.where(wrong, (truth + rng.integers(1, 3, len(truth))) % 3, truth)
    logits = (sure * np.eye(3)[said]).astype(np.float32)
    return TunedBelief(logits[LABELLED], logits, 75, 1.0, 1.0)


def fit(given: TunedBelief | None) -> TransformerStudent:
    """On the first rows."""
    points, truth = pool()
    return TransformerStudent(given).fit(points, LABELLED, truth[LABELLED], labels=3)


@pytest.mark.parametrize("sure", [3.0, 30.0])
def test_a_tuning_that_knows_nothing_changes_nothing(sure: float) -> None:
    """However sure it is of it: all that is said is the hybrid student's, number for number."""
    points, truth = pool()
    alone = HybridStudent().fit(points, LABELLED, truth[LABELLED], labels=3)
    student = fit(belief(truth, 1 / 3, sure))
    assert student.share == 0
    assert np.array_equal(student.pool_logits(), alone.pool_logits())
    assert np.array_equal(student.out_of_fold_logits(), alone.out_of_fold_logits())
    assert np.array_equal(student.logits(points), alone.logits(points))
    members, theirs = student.committee(), alone.committee()
    assert members is not None
    assert theirs is not None
    assert np.array_equal(members, theirs)


def test_a_tuning_that_knows_more_is_heard() -> None:
    """In the pool, in new texts, and in the out-of-fold logits; the committee has a member more."""
    points, truth = pool()
    alone, given = fit(None), belief(truth, 0.9)
    student = fit(given)
    assert student.share > 0.5
    rest = slice(len(LABELLED), None)
    for one in (student.pool_logits()[rest], student.logits(np.hstack([points, given.pool]))[rest]):
        assert np.mean(one.argmax(axis=1) == truth[rest]) > 0.85
    assert np.mean(alone.pool_logits()[rest].argmax(axis=1) == truth[rest]) < 0.75
    assert np.mean(student.out_of_fold_logits().argmax(axis=1) == truth[LABELLED]) > 0.8
    members, theirs = student.committee(), alone.committee()
    assert members is not None
    assert theirs is not None
    assert len(members) == len(theirs) + 1


def test_it_can_be_kept_and_read_again() -> None:
    """Its state gives a student of the same words, with the tuned encoder's columns and without."""
    points, truth = pool()
    given = belief(truth, 0.9)
    student = fit(given)
    again = TransformerStudent.from_state(*student.state())
    both = np.hstack([points, given.pool])
    assert np.array_equal(again.logits(both), student.logits(both))
    assert np.array_equal(again.logits(points), student.logits(points))
    with pytest.raises(LabelSpaceMismatch, match="16 columns and 3 of the tuned encoder, not 17"):
        again.logits(both[:, :17])


def test_a_text_that_was_never_read_gets_the_hybrid_students_word() -> None:
    """In the pool and later, at the scale of the mixture; what was read says what it said before."""
    points, truth = pool()
    whole = belief(truth, 0.9)
    some = TunedBelief(whole.held_out, whole.pool.copy(), 75, 1.0, 1.0)
    some.pool[350:] = np.nan
    full, part, alone = fit(whole), fit(some), fit(None)
    assert part.share == full.share > 0
    assert np.array_equal(part.pool_logits()[:350], full.pool_logits()[:350])
    unread = part.pool_logits()[350:]
    assert np.array_equal(unread.argmax(axis=1), alone.pool_logits()[350:].argmax(axis=1))
    assert np.allclose(np.exp(unread).sum(axis=1), 1.0, atol=1e-5)
    later = part.logits(np.hstack([points, some.pool]))
    assert np.array_equal(later[350:], part.logits(points)[350:])
    assert np.array_equal(later[350:].argmax(axis=1), alone.logits(points)[350:].argmax(axis=1))
    assert np.array_equal(later[:350], full.logits(np.hstack([points, whole.pool]))[:350])
    members = part.committee()
    assert members is not None
    assert np.isfinite(members).all()


def test_labels_of_unread_texts_decide_nothing() -> None:
    """The trial counts the others; with none of them the hybrid student stays alone."""
    points, truth = pool()
    whole = belief(truth, 0.9)
    some = TunedBelief(whole.held_out.copy(), whole.pool, 75, 1.0, 1.0)
    some.held_out[60:] = np.nan
    trial = fit(some).trial
    assert trial is not None
    assert trial.labels == 60
    assert trial.mixed > trial.alone
    assert trial.gain > 3
    some.held_out[:] = np.nan
    student = fit(some)
    assert (student.share, student.trial) == (0, None)
    assert np.array_equal(student.logits(points), fit(None).logits(points))


def test_the_reviews_second_fit_leaves_the_first_as_it_was() -> None:
    """It fits a copy, with the weights of doubted labels taken away."""
    points, truth = pool()
    student = fit(belief(truth, 0.9))
    before = student.logits(points)
    copy(student).fit(points, LABELLED, truth[LABELLED], labels=3, weights=np.arange(90) / 90)
    assert np.array_equal(student.logits(points), before)


def test_a_belief_about_other_rows_is_refused() -> None:
    """A tuning that finished after more labels had come must not be laid over them."""
    points, truth = pool()
    given = belief(truth, 0.9)
    with pytest.raises(LabelSpaceMismatch, match=r"tuned on \(90, 3\) held-out"):
        TransformerStudent(given).fit(points, LABELLED[:80], truth[:80], labels=3)


def test_the_engine_calibrates_and_reviews_on_its_held_out_belief() -> None:
    """A belief that is too sure of itself is published as sure as it is right, and what it doubts is wrong."""
    points, truth = pool()
    said = truth[LABELLED].copy()
    said[:6] = (said[:6] + 1) % 3
    given = belief(truth, 0.9, sure=30.0)
    learned = learn(
        LearnInput(
            raw=points,
            labelled=LABELLED,
            targets=said,
            labels=LabelSpace(("a", "b", "c")),
            strategy=resolve_strategy("margin"),
            student=lambda: TransformerStudent(given),
        )
    )
    rest = learned.probs[len(LABELLED) :]
    correct = rest.argmax(axis=1) == truth[len(LABELLED) :]
    assert abs(float(rest.max(axis=1).mean()) - float(correct.mean())) < 0.12
    flagged = {issue.position for issue in learned.issues}
    assert flagged
    assert flagged <= set(range(6))
