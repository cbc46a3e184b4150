"""What the audit labels say about student and teacher: how often each is right, and how honest its confidence is.

Only these labels may: they are a random sample, and the student has learnt from none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.calibration import fit_temperature, softmax
from ale.chance import Rate
from ale.folds import assign_folds
from ale.metrics import ece
from ale.trust import words
from ale.types import Probs

CALIBRATES_FROM = 50
"""Audit labels by which the student's temperature is set. With fewer its own held-out labels know it better."""
NOBODY = Rate(0, 0)


@dataclass(frozen=True, slots=True)
class Audit:
    """`n` tasks were labelled blind, `skipped` more were shown and got no label.

    `student` and `teacher` count right answers of those that were given: a teacher may abstain. `ece` is the
    student's calibration error, NaN without a student; lower is better.
    """

    n: int
    skipped: int
    student: Rate
    teacher: Rate
    ece: float

    @property
    def metrics(self) -> dict[str, float]:
        """For a run's figures; what nobody was asked about is left out."""
        found = {"n_audit": float(self.n)}
        if self.student.of:
            found |= {"audit_accuracy": self.student.share, "audit_ece": self.ece}
        if self.teacher.of:
            found["audit_teacher_accuracy"] = self.teacher.share
        return found


NOTHING_AUDITED = Audit(0, 0, NOBODY, NOBODY, float("nan"))


def measure_audit(
    targets: NDArray[np.int64],
    skipped: int,
    student: NDArray[np.float64] | None,
    *,
    temperature: float,
    teacher: Probs | None,
) -> Audit:
    """`student` are logits and `teacher` probabilities (NaN rows abstain) of the audited rows; None = nobody.

    Where the temperature was set by these very labels, each is judged under the temperature of the others.
    """
    n = len(targets)
    if student is None or not n:
        return Audit(n, skipped, NOBODY, _right(teacher, targets), float("nan"))
    probs = softmax(student, temperature)
    if n >= CALIBRATES_FROM:
        folds = assign_folds(targets)
        for fold in np.unique(folds):
            out = folds == fold
            probs[out] = softmax(student[out], fit_temperature(student[~out], targets[~out]))
    return Audit(n, skipped, _right(probs, targets), _right(teacher, targets), ece(probs, targets))


def _right(probs: Probs | None, targets: NDArray[np.int64]) -> Rate:
    if probs is None:
        return NOBODY
    said = words(probs)
    return Rate(int((said == targets).sum()), int((said >= 0).sum()))
