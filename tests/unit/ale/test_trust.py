"""The trust table and the paired tests equal what one counts by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ale.chance import Rate, one_sided, two_sided
from ale.trust import Verdict, compare, measure_trust, words
from ale.types import Probs

SILENT = (float("nan"),) * 3


def table(*rows: tuple[float, float, float]) -> Probs:
    """Three labels, a row per text."""
    return np.array(rows, np.float32)


def sure(*said: int, labels: int = 3) -> Probs:
    """Rows that name one label; -1 abstains."""
    rows: Probs = np.eye(labels, dtype=np.float32)[np.maximum(said, 0)]
    rows[np.array(said) < 0] = np.nan
    return rows


def test_trust_table_equals_a_hand_computation() -> None:
    """Eight texts, counted by hand: agreement, both directions per label, confusion, abstentions."""
    human = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    teacher = table(
        (0.8, 0.1, 0.1),  # right
        (0.6, 0.3, 0.1),  # right
        (0.2, 0.7, 0.1),  # 0 called 1
        (0.1, 0.9, 0.0),  # right
        (0.1, 0.8, 0.1),  # right
        SILENT,
        (0.1, 0.2, 0.7),  # right
        (0.1, 0.5, 0.4),  # 2 called 1
    )
    trust = measure_trust(teacher, human)
    assert trust.agreed == Rate(5, 7)
    assert trust.abstained == 1
    assert trust.confusion.tolist() == [[2, 1, 0, 0], [0, 2, 0, 1], [0, 1, 1, 0]]
    assert [(one.n, one.abstained, one.agreed, one.when_said) for one in trust.per_label] == [
        (3, 0, Rate(2, 3), Rate(2, 2)),
        (3, 1, Rate(2, 2), Rate(2, 4)),
        (2, 0, Rate(1, 2), Rate(1, 1)),
    ]
    assert trust.mean_confidence == pytest.approx((0.8 + 0.6 + 0.7 + 0.9 + 0.8 + 0.7 + 0.5) / 7)
    # Seven answers make seven bins of one: ECE is the mean gap between confidence and right (1) or wrong (0).
    gaps = [0.2, 0.4, 0.7, 0.1, 0.2, 0.3, 0.5]
    assert trust.ece == pytest.approx(sum(gaps) / 7)


def test_a_teacher_that_never_answered_has_no_share() -> None:
    """Silence is neither right nor wrong: the share is unknown, and the interval says so."""
    trust = measure_trust(table(SILENT, SILENT), np.array([0, 1]))
    assert math.isnan(trust.agreed.share)
    assert trust.agreed.interval == (0.0, 1.0)
    assert math.isnan(trust.mean_confidence)
    assert math.isnan(trust.ece)


def test_wilson_interval_equals_the_formula() -> None:
    """8 of 10, computed by hand with z = 1.96: (0.490, 0.943); 0 of 10 starts at 0 and ends at 0.278."""
    assert Rate(8, 10).interval == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert Rate(0, 10).interval == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert Rate(10, 10).interval[1] == 1.0
    with pytest.raises(ValueError, match="11 hits of 10"):
        Rate(11, 10)


def test_exact_tests_equal_counted_coins() -> None:
    """9 of 10 heads or more: 11 of 1,024 ways; no difference at all is no evidence."""
    assert one_sided(9, 1) == pytest.approx(11 / 1024)
    assert two_sided(1, 9) == pytest.approx(22 / 1024)
    assert two_sided(0, 0) == one_sided(0, 0) == one_sided(0, 4) == 1.0
    assert two_sided(5, 5) == 1.0
    assert one_sided(1, 9) == pytest.approx(1023 / 1024)


def test_the_better_of_two_is_named_only_when_the_test_can_tell() -> None:
    """Ten texts that only the student gets right decide it; three do not; silent texts are left out."""
    human = np.zeros(20, np.int64)
    teacher = sure(*[1] * 10, *[0] * 10)
    verdict = compare(sure(*[0] * 20), teacher, human)
    assert (verdict.only_student, verdict.only_teacher) == (10, 0)
    assert verdict.verdict == Verdict.STUDENT_BETTER
    assert verdict.p_value == pytest.approx(2 / 1024)
    assert compare(teacher, sure(*[0] * 20), human).verdict == Verdict.TEACHER_BETTER

    silent = sure(*[1] * 3, *[-1] * 7, *[0] * 10)
    few = compare(sure(*[0] * 20), silent, human)
    assert few.verdict == Verdict.NOT_TOLD_APART
    assert (few.left_out, few.only_student, few.student, few.teacher) == (7, 3, Rate(13, 13), Rate(10, 13))


def test_words_mark_silence() -> None:
    """The likeliest label, or -1."""
    assert words(table((0.1, 0.2, 0.7), SILENT)).tolist() == [2, -1]
