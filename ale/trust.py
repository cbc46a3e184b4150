"""How far a teacher can be trusted: its answers against people's, label by label, and the student's beside.

One row per text. What people saw before they answered is for the caller to mind: labels that were given
under a suggestion flatter whoever made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ale.chance import Rate, two_sided
from ale.metrics import ece
from ale.types import Probs


@dataclass(frozen=True, slots=True)
class LabelTrust:
    """One label. Of the texts that people gave it: how often the teacher agreed, or abstained.

    `when_said` counts the other way round: how often people agreed when the teacher said it.
    """

    label: int
    n: int
    abstained: int
    agreed: Rate
    when_said: Rate


@dataclass(frozen=True, slots=True, eq=False)
class Trust:
    """A teacher against people. Abstentions are counted beside, not as errors.

    `confusion[i, j]` counts texts that people called i and the teacher j; the last column are abstentions.
    `ece` and `mean_confidence` are over the answers, NaN without any; `ece` lower is better.
    """

    agreed: Rate
    abstained: int
    per_label: tuple[LabelTrust, ...]
    confusion: NDArray[np.int64]
    mean_confidence: float
    ece: float


def measure_trust(teacher: Probs, human: NDArray[np.int64]) -> Trust:
    """The trust table of `teacher` (NaN rows abstain) on texts that people called `human`."""
    labels = teacher.shape[1]
    if len(teacher) != len(human):
        raise ValueError(f"{len(teacher)} answers for {len(human)} human labels")
    said = words(teacher)
    confusion = np.zeros((labels, labels + 1), np.int64)
    np.add.at(confusion, (human, said), 1)  # -1, an abstention, is the last column
    answered = said >= 0
    return Trust(
        agreed=Rate(int(np.trace(confusion)), int(answered.sum())),
        abstained=int(confusion[:, -1].sum()),
        per_label=tuple(_label(confusion, label) for label in range(labels)),
        confusion=confusion,
        mean_confidence=float(teacher[answered].max(axis=1).mean()) if answered.any() else float("nan"),
        ece=ece(teacher[answered], human[answered]),
    )


def words(probs: Probs) -> NDArray[np.int64]:
    """The likeliest label of every row, -1 for an abstention."""
    answered = ~np.isnan(probs).any(axis=1)
    return np.where(answered, np.nan_to_num(probs).argmax(axis=1), -1).astype(np.int64)


class Verdict(StrEnum):
    """What a paired test can say."""

    STUDENT_BETTER = "student better"
    TEACHER_BETTER = "teacher better"
    NOT_TOLD_APART = "not told apart"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Student and teacher on the same texts. `left_out` texts had no answer from one of the two.

    `p_value` is two-sided and exact, for a single look: who looks after every annotation and stops at the
    first verdict errs more often than `alpha` says.
    """

    student: Rate
    teacher: Rate
    only_student: int
    only_teacher: int
    left_out: int
    p_value: float
    verdict: Verdict


def compare(student: Probs, teacher: Probs, human: NDArray[np.int64], alpha: float = 0.05) -> Comparison:
    """Who is better on texts that people have labelled. `student` must be out-of-fold: it learnt from them."""
    mine, theirs = words(student), words(teacher)
    both = (mine >= 0) & (theirs >= 0)
    student_right, teacher_right = (mine == human)[both], (theirs == human)[both]
    only_student = int((student_right & ~teacher_right).sum())
    only_teacher = int((teacher_right & ~student_right).sum())
    p_value = two_sided(only_student, only_teacher)
    verdict = Verdict.NOT_TOLD_APART
    if p_value < alpha:
        verdict = Verdict.STUDENT_BETTER if only_student > only_teacher else Verdict.TEACHER_BETTER
    return Comparison(
        student=Rate(int(student_right.sum()), len(student_right)),
        teacher=Rate(int(teacher_right.sum()), len(teacher_right)),
        only_student=only_student,
        only_teacher=only_teacher,
        left_out=int((~both).sum()),
        p_value=p_value,
        verdict=verdict,
    )


def _label(confusion: NDArray[np.int64], label: int) -> LabelTrust:
    n, hits, silent = (
        int(c) for c in (confusion[label].sum(), confusion[label, label], confusion[label, -1])
    )
    return LabelTrust(
        label=label,
        n=n,
        abstained=silent,
        agreed=Rate(hits, n - silent),
        when_said=Rate(hits, int(confusion[:, label].sum())),
    )
