"""The zero-shot teacher: a hint is taken apart, and the clause that fits a text speaks for its label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ale.teachers.zero_shot import ZeroShotTeacher, prompts_for
from ale.types import Embeddings, Example, LabelSpace


class Words:
    """An encoder that counts words: each has its own column, in both halves."""

    name = "words"
    dimensions = 512

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Shape (texts, 512)."""
        rows = np.zeros((len(texts), self.dimensions // 2), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                rows[row, sum(map(ord, word.strip(".,;:?!"))) % rows.shape[1]] += 1
        return np.hstack([rows, rows])


def texts_of(label: str, hint: str) -> list[str]:
    """The prompts without their weights."""
    return [text for text, _ in prompts_for(label, hint)]


@pytest.mark.parametrize(
    ("label", "words"),
    [("card_arrival", "card arrival"), ("cardArrival", "card Arrival"), ("Sci/Tech", "Sci Tech"), ("_", "_")],
)
def test_a_name_is_read_as_words(label: str, words: str) -> None:
    """Whatever joins its words; a name of joints alone stays."""
    assert prompts_for(label, " ") == [(words, 1.0)]


def test_a_hint_is_read_by_sentence_and_by_clause() -> None:
    """Semicolons, as between the entries of a list, end a sentence too."""
    assert texts_of("NUM", "Asks for a number: how many, when, or how far. What year?; a price") == [
        "NUM",
        *["Asks for a number:", "how many, when, or how far.", "What year?;", "a price"],
        *["Asks for a number", "how many", "when", "how far", "What year?", "a price"],
    ]


def test_many_clauses_weigh_no_more_than_the_sentences() -> None:
    """And the name, which may be a mere code, less than either."""
    prompts = prompts_for("a", "One, two, three, four. Five.")
    weights = [weight for _, weight in prompts]
    assert weights[1:3] == [0.5, 0.5]
    assert sum(weights[3:]) == pytest.approx(1.0)
    assert weights[0] < 0.5


def test_one_fitting_clause_beats_a_vague_resemblance() -> None:
    """`ale` stands in one clause of a long hint; the other hint shares only the small words of the text."""
    hints = (
        "The drink is a wine, a spirit, a lemonade, an ale, a milk or a cocoa",
        "the price of the thing that is asked for and who is asked to pay the price of the thing",
    )
    teacher = ZeroShotTeacher(Words())
    probs = teacher.predict_proba([Example(0, "an ale", "h")], LabelSpace(("x", "y"), hints))
    assert probs.argmax(axis=1).tolist() == [0]


def test_a_row_that_was_not_embedded_is_an_abstention() -> None:
    """Zeros resemble nothing."""
    raw = np.zeros((2, Words.dimensions), np.float32)
    raw[1] = Words().encode(["beer"])[0]
    probs = ZeroShotTeacher(Words()).predict_from_vectors(raw, LabelSpace(("beer", "wine"), ("", "")))
    assert np.isnan(probs[0]).all()
    assert probs[1].argmax() == 0
