"""A recorded teacher says what stands in the column, abstains on the rest, and is worth what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from ale.protocols import Teacher
from ale.teachers.recorded import ASSUMED, RecordedTeacher, hard, measured_reliability
from ale.text import to_example
from ale.types import Abstention, Confidence, Example, LabelSpace

SPACE = LabelSpace(("positive", "negative", "neutral"))


def example(text: str) -> Example:
    """A text as the engine sees it."""
    made = to_example(0, text)
    assert made is not None
    return made


def teacher(**answers: str) -> RecordedTeacher:
    """A teacher that was heard on these texts."""
    return RecordedTeacher("col", {example(text).text_hash: word for text, word in answers.items()})


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("", Abstention.NO_ANSWER),
        ("  ", Abstention.NO_ANSWER),
        ("Mixed", Abstention.UNKNOWN_LABEL),
        ("positiv", Abstention.UNKNOWN_LABEL),
        ("positive, negative", Abstention.UNKNOWN_LABEL),
    ],
)
def test_a_word_outside_the_label_space_is_an_abstention(word: str, reason: Abstention) -> None:
    """Empty or foreign words are counted by their reason, never turned into the nearest label."""
    found = teacher(text=word)
    assert found.answer(example("text"), SPACE).abstention == reason
    assert np.isnan(found.predict_proba([example("text")], SPACE)).all()


def test_a_text_that_was_not_recorded_is_pending() -> None:
    """Nothing was said yet, which is not a refusal."""
    assert teacher().answer(example("new"), SPACE).abstention == Abstention.TEACHER_PENDING


@pytest.mark.parametrize("word", ["negative", " Negative\n", "NEGATIVE"])
def test_a_known_word_is_a_hard_answer_of_assumed_worth(word: str) -> None:
    """The label gets the assumed reliability, the others share the rest, and no confidence is claimed."""
    answer = teacher(text=word).answer(example("text"), SPACE)
    assert answer.confidence == Confidence.NONE
    assert answer.probs is not None
    assert answer.probs == pytest.approx([(1 - ASSUMED) / 2, ASSUMED, (1 - ASSUMED) / 2])


def test_labels_that_differ_only_in_case_need_the_exact_word() -> None:
    """`us` and `US` are two labels: a third spelling is neither."""
    space = LabelSpace(("us", "US"))
    said = [teacher(text=word).answer(example("text"), space) for word in ("us", "US", "Us")]
    assert [None if a.probs is None else int(a.probs.argmax()) for a in said] == [0, 1, None]


def test_another_recording_has_another_name() -> None:
    """The name is part of every cache key."""
    assert isinstance(teacher(), Teacher)
    assert teacher(text="positive").name != teacher(text="negative").name
    assert teacher(text="positive").name == teacher(text="positive").name


def test_reliability_is_measured_per_word_and_shrunk() -> None:
    """Ten rights of ten for one word, five of ten for the other, by hand; silence does not count."""
    said = np.array([0] * 10 + [1] * 10 + [-1])
    human = np.array([0] * 10 + [1] * 5 + [0] * 5 + [0])
    overall = (15 + 10 * 0.8) / (20 + 10)
    measured = measured_reliability(said, human, 2)
    assert measured == pytest.approx([(10 + 10 * overall) / 20, (5 + 10 * overall) / 20])
    nothing = np.zeros(0, np.int64)
    assert measured_reliability(nothing, nothing, 2) == pytest.approx([0.8, 0.8])


def test_hard_rows_sum_to_one_and_silence_stays_silent() -> None:
    """One reliability per label; a single label is certain."""
    probs = hard(np.array([0, 1, -1]), 3, np.array([0.9, 0.5, 0.7]))
    assert probs[:2].sum(axis=1) == pytest.approx([1, 1])
    assert probs[0].tolist() == pytest.approx([0.9, 0.05, 0.05])
    assert probs[1, 1] == pytest.approx(0.5)
    assert np.isnan(probs[2]).all()
    assert hard(np.array([0]), 1).tolist() == [[1.0]]
