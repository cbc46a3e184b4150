"""Which answers want a second one, and which new texts go before them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ale.relabel import Answers, next_questions

SURE, TORN, OTHER = [0.98, 0.02], [0.5, 0.5], [0.02, 0.98]


def rng() -> np.random.Generator:
    """A fresh generator, so that tests do not lean on each other."""
    return np.random.default_rng(0)


def answers(said: list[tuple[int, int, int]], believed: dict[int, list[float]]) -> Answers:
    """From (row, annotator, target) and the student's held-out belief of each row."""
    rows, annotators, targets = np.array(said, np.int64).reshape(-1, 3).T
    probs = np.array([believed[row] for row in rows], np.float32).reshape(-1, 2)
    return Answers(rows, annotators, targets, probs)


def test_a_doubted_answer_goes_before_a_clear_text_and_after_no_torn_one() -> None:
    """On one scale: the contradicted answer, the torn new text, the clear new text, the confirmed answer."""
    said = answers([(0, 0, 1), (1, 1, 0)], {0: SURE, 1: SURE})
    asked = next_questions(said, np.array([7, 8]), np.array([TORN, SURE], np.float32), rng())
    assert asked.rows.tolist() == [0, 7, 8, 1]
    assert asked.again.tolist() == [True, False, False, True]
    assert (np.diff(asked.scores) <= 0).all()


def test_an_answer_that_others_confirm_is_worth_less() -> None:
    """Of two answers that the student equally doubts, the lone one is asked again first."""
    believed = {0: TORN, 1: TORN, 2: SURE, 3: OTHER, 4: SURE}
    said = answers(
        [(0, 0, 0), (1, 0, 0), (1, 1, 0), (2, 0, 0), (2, 1, 0), (3, 0, 1), (3, 1, 1), (4, 2, 0)], believed
    )
    asked = next_questions(said, np.zeros(0, np.int64), np.zeros((0, 2), np.float32), rng())
    order = asked.rows.tolist()
    assert order.index(0) < order.index(1)


def test_nobody_is_asked_twice() -> None:
    """A row that all have answered, or that has enough answers, is not asked again."""
    said = answers([(0, 0, 1), (0, 1, 0), (1, 0, 1)], {0: SURE, 1: SURE})
    nothing = np.zeros(0, np.int64), np.zeros((0, 2), np.float32)
    assert next_questions(said, *nothing, rng()).rows.tolist() == [1]
    assert sorted(next_questions(said, *nothing, rng(), people=3).rows.tolist()) == [0, 1]
    assert next_questions(said, *nothing, rng(), people=3, most=2).rows.tolist() == [1]
    assert next_questions(said, *nothing, rng(), people=3, most=1).rows.tolist() == []


def test_a_lone_annotator_only_gets_new_texts() -> None:
    """There is nobody for a second opinion, until somebody joins."""
    said = answers([(0, 5, 1), (1, 5, 1)], {0: SURE, 1: OTHER})
    new = np.array([4]), np.array([TORN], np.float32)
    assert next_questions(said, *new, rng()).rows.tolist() == [4]
    assert next_questions(said, *new, rng(), people=2).rows.tolist()[0] == 0


def test_the_last_answer_of_a_person_counts() -> None:
    """Who changed the mind to what the student believes is no longer doubted."""
    before = answers([(0, 0, 1), (1, 1, 0)], {0: SURE, 1: SURE})
    after = answers([(0, 0, 1), (1, 1, 0), (0, 0, 0)], {0: SURE, 1: SURE})
    nothing = np.zeros(0, np.int64), np.zeros((0, 2), np.float32)
    scores = [
        dict(zip(q.rows.tolist(), q.scores.tolist(), strict=True))[0]
        for q in (next_questions(said, *nothing, rng()) for said in (before, after))
    ]
    assert scores[1] < scores[0] - 0.3


def test_a_tied_vote_is_not_left_to_chance() -> None:
    """Two people contradict each other and the student cannot tell: no warning, no draw, asked first."""
    said = answers([(0, 0, 0), (0, 1, 1), (1, 0, 0), (1, 1, 0)], {0: TORN, 1: SURE})
    asked = next_questions(said, np.array([9]), np.array([SURE], np.float32), rng(), people=3)
    assert asked.rows.tolist()[0] == 0
    lone = answers([(0, 0, 0), (0, 1, 1)], {0: TORN})
    only = next_questions(lone, np.array([9]), np.array([SURE], np.float32), rng(), people=3)
    assert only.rows.tolist() == [0, 9]


def test_input_that_does_not_fit_is_refused() -> None:
    """Lengths, targets and beliefs are checked at the door."""
    one, belief = np.zeros(1, np.int64), np.array([TORN], np.float32)
    with pytest.raises(ValueError, match="lengths"):
        Answers(one, one, np.zeros(2, np.int64), belief)
    with pytest.raises(ValueError, match="outside the 2 labels"):
        Answers(one, one, one + 2, belief)
    known = Answers(one, one, one, belief)
    with pytest.raises(ValueError, match="waiting rows"):
        next_questions(known, one, np.zeros((0, 2), np.float32), rng())
    with pytest.raises(ValueError, match="not finite"):
        next_questions(known, one, belief * np.nan, rng())


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 4), st.integers(0, 25), st.integers(0, 6))
@settings(max_examples=80)
def test_any_answers_give_an_order(seed: int, labels: int, people: int, said: int, waiting: int) -> None:
    """Distinct rows, falling scores in [0, 1], every waiting row, and the same again for any global state."""
    made = np.random.default_rng(seed)
    rows = made.integers(0, 10, said)
    probs = made.dirichlet(np.full(labels, made.choice([0.05, 1.0, 1e6])), 10).astype(np.float32)
    given_ = Answers(rows, made.integers(0, people, said), made.integers(0, labels, said), probs[rows])
    new = np.arange(100, 100 + waiting), made.dirichlet(np.ones(labels), waiting).astype(np.float32)
    asked = next_questions(given_, *new, rng(), people=people)
    again = next_questions(given_, *new, rng(), people=people)
    assert np.array_equal(asked.rows, again.rows)
    assert np.array_equal(asked.scores, again.scores)
    assert len(set(asked.rows.tolist())) == len(asked.rows)
    assert set(new[0].tolist()) <= set(asked.rows.tolist())
    assert ((asked.scores >= 0) & (asked.scores <= 1)).all()
    assert (np.diff(asked.scores) <= 0).all()
    assert (asked.again == (asked.rows < 100)).all()
