"""Readers of the teacher expect its right answers more than its errors, and know none of them by heart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.audit.echo import echoes
from ale.types import Embeddings, Probs

SIZE = 600
GOOD, BAD = ["lovely", "moving", "funny", "warm"], ["dull", "silly", "tired", "bleak"]


def reviews(seed: int = 0) -> tuple[list[str], Embeddings, NDArray[np.int64]]:
    """Texts of five words that lean to one side, their embeddings (two noisy columns), and the side."""
    rng = np.random.default_rng(seed)
    side = rng.integers(0, 2, SIZE)
    texts = [
        " ".join(rng.choice(GOOD if rng.random() < (0.85 if one else 0.15) else BAD) for _ in range(5))
        + f" film number {place}"
        for place, one in enumerate(side)
    ]
    return texts, (np.eye(2)[side] + rng.normal(0, 0.5, (SIZE, 2))).astype(np.float32), side


def hard(answers: NDArray[np.int64]) -> Probs:
    """A teacher without doubts."""
    return np.eye(2, dtype=np.float32)[answers]


def test_errors_of_the_teacher_are_what_no_reader_expects() -> None:
    """One answer in ten is wrong: both readers believe in the right ones more, and answer for silent rows too."""
    texts, features, side = reviews()
    wrong = np.random.default_rng(1).random(SIZE) < 0.1
    teacher = hard(np.where(wrong, 1 - side, side))
    teacher[:50] = np.nan
    heard = echoes(texts, features, teacher)
    assert len(heard) == 2
    for probs in heard:
        expected = probs[np.arange(SIZE), np.where(wrong, 1 - side, side)]
        assert expected[50:][~wrong[50:]].mean() > 0.6
        assert expected[50:][wrong[50:]].mean() < 0.4
        assert (probs[:50].argmax(axis=1) == side[:50]).mean() > 0.8


def test_the_reader_of_words_knows_no_answer_by_heart() -> None:
    """Answers by lot cannot be told from texts of words of their own, nor from a twin that got the same answer."""
    texts = [f"w{place}a w{place}b w{place}c" for place in range(SIZE // 2)] * 2
    answers = np.tile(np.random.default_rng(2).integers(0, 2, SIZE // 2), 2)
    words = echoes(texts, np.zeros((SIZE, 2), np.float32), hard(answers))[1]
    assert (words.argmax(axis=1) == answers).mean() < 0.6


def test_the_same_question_has_the_same_answer() -> None:
    """To the last bit: a look at other numbers would be a look at another model."""
    texts, features, side = reviews()
    for one, other in zip(*(echoes(texts, features, hard(side)) for _ in range(2)), strict=True):
        assert np.array_equal(one, other)


def test_a_silent_teacher_has_no_echo() -> None:
    """Not asked yet is no reason to fail; texts that share nothing but one answer are none either."""
    texts, features, _ = reviews()
    assert echoes(texts, features, np.full((SIZE, 2), np.nan, np.float32)) == []
    few = echoes(["a", "b", "c"], features[:3], hard(np.zeros(3, np.int64)))
    assert all(np.isfinite(probs).all() for probs in few)
